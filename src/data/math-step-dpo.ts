/** @file Math-Step-DPO-10K rows, and those of its data pipeline, which call the shared steps `prefix`. */
import { z } from 'zod'
import { type LabelledMember, type Reading, userPrompt } from './labelled.ts'
import type { SolutionStep } from './records.ts'
import { parseRow, text } from './schema.ts'
import { textCleaner } from './written.ts'

const optional = z.string().nullish()

const schema = z
  .object({
    prompt: text,
    initial_reason_steps: optional,
    prefix: optional,
    chosen: text,
    rejected: text,
    full_chosen: optional,
    full_rejected: optional,
  })
  .refine((row) => (row.initial_reason_steps ?? row.prefix) != null, 'initial_reason_steps: expected text')

/** One right and one wrong step, with the solutions that they begin. */
export function readMathStepDpo(value: unknown): Reading {
  const parsed = parseRow(schema, value)
  if ('bad' in parsed) return parsed
  const { prompt, chosen, rejected, full_chosen, full_rejected } = parsed.row
  const clean = textCleaner(value)
  const shared = clean(parsed.row.initial_reason_steps ?? parsed.row.prefix ?? '')
  const side = (step: string, whole: string | null | undefined): Omit<LabelledMember, 'rating'> =>
    readSide(shared, clean(step), clean(whole ?? ''))
  const pair = [
    { ...side(chosen, full_chosen), rating: 1 },
    { ...side(rejected, full_rejected), rating: -1 },
  ]
  const before = shared === '' ? [] : [{ candidates: [], next: shared }]
  const steps = [...before, { candidates: pair, next: null }]
  return { labelled: { prompt: userPrompt(clean(prompt)), separator: '', steps } }
}

/**
 * A step ends its solution where the whole solution is there and ends with it. Where that begins with the shared steps and
 * this one, what follows are the others.
 */
function readSide(shared: string, step: string, whole: string): Omit<LabelledMember, 'rating'> {
  const rest = step.trim() === '' ? undefined : restAfter(whole.trimEnd(), shared + step)
  if (rest === undefined)
    return { content: step, terminal: step.trim() !== '' && whole.trimEnd().endsWith(step.trim()) }
  const others = rest === '' ? [] : rest.split(/(?=\nStep \d+:)/)
  const steps = [step, ...others].map((content): SolutionStep => ({ content, score: null, weight: null }))
  return { content: step, terminal: rest === '', solution: { steps, terminal: true } }
}

/** What follows `beginning` in a text, whatever white space joins its parts there; undefined where it begins otherwise. */
function restAfter(content: string, beginning: string): string | undefined {
  let at = 0
  for (const word of beginning.match(/\S+/g) ?? []) {
    while (at < content.length && content[at].trim() === '') at++
    if (!content.startsWith(word, at)) return undefined
    at += word.length
  }
  return content.slice(at)
}
