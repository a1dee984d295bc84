/** @file The pairs of a group: which member is preferred to which. */
import type { Group } from '../data/records.ts'

/** Every two members rated differently, the best against the worst, or the first best against the first worse. */
export type GroupPairs = 'all' | 'best_worst' | 'first'

/** Indices of two members of a group. */
export interface GroupPair {
  readonly chosen: number
  readonly rejected: number
  /** How many pairs of labelled completions it stands for. */
  readonly weight: number
}

/** The pairs of a group, by the chosen member's index, then the rejected one's. Only different ratings make a pair. */
export function groupPairs({ members }: Group, policy: GroupPairs): GroupPair[] {
  if (policy === 'all') return allPairs(members)
  const ratings = members.map(({ rating }) => rating)
  const best = ratings.reduce((a, b) => Math.max(a, b), -Infinity)
  const worst = ratings.reduce((a, b) => Math.min(a, b), Infinity)
  if (best === worst || ratings.length === 0) return []
  const isRejected = policy === 'best_worst' ? (rating: number) => rating === worst : (rating: number) => rating < best
  return [{ chosen: ratings.indexOf(best), rejected: ratings.findIndex(isRejected), weight: 1 }]
}

function allPairs(members: Group['members']): GroupPair[] {
  const pairs: GroupPair[] = []
  for (const [chosen, better] of members.entries()) {
    for (const [rejected, worse] of members.entries()) {
      if (better.rating > worse.rating) pairs.push({ chosen, rejected, weight: better.count * worse.count })
    }
  }
  return pairs
}
