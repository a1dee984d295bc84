/** @file The pairs of a group: which member is preferred to which. */
import type { Group, Member } from '../data/records.ts'

/** Every two members rated differently, the best against the worst, or the first best against the first worse. */
export type GroupPairs = 'all' | 'best_worst' | 'first'

/** Indices of two members of a group. */
export interface GroupPair {
  readonly chosen: number
  readonly rejected: number
  /** How many pairs of labelled completions it stands for. */
  readonly weight: number
  /** The score of the chosen member less that of the rejected one; undefined: nobody scored them. */
  readonly scoreGap?: number
  /** How likely it is that the rejected member is the better one, if scores are probabilities; undefined as above. */
  readonly doubt?: number
}

/** The pairs of a group, by the chosen member's index, then the rejected one's. Only different ratings make a pair. */
export function groupPairs({ members }: Group, policy: GroupPairs): GroupPair[] {
  const pairs = policy === 'all' ? allPairs(members) : extremePair(members, policy)
  return pairs.map((pair) => ({ ...pair, ...scoresOf(members[pair.chosen], members[pair.rejected]) }))
}

/** What the scores of two members say of the pair they make. */
function scoresOf({ score: better }: Member, { score: worse }: Member): Pick<GroupPair, 'scoreGap' | 'doubt'> {
  if (better === undefined || worse === undefined) return {}
  // Bradley and Terry's model, the odds of a score as its strength.
  const [holds, fails] = [better * (1 - worse), worse * (1 - better)]
  return { scoreGap: better - worse, doubt: holds + fails > 0 ? fails / (holds + fails) : 0.5 }
}

function extremePair(members: Group['members'], policy: 'best_worst' | 'first'): GroupPair[] {
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
