/** @file A preference pair that we made, with where it comes from: a line of pairs.jsonl. `train` reads it. */
import { z } from 'zod'
import { type Reading, userPrompt } from './labelled.ts'
import type { Member } from './records.ts'
import { list, parseRow, text, textOrMessages } from './schema.ts'

/** Where a side comes from. */
const source = z.object({
  /** The id of the rollout that it is of. */
  rollout: z.string(),
  /** `continuation`: the rollout goes on from the prefix, in continuations.jsonl; `rollout`: one of those given. */
  from: z.enum(['rollout', 'continuation']),
  /** The policy with its hash, and its sampling with the seed. */
  maker: z.string(),
})

/** The solution that a side begins, from the prefix on: its steps as they were written, and whether the last ends it. */
const solution = z.object({
  steps: list(z.object({ text, score: z.number().min(0).max(1).nullable(), weight: z.number().nullish() }), 10_000),
  terminal: z.boolean(),
})

export const pairSchema = z.object({
  /** Of prompt, prefix and both sides. */
  id: z.string(),
  /** The question as a user's message, or all messages where there are more. */
  prompt: textOrMessages,
  /** What of the answer both sides go on from. */
  prefix: z.string(),
  /** As it was written, with the white space behind it. */
  chosen: text,
  rejected: text,
  /** Whether the side ends the solution. */
  chosen_terminal: z.boolean(),
  rejected_terminal: z.boolean(),
  /** The step that differs, from 0. */
  step: z.number().int().min(0),
  /** Of the judge; null where it gave none. */
  chosen_score: z.number().nullable(),
  rejected_score: z.number().nullable(),
  /** Where the solution goes on behind the side, or its steps are known: for objectives that look at whole solutions. */
  chosen_solution: solution.nullish(),
  rejected_solution: solution.nullish(),
  answer: z.string().nullable(),
  strategy: z.string(),
  provenance: z.object({
    /** With all that its verdicts depend on: the version of its prompt, votes; null where none was asked. */
    judge: z.string().nullable(),
    /** Who found the first wrong step; null where the strategy looks for none. */
    located_by: z.enum(['judge', 'monte_carlo', 'consensus']).nullable(),
    chosen: source,
    rejected: source,
    /** Why the rejected side is wrong; empty where nobody said. */
    why: z.string(),
  }),
})

export type SideSolution = z.output<typeof solution>
export type Pair = z.output<typeof pairSchema>
export type PairSource = z.output<typeof source>
export type LocatedBy = NonNullable<Pair['provenance']['located_by']>

/** The pair as two members of one group. */
export function readPair(value: unknown): Reading {
  const parsed = parseRow(pairSchema, value)
  if ('bad' in parsed) return parsed
  const { prompt, prefix, chosen, rejected, chosen_terminal, rejected_terminal } = parsed.row
  const { chosen_score, rejected_score, chosen_solution, rejected_solution } = parsed.row
  const candidates = [
    { content: chosen, rating: 1, terminal: chosen_terminal, ...known(chosen_score, chosen_solution) },
    { content: rejected, rating: -1, terminal: rejected_terminal, ...known(rejected_score, rejected_solution) },
  ]
  const before = prefix === '' ? [] : [{ candidates: [], next: prefix }]
  return {
    labelled: {
      prompt: typeof prompt === 'string' ? userPrompt(prompt) : { messages: prompt },
      separator: '',
      steps: [...before, { candidates, next: null }],
    },
  }
}

/** What a row knows of a side besides its text. */
function known(score: number | null, whole: SideSolution | null | undefined): Pick<Member, 'score' | 'solution'> {
  return {
    ...(score !== null && { score }),
    ...(whole != null && {
      solution: {
        steps: whole.steps.map(({ text: content, score, weight }) => ({ content, score, weight: weight ?? null })),
        terminal: whole.terminal,
      },
    }),
  }
}
