/** @file A rollout: one sampled completion of a prompt, a line of rollouts.jsonl. */
import { z } from 'zod'
import { userPrompt } from './labelled.ts'
import type { Prompt } from './records.ts'
import { messages } from './schema.ts'

export const rolloutSchema = z.object({
  /** Of all that made it: prompt, generator, sampling, sample. Equal ids are the same rollout. */
  id: z.string(),
  /** Who wrote it and how: the policy with its hash, and all settings that differ from plain sampling. */
  maker: z.string(),
  /** The question as it was asked; `judge` reads it under this name. */
  problem: z.string(),
  /** The messages that asked it, where they are more than the problem as a user's: a system message, a conversation. */
  asked: messages.optional(),
  /** From 0, among those of its problem. */
  sample: z.number().int().min(0),
  /** The answer, from its beginning. */
  completion: z.string(),
  /** How much of the completion the policy was given to go on from, in UTF-16 units; absent: nothing. */
  given: z.number().int().min(0).optional(),
  /** The completion in steps, without the white space between them. */
  steps: z.array(z.string()),
  /** `stop`: it came to its end; `length`: it was cut at max_new_tokens. */
  finish: z.enum(['stop', 'length']),
  tokens: z.number().int().min(0),
  /** The known answer; null where the prompt brings none. */
  answer: z.string().nullable(),
  /** The answer that the completion ends with; null where it has none. */
  final_answer: z.string().nullable(),
  /** Whether both answers are equal; null without a known answer. */
  final_answer_correct: z.boolean().nullable(),
  /** Of each token under the policy, without temperature; only where they were asked for. */
  logps: z.array(z.number()).optional(),
})

export type Rollout = z.output<typeof rolloutSchema>

/** What the policy was asked. */
export function promptOf({ problem, asked }: Pick<Rollout, 'problem' | 'asked'>): Prompt {
  return asked === undefined ? userPrompt(problem) : { messages: asked }
}
