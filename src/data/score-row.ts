/** @file Rows whose completions are only to be scored: nothing in them need be labelled. */
import { z } from 'zod'
import { detectFormat } from './formats.ts'
import type { AnswerPair } from './labelled.ts'
import { parsePreference } from './preference.ts'
import { parsePretokenised } from './pretokenised.ts'
import type { Prompt, Segment } from './records.ts'
import { type Bad, isColumns, parseRow, text, textOrMessages, tokenIds } from './schema.ts'

export interface ScoredCompletion {
  /** Null where the completion stands alone. */
  readonly prompt: Prompt | null
  readonly completion: Segment
}

const idsRow = z.object({ ids: tokenIds })

const completionRow = z.object({
  prompt: textOrMessages,
  completion: text,
})

/**
 * The completions of a row: `{ids}`, `{prompt, completion}`, or the two sides of a preference or pre-tokenised row,
 * chosen first. `bad` says why there are none.
 */
export function scoreRow(value: unknown): readonly ScoredCompletion[] | Bad {
  if (isColumns(value) && value.ids != null) {
    const parsed = parseRow(idsRow, value)
    return 'bad' in parsed ? parsed : [{ prompt: null, completion: parsed.row.ids }]
  }
  const format = detectFormat(value)?.name
  if (format === 'preference') return sidesOf(parsePreference(value))
  if (format === 'pretokenised') return sidesOf(parsePretokenised(value))
  if (isColumns(value) && value.prompt == null && value.completion == null) {
    const columns = Object.keys(value).slice(0, 8).join(', ') || 'none'
    return { bad: `expected columns ids, or prompt and completion, or prompt, chosen and rejected, found ${columns}` }
  }
  const parsed = parseRow(completionRow, value)
  if ('bad' in parsed) return parsed
  const { prompt, completion } = parsed.row
  return [{ prompt: typeof prompt === 'string' ? { raw: prompt } : { messages: prompt }, completion }]
}

function sidesOf(answers: AnswerPair | Bad): readonly ScoredCompletion[] | Bad {
  if ('bad' in answers) return answers
  return [answers.chosen, answers.rejected].map((completion) => ({ prompt: answers.prompt, completion }))
}
