/** @file TRL's stepwise supervision rows: a prompt, the steps of one solution, a label for each. */
import { z } from 'zod'
import { hardStep, labelSteps, type RatedStep, type Reading, type ReadOptions, userPrompt } from './labelled.ts'
import { list, parseRow, text } from './schema.ts'
import { textCleaner } from './written.ts'

const MAX_STEPS = 1000

const schema = z
  .object({
    prompt: text,
    completions: list(text, MAX_STEPS),
    labels: list(z.union([z.boolean(), z.number()], 'expected true, false or a number'), MAX_STEPS),
  })
  .refine(({ completions, labels }) => completions.length === labels.length, 'expected one label for each completion')

/** A boolean label is a rating of 1 or −1, a number is the rating itself; in [0, 1] it is how likely the step is right. */
export function readStepwise(value: unknown, options: ReadOptions): Reading {
  const parsed = parseRow(schema, value)
  if ('bad' in parsed) return parsed
  const { prompt, completions, labels } = parsed.row
  const clean = textCleaner(value)
  const steps = completions.map((content, at) => rateStep(clean(content), labels[at]))
  return { labelled: labelSteps(userPrompt(clean(prompt)), steps, options) }
}

function rateStep(content: string, label: boolean | number): RatedStep {
  if (typeof label === 'boolean') return hardStep(content, label)
  return { content, rating: label, ...(label >= 0 && label <= 1 && { score: label }) }
}
