/** @file The loss of all rated members of a group at once: Plackett and Luce's model of rankings, with ties. */
import { logistic } from './curve.ts'
import type { LossOptions } from './loss.ts'

/** A member's summed log-probabilities under policy and reference, its rating, and how many times it counts. */
export interface ListMember {
  readonly logp: number
  readonly reference: number
  readonly rating: number
  readonly count: number
}

export interface ListLoss {
  readonly value: number
  /** By the log-probability of each member, in their order. */
  readonly dLogps: readonly number[]
}

/** log Σ e^x. */
function logSumExp(values: readonly number[]): number {
  const largest = values.reduce((a, b) => Math.max(a, b))
  return largest + Math.log(values.reduce((total, value) => total + Math.exp(value - largest), 0))
}

/**
 * −Σ_i log(e^{s_i} / (e^{s_i} + Σ_j e^{s_j})) with s = β lr, over the members i that are rated above others, j those
 * rated below i. Members of one rating are not compared; of two members it is DPO. Where all ratings differ it is DPO of
 * rankings (Rafailov et al. 2023, appendix A.3). Counts are positive.
 */
export function listLoss(members: readonly ListMember[], { beta }: Pick<LossOptions, 'beta'>): ListLoss {
  const scores = members.map(({ logp, reference }) => beta * (logp - reference))
  const slopes = members.map(() => 0)
  let total = 0
  for (const [at, { rating, count }] of members.entries()) {
    const below = [...members.keys()].filter((other) => members[other].rating < rating)
    if (below.length === 0) continue
    const weights = below.map((other) => scores[other] + Math.log(members[other].count))
    const together = logSumExp(weights)
    const { value, slope } = logistic(scores[at] - together)
    total += count * value
    slopes[at] += count * slope
    for (const [index, other] of below.entries()) slopes[other] -= count * slope * Math.exp(weights[index] - together)
  }
  return { value: total, dLogps: slopes.map((slope) => beta * slope) }
}
