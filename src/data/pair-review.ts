/** @file Pairs that a person took out: the lines of pairs-review.jsonl, which stands beside the pairs.jsonl it is of. */
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { readLog } from '../base/lines.ts'

export const PAIRS_REVIEW = 'pairs-review.jsonl'

export const pairReviewSchema = z.object({
  /** Of the pair: of its content, so it outlives pairs that are made anew. */
  pair: z.string(),
  action: z.enum(['drop', 'restore']),
  who: z.string(),
  /** ISO 8601. */
  when: z.string(),
})

export type PairReviewLine = z.output<typeof pairReviewSchema>

/** The pairs that are left out, by their ids, each with the line that says so. */
export function droppedPairs(lines: Iterable<PairReviewLine>): Map<string, PairReviewLine> {
  const dropped = new Map<string, PairReviewLine>()
  for (const line of lines) {
    if (line.action === 'drop') dropped.set(line.pair, line)
    else dropped.delete(line.pair)
  }
  return dropped
}

/** What was said of the pairs of a file. */
export async function readDroppedPairs(pairs: string): Promise<Map<string, PairReviewLine>> {
  const path = join(dirname(pairs), PAIRS_REVIEW)
  if (!existsSync(path)) return new Map()
  const lines: PairReviewLine[] = []
  for await (const value of readLog(path)) {
    const parsed = pairReviewSchema.safeParse(value)
    if (parsed.success) lines.push(parsed.data)
  }
  return droppedPairs(lines)
}
