/** @file Several verdicts on one step as one. */
import type { StepLabel } from '../data/judgement.ts'
import type { StepVerdict } from './port.ts'

const ORDER: readonly StepLabel[] = ['incorrect', 'neutral', 'correct']

/**
 * The mean score of those that scored, with their most frequent label (where two are as frequent, the more doubtful one)
 * and the reason of the first who gave it. Where nobody scored: abstained if anybody abstained, else failed.
 */
export function mergeVotes(votes: readonly StepVerdict[]): StepVerdict {
  const [first] = votes
  if (votes.length === 1) return first
  const scored = votes.filter((vote) => vote.state === 'scored')
  if (scored.length === 0) return votes.find(({ state }) => state === 'abstained') ?? first
  const countOf = (label: StepLabel): number => scored.filter((vote) => vote.label === label).length
  const label = ORDER.reduce((best, one) => (countOf(one) > countOf(best) ? one : best))
  const score = scored.reduce((sum, vote) => sum + vote.score, 0) / scored.length
  return { state: 'scored', score, label, why: scored.find((vote) => vote.label === label)?.why ?? '' }
}

/** One verdict per step, of judges or votes that each have one per step. */
export function mergeAll(votes: readonly (readonly StepVerdict[])[]): StepVerdict[] {
  return votes[0].map((_, at) => mergeVotes(votes.map((steps) => steps[at])))
}
