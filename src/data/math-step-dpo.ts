/** @file Math-Step-DPO-10K rows, and those of its data pipeline, which call the shared steps `prefix`. */
import { z } from 'zod'
import { type Reading, userPrompt } from './labelled.ts'
import { parseRow, stepText, toLineFeeds } from './schema.ts'

const optional = z.string().transform(toLineFeeds).nullish()

const schema = z
  .object({
    prompt: stepText,
    initial_reason_steps: optional,
    prefix: optional,
    chosen: stepText,
    rejected: stepText,
    full_chosen: optional,
    full_rejected: optional,
  })
  .refine((row) => (row.initial_reason_steps ?? row.prefix) != null, 'initial_reason_steps: expected text')

/** One right and one wrong step. A side ends the solution where its whole solution is there and ends with it. */
export function readMathStepDpo(value: unknown): Reading {
  const parsed = parseRow(schema, value)
  if ('bad' in parsed) return parsed
  const { prompt, chosen, rejected, full_chosen, full_rejected } = parsed.row
  const shared = parsed.row.initial_reason_steps ?? parsed.row.prefix ?? ''
  const pair = [
    { content: chosen, rating: 1, terminal: endsWith(full_chosen, chosen) },
    { content: rejected, rating: -1, terminal: endsWith(full_rejected, rejected) },
  ]
  const before = shared === '' ? [] : [{ candidates: [], next: shared }]
  const steps = [...before, { candidates: pair, next: null }]
  return { labelled: { prompt: userPrompt(prompt), separator: '', steps } }
}

function endsWith(whole: string | null | undefined, step: string): boolean {
  return whole != null && step.trim() !== '' && whole.trimEnd().endsWith(step.trim())
}
