/** @file Which of several answers to one problem is taken, by what judges say of the solutions that reach them. */

/** A solution's answer (equal answers as equal text; null where none was found) and its aggregated score. */
export interface Candidate {
  readonly answer: string | null
  readonly score: number | null
}

export const VOTES = ['majority', 'weighted', 'max'] as const
export type VoteName = (typeof VOTES)[number]

export interface Vote {
  /** Null where no candidate counts. */
  readonly answer: string | null
  /** Candidates that counted: with an answer and, but for `majority`, with a score. */
  readonly counted: number
  readonly candidates: number
}

/** What a candidate adds to what stands for its answer so far. */
const tallies: { readonly [N in VoteName]: (so: number, score: number) => number } = {
  majority: (so) => so + 1,
  weighted: (so, score) => so + score, // argmax_a Σ score: Math-Shepherd, equation 5
  max: Math.max,
}

/** The answer with the highest tally; of equals the one that stands first. A missing score is no vote, not a zero. */
export function vote(candidates: readonly Candidate[], method: VoteName): Vote {
  const totals = new Map<string, number>()
  let counted = 0
  for (const { answer, score } of candidates) {
    if (answer === null || (score === null && method !== 'majority')) continue
    counted++
    totals.set(answer, tallies[method](totals.get(answer) ?? 0, score ?? 0))
  }
  let winner: string | null = null
  let most = -Infinity
  for (const [answer, total] of totals) {
    if (total <= most) continue
    winner = answer
    most = total
  }
  return { answer: winner, counted, candidates: candidates.length }
}
