/** @file TRL's unpaired rows: a prompt, one completion of it, and whether it is desirable (its KTOTrainer reads them). */
import { z } from 'zod'
import { parseCompletion } from './demonstrations.ts'
import { labelCompletions, type Reading } from './labelled.ts'
import { list, parseRow } from './schema.ts'

const schema = z.object({
  label: z.boolean(),
  /** Of `data convert`: whether the completion ends the solution. */
  completion_terminal: z.boolean().nullish(),
  // They would change the prompt's template.
  tools: list(z.unknown(), 0).nullish(),
})

export function readUnpaired(value: unknown): Reading {
  const parsed = parseRow(schema, value)
  if ('bad' in parsed) return parsed
  const completion = parseCompletion(value)
  if ('bad' in completion) return completion
  const { label, completion_terminal: terminal } = parsed.row
  const candidate = { content: completion.content, rating: label ? 1 : -1, terminal: terminal ?? true }
  return { labelled: labelCompletions(completion.prompt, [candidate]) }
}
