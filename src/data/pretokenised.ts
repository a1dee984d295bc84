/** @file Rows that bring their own token ids, taken exactly as they are, with what each token counts. */
import { z } from 'zod'
import { type AnswerPair, labelCompletions, type Reading } from './labelled.ts'
import { type Bad, type Columns, isColumns, parseRow, tokenIds } from './schema.ts'

const isMark = (value: unknown): boolean => value === 0 || value === 1 || typeof value === 'boolean'

const mask = z.custom<readonly (0 | 1 | boolean)[]>(
  (value) => Array.isArray(value) && value.every(isMark),
  'expected a list of 0 and 1',
)

const isWeight = (value: unknown): boolean => typeof value === 'number' && Number.isFinite(value) && value >= 0

const weights = z.custom<readonly number[]>(
  (value) => Array.isArray(value) && value.every(isWeight),
  'expected a list of numbers that are not negative',
)

const schema = z.object({
  prompt_ids: tokenIds,
  chosen_ids: tokenIds,
  rejected_ids: tokenIds,
  /** Which tokens count. */
  chosen_mask: mask.nullish(),
  rejected_mask: mask.nullish(),
  /** How much each of them counts. */
  chosen_weights: weights.nullish(),
  rejected_weights: weights.nullish(),
  chosen_terminal: z.boolean().nullish(),
  rejected_terminal: z.boolean().nullish(),
})

type Row = z.output<typeof schema>

const SIDES = ['chosen', 'rejected'] as const

/**
 * A token counts its mask times its weight, 1 where neither is there. A side is not terminal unless the row says so:
 * whoever made the ids has put the end-of-turn token where it belongs.
 */
export function readPretokenised(value: unknown): Reading {
  const row = parseIds(value)
  if ('bad' in row) return row
  const tokenWeights = { chosen: readWeights(row, 'chosen'), rejected: readWeights(row, 'rejected') }
  for (const side of SIDES) {
    const given = tokenWeights[side]
    if (given !== undefined && 'bad' in given) return given
    if (given?.every((weight) => weight === 0)) return { dropped: 'a side whose tokens all weigh nothing' }
  }
  const candidates = SIDES.map((side) => {
    const given = tokenWeights[side]
    return {
      content: row[`${side}_ids`],
      rating: side === 'chosen' ? 1 : -1,
      terminal: row[`${side}_terminal`] ?? false,
      ...(given !== undefined && !('bad' in given) && { tokenWeights: given }),
    }
  })
  return { labelled: labelCompletions({ raw: row.prompt_ids }, candidates) }
}

/** The ids alone, which are scored. */
export function parsePretokenised(value: unknown): AnswerPair | Bad {
  const row = parseIds(value)
  return 'bad' in row ? row : { prompt: { raw: row.prompt_ids }, chosen: row.chosen_ids, rejected: row.rejected_ids }
}

/** Older TRL calls the columns `prompt_input_ids` and so on; the oldest repeats the prompt in the sides. */
function parseIds(value: unknown): Row | Bad {
  if (isColumns(value) && value.prompt_ids == null && value.chosen_labels != null) {
    return { bad: 'chosen_labels: unsupported: rows of older TRL, whose sides repeat the prompt' }
  }
  const parsed = parseRow(schema, isColumns(value) ? rename(value) : value)
  return 'bad' in parsed ? parsed : parsed.row
}

function rename(row: Columns): Columns {
  if (row.prompt_ids != null) return row
  return {
    ...row,
    prompt_ids: row.prompt_input_ids,
    chosen_ids: row.chosen_input_ids,
    rejected_ids: row.rejected_input_ids,
  }
}

function readWeights(row: Row, side: (typeof SIDES)[number]): readonly number[] | Bad | undefined {
  const length = row[`${side}_ids`].length
  const [counts, factors] = [row[`${side}_mask`], row[`${side}_weights`]]
  if (counts != null && counts.length !== length) return mismatch(`${side}_mask`, length, counts.length)
  if (factors != null && factors.length !== length) return mismatch(`${side}_weights`, length, factors.length)
  if (counts == null) return factors ?? undefined
  return counts.map((mark, at) => Number(mark) * (factors?.[at] ?? 1))
}

function mismatch(column: string, expected: number, found: number): Bad {
  return { bad: `${column}: expected one for each of ${expected} tokens, found ${found}` }
}
