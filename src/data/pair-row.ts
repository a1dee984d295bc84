/** @file A preference pair that we made, with where it comes from: a line of pairs.jsonl. `train` reads it. */
import { z } from 'zod'
import type { Reading } from './labelled.ts'
import type { Message } from './records.ts'
import { parseRow, text } from './schema.ts'

export const pairSchema = z.object({
  /** Of prompt, prefix and both sides. */
  id: z.string(),
  prompt: text,
  system_prompt: z.string().optional(),
  /** What of the answer both sides go on from. */
  prefix: z.string(),
  /** With the white space that follows it, which tells that it is over; without, where it ends the solution. */
  chosen: text,
  rejected: text,
  chosen_terminal: z.boolean(),
  rejected_terminal: z.boolean(),
  /** The step that differs, from 0. */
  step: z.number().int().min(0),
  /** Of the judge; null where it gave none. */
  chosen_score: z.number().nullable(),
  rejected_score: z.number().nullable(),
  answer: z.string().nullable(),
  strategy: z.string(),
  /** All that decided: the judge with its prompt version and votes, the policy with its sampling and seed. */
  provenance: z.object({
    judge: z.string().nullable(),
    maker: z.string(),
    /** The rollout that the rejected side is of. */
    rejected_rollout: z.string(),
    /** Where the chosen side comes from: another rollout, or a continuation of the same prefix. */
    chosen_from: z.string(),
    why: z.string(),
  }),
})

export type Pair = z.output<typeof pairSchema>

/** The pair as two members of one group. */
export function readPair(value: unknown): Reading {
  const parsed = parseRow(pairSchema, value)
  if ('bad' in parsed) return parsed
  const { prompt, system_prompt: system, prefix, chosen, rejected, chosen_terminal, rejected_terminal } = parsed.row
  const messages: Message[] = [
    ...(system === undefined ? [] : [{ role: 'system', content: system }]),
    { role: 'user', content: prompt },
  ]
  const candidates = [
    { content: chosen, rating: 1, terminal: chosen_terminal },
    { content: rejected, rating: -1, terminal: rejected_terminal },
  ]
  const before = prefix === '' ? [] : [{ candidates: [], next: prefix }]
  return { labelled: { prompt: { messages }, separator: '', steps: [...before, { candidates, next: null }] } }
}
