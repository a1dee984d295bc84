/** @file TRL's stepwise supervision rows: a prompt, the steps of one solution, a label for each. */
import { z } from 'zod'
import { labelSteps, type Reading, type ReadOptions, userPrompt } from './labelled.ts'
import { list, parseRow, stepText } from './schema.ts'

const MAX_STEPS = 1000

const schema = z
  .object({
    prompt: stepText,
    completions: list(stepText, MAX_STEPS),
    labels: list(z.union([z.boolean(), z.number()], 'expected true, false or a number'), MAX_STEPS),
  })
  .refine(({ completions, labels }) => completions.length === labels.length, 'expected one label for each completion')

/** A boolean label is a rating of 1 or −1, a number is the rating itself. */
export function readStepwise(value: unknown, options: ReadOptions): Reading {
  const parsed = parseRow(schema, value)
  if ('bad' in parsed) return parsed
  const { prompt, completions, labels } = parsed.row
  const steps = completions.map((content, index) => {
    const label = labels[index]
    return { content, rating: typeof label === 'number' ? label : label ? 1 : -1 }
  })
  return { labelled: labelSteps(userPrompt(prompt), steps, options.separator) }
}
