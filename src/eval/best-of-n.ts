/** @file Best-of-n: how often the completion with the best score of n is right. */
import { chanceAllOf, checkDrawn } from './pass-at-k.ts'

export interface ScoredCompletion {
  /** Null where the judge gave none: such a completion is taken only where none that was drawn has a score. */
  readonly score: number | null
  readonly isRight: boolean
}

/**
 * The expected accuracy of the best by score of n completions drawn from all, exactly: a rank counts by the chance that
 * the best of the draw is of it, C(from this rank down, n) − C(below it, n) over C(N, n). Equal scores are one rank
 * and share.
 * @throws UserError for n that is not from 1 to the number of completions.
 */
export function bestOfN(completions: readonly ScoredCompletion[], n: number): number {
  const total = completions.length
  checkDrawn(n, total)
  const ranks = new Map<number, { count: number; right: number }>()
  for (const { score, isRight } of completions) {
    const rank = ranks.get(score ?? -Infinity) ?? { count: 0, right: 0 }
    rank.count++
    rank.right += Number(isRight)
    ranks.set(score ?? -Infinity, rank)
  }
  let accuracy = 0
  let left = total
  for (const [, { count, right }] of [...ranks].sort(([a], [b]) => b - a)) {
    accuracy += (right / count) * (chanceAllOf(left, total, n) - chanceAllOf(left - count, total, n))
    left -= count
  }
  return accuracy
}
