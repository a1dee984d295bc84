/** @file A judgement: what a judge said of a solution, a line of judgements.jsonl. */
import { z } from 'zod'

/** In the words of PRM800K: neutral is neither wrong nor of use. */
const stepLabel = z.enum(['correct', 'neutral', 'incorrect'])
export type StepLabel = z.output<typeof stepLabel>

/** What became of a call that gave no verdict. */
export const failureKind = z.enum([
  'network', // no reply came: refused, reset
  'timeout',
  'rate-limit', // 429 that did not pass
  'quota', // the money at the provider is used up
  'server-error', // 5xx that did not pass
  'refused-request', // 400, 404, 422: asking again does not help
  'unauthorized', // 401, 403
  'malformed-reply', // no reply of a chat model: HTML, `{}`, an empty body, too large
  'truncated', // it ended before its end: a cut stream, `finish_reason: length`
  'content-filter',
  'wrong-model', // another model answered than was asked
  'unreadable-verdict', // the text holds no verdict, or an ambiguous one
  'budget', // the budget does not allow the call: it was not sent
  'stopped', // the run was stopped before the call was sent
  'unknown', // nobody knows whether the provider answered
])
export type FailureKind = z.output<typeof failureKind>

const verdict = z.discriminatedUnion('state', [
  z.object({
    state: z.literal('scored'),
    score: z.number(),
    label: stepLabel,
    why: z.string(),
  }),
  z.object({ state: z.literal('abstained'), why: z.string() }),
  z.object({ state: z.literal('failed'), kind: failureKind, why: z.string() }),
])

/** What one judge of several said of the step. */
const memberVerdict = z.intersection(z.object({ judge: z.string() }), verdict)

const judgedStep = z.intersection(
  /** `members`: where several judges were asked, in their order. */
  z.object({ text: z.string(), members: z.array(memberVerdict).readonly().optional() }),
  verdict,
)

export const judgementSchema = z.object({
  /** Of the solution: equal solutions have equal ids. */
  id: z.string(),
  /** All that the verdicts depend on: model, mode, version of the prompt, votes. */
  judge: z.string(),
  problem: z.string(),
  steps: z.array(judgedStep),
  /** Null where no step was scored. */
  score: z.number().nullable(),
  aggregation: z.string(),
  /** The share of steps that were scored. */
  coverage: z.number(),
})

export type JudgedStep = z.output<typeof judgedStep>
export type Judgement = z.output<typeof judgementSchema>
