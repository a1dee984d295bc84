/**
 * @file The ways to ask about a solution. A mode turns a solution into questions; a question knows which steps it is
 * about and how its reply is read. Knows no provider.
 */
import { z } from 'zod'
import type { StepLabel } from '../data/judgement.ts'
import type { ChatMessage, ChatReply, ChatRequest } from './chat.ts'
import { makeFence } from './fence.ts'
import type { Solution, StepVerdict } from './port.ts'
import { probabilityOf } from './probability.ts'
import * as firstErrorPrompt from './prompts/first-error.ts'
import { dataOf, piecesOf } from './prompts/parts.ts'
import * as probabilityPrompt from './prompts/probability.ts'
import * as solutionPrompt from './prompts/solution.ts'
import * as stepPrompt from './prompts/step.ts'
import { type Readable, readObject } from './reply.ts'

export type ModeName = 'solution' | 'step' | 'first_error' | 'probability'

/** Verdicts of the steps a question is about, in their order, or why the reply holds none. */
export type ReadVerdicts = Readable<readonly StepVerdict[]>

export interface Question {
  /** The steps it is about, from 0. */
  readonly steps: readonly number[]
  readonly messages: readonly ChatMessage[]
  readonly schema: ChatRequest['schema']
  /** How many alternatives of each token it needs. */
  readonly topLogprobs: number
  read(reply: Pick<ChatReply, 'text' | 'logprobs'>): ReadVerdicts
}

/** A solution with verdicts that are known, shown before the question. They end with the first wrong step, if any. */
export interface Shot {
  readonly solution: Solution
  readonly verdicts: readonly { readonly reason: string; readonly label: StepLabel }[]
}

export interface Mode {
  /** Part of the key of every reply. */
  readonly promptVersion: string
  questions(solution: Solution, shots: readonly Shot[]): Question[]
}

/** How right a step with this label is: a neutral one is not wrong (Lightman et al. 2023, arXiv 2305.20050, appendix F). */
const SCORES: { readonly [L in StepLabel]: number } = { correct: 1, neutral: 1, incorrect: 0 }

const label = z.enum(['correct', 'neutral', 'incorrect'])

function scored(of: StepLabel, why: string): StepVerdict {
  return { state: 'scored', score: SCORES[of], label: of, why }
}

/** Verdicts for `count` steps, of which those after the first wrong one were not judged. */
function untilError(verdicts: readonly StepVerdict[], count: number): StepVerdict[] {
  const wrong = verdicts.findIndex((verdict) => verdict.state === 'scored' && verdict.label === 'incorrect')
  const judged = wrong < 0 ? verdicts : verdicts.slice(0, wrong + 1)
  const after: StepVerdict = { state: 'abstained', why: 'it comes after the first wrong step' }
  return Array.from({ length: count }, (_, at) => judged[at] ?? after)
}

/** How a mode shows one solution: what is asked, and what is answered where that is known. */
interface Exchange {
  readonly asked: string
  readonly mark: string
}

function exchange(solution: Solution): Exchange {
  const fence = makeFence(piecesOf(solution))
  return { asked: `MARK is ${fence.mark}\n${dataOf(solution, fence)}`, mark: fence.mark }
}

function messagesOf(
  system: string,
  shots: readonly { readonly asked: string; readonly answered: string }[],
  asked: string,
): ChatMessage[] {
  return [
    { role: 'system', content: system },
    ...shots.flatMap((shot): ChatMessage[] => [
      { role: 'user', content: shot.asked },
      { role: 'assistant', content: shot.answered },
    ]),
    { role: 'user', content: asked },
  ]
}

/** A question whose reply is an object of `schema`, which holds the mark. */
function objectQuestion<T>(
  facts: { readonly steps: readonly number[]; readonly messages: readonly ChatMessage[]; readonly name: string },
  schema: z.ZodType<T>,
  verdicts: (reply: T) => ReadVerdicts,
): Question {
  const { $schema: _, ...json } = z.toJSONSchema(schema)
  return {
    steps: facts.steps,
    messages: facts.messages,
    schema: { name: facts.name, json },
    topLogprobs: 0,
    read: ({ text }) => {
      const found = readObject(text, schema)
      return 'unreadable' in found ? found : verdicts(found.value)
    },
  }
}

/** The solution up to and with a step. */
function upTo(solution: Solution, at: number): Solution {
  return { ...solution, steps: solution.steps.slice(0, at + 1) }
}

const solutionMode: Mode = {
  promptVersion: solutionPrompt.version,
  questions: (solution, shots) => {
    const { asked, mark } = exchange(solution)
    const { length } = solution.steps
    const shown = shots.map((shot) => {
      const { asked: before, mark: own } = exchange(shot.solution)
      const steps = shot.verdicts.map((verdict, at) => ({ step: at + 1, ...verdict }))
      return { asked: before, answered: JSON.stringify({ mark: own, steps }) }
    })
    const steps = z.array(z.strictObject({ step: z.int(), reason: z.string(), label }))
    return [
      objectQuestion(
        {
          steps: solution.steps.map((_, at) => at),
          messages: messagesOf(solutionPrompt.system, shown, asked),
          name: 'step_labels',
        },
        z.strictObject({ mark: z.literal(mark), steps }),
        (reply) => {
          if (reply.steps.some(({ step }, at) => step !== at + 1)) return { unreadable: 'steps out of their order' }
          if (reply.steps.length > length) return { unreadable: `labels for ${reply.steps.length} steps of ${length}` }
          const verdicts = reply.steps.map((step) => scored(step.label, step.reason))
          const isWhole = reply.steps.length === length || reply.steps.at(-1)?.label === 'incorrect'
          if (!isWhole) return { unreadable: `labels for ${reply.steps.length} of ${length} steps, none of them wrong` }
          return { value: untilError(verdicts, length) }
        },
      ),
    ]
  },
}

const stepMode: Mode = {
  promptVersion: stepPrompt.version,
  questions: (solution, shots) => {
    const shown = shots.flatMap(({ solution: known, verdicts }) =>
      verdicts.slice(-1).map(({ reason, label: of }) => {
        const { asked, mark } = exchange(upTo(known, verdicts.length - 1))
        return { asked, answered: JSON.stringify({ mark, reason, label: of }) }
      }),
    )
    return solution.steps.map((_, at) => {
      const { asked, mark } = exchange(upTo(solution, at))
      return objectQuestion(
        { steps: [at], messages: messagesOf(stepPrompt.system, shown, asked), name: 'step_label' },
        z.strictObject({ mark: z.literal(mark), reason: z.string(), label }),
        (reply) => ({ value: [scored(reply.label, reply.reason)] }),
      )
    })
  },
}

function firstWrong({ verdicts }: Shot): number {
  const at = verdicts.findIndex((verdict) => verdict.label === 'incorrect')
  return at < 0 ? -1 : at + 1
}

const firstErrorMode: Mode = {
  promptVersion: firstErrorPrompt.version,
  questions: (solution, shots) => {
    const { asked, mark } = exchange(solution)
    const { length } = solution.steps
    const shown = shots.map((shot) => {
      const { asked: before, mark: own } = exchange(shot.solution)
      const reason = shot.verdicts.map((verdict) => verdict.reason).join(' ')
      return { asked: before, answered: JSON.stringify({ mark: own, reason, first_error: firstWrong(shot) }) }
    })
    return [
      objectQuestion(
        {
          steps: solution.steps.map((_, at) => at),
          messages: messagesOf(firstErrorPrompt.system, shown, asked),
          name: 'first_error',
        },
        z.strictObject({ mark: z.literal(mark), reason: z.string(), first_error: z.int() }),
        ({ reason, first_error: wrong }) => {
          if (wrong === -1) return { value: solution.steps.map(() => scored('correct', reason)) }
          if (wrong < 1 || wrong > length) return { unreadable: `first_error is ${wrong}, of ${length} steps` }
          const before = Array.from({ length: wrong - 1 }, () => scored('correct', ''))
          return { value: untilError([...before, scored('incorrect', reason)], length) }
        },
      ),
    ]
  },
}

/** Alternatives of the first token that are looked at: what the providers allow at most. */
const ALTERNATIVES = 20

const probabilityMode: Mode = {
  promptVersion: probabilityPrompt.version,
  questions: (solution, shots) => {
    const shown = shots.flatMap(({ solution: known, verdicts }) =>
      verdicts.slice(-1).map(({ label: of }) => ({
        asked: exchange(upTo(known, verdicts.length - 1)).asked,
        answered: of === 'incorrect' ? 'No' : 'Yes',
      })),
    )
    return solution.steps.map((_, at) => ({
      steps: [at],
      messages: messagesOf(probabilityPrompt.system, shown, exchange(upTo(solution, at)).asked),
      schema: null,
      topLogprobs: ALTERNATIVES,
      read: (reply) => {
        const found = probabilityOf(reply)
        if ('unreadable' in found) return found
        const { value: score } = found
        return { value: [{ state: 'scored', score, label: score >= 0.5 ? 'correct' : 'incorrect', why: '' }] }
      },
    }))
  },
}

export const modes: { readonly [M in ModeName]: Mode } = {
  solution: solutionMode,
  step: stepMode,
  first_error: firstErrorMode,
  probability: probabilityMode,
}
