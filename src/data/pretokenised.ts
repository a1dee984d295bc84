/** @file Rows that bring their own token ids, taken exactly as they are. */
import { z } from 'zod'
import { type AnswerPair, labelAnswers, type Reading } from './labelled.ts'
import { type Bad, parseRow, tokenIds } from './schema.ts'

const schema = z.object({ prompt_ids: tokenIds, chosen_ids: tokenIds, rejected_ids: tokenIds })

/** Never terminal: whoever made the ids has put the end-of-turn token where it belongs. */
export function readPretokenised(value: unknown): Reading {
  const answers = parsePretokenised(value)
  return 'bad' in answers ? answers : { labelled: labelAnswers(answers, { chosen: false, rejected: false }) }
}

export function parsePretokenised(value: unknown): AnswerPair | Bad {
  const parsed = parseRow(schema, value)
  if ('bad' in parsed) return parsed
  const { prompt_ids, chosen_ids, rejected_ids } = parsed.row
  return { prompt: { raw: prompt_ids }, chosen: chosen_ids, rejected: rejected_ids }
}
