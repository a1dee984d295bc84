/** @file A rollout: one sampled completion of a prompt, a line of rollouts.jsonl. */
import { z } from 'zod'

export const rolloutSchema = z.object({
  /** Of all that made it: prompt, generator, sampling, sample. Equal ids are the same rollout. */
  id: z.string(),
  /** Who wrote it and how: the policy with its hash, and all settings that differ from plain sampling. */
  maker: z.string(),
  /** The question as it was asked; `judge` reads it under this name. */
  problem: z.string(),
  /** From 0, among those of its problem. */
  sample: z.number().int().min(0),
  /** All that the policy wrote. */
  completion: z.string(),
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
