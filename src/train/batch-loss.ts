/**
 * @file Preference losses that compare the pairs of a batch with each other: values and gradients of all its pairs. AOT
 * (Melnyk et al. 2024) as in TRL's DPOTrainer 1.16, for pairs of any weight.
 */

import { logistic } from './curve.ts'
import { type LossOptions, lossOf, type PairLogps, type PairLoss } from './loss.ts'

/** A pair that counts `weight` times. */
export interface WeightedPair extends PairLogps {
  readonly weight: number
}

/** The losses of the pairs of a batch, in their order. */
export type BatchLoss = (pairs: readonly WeightedPair[], options: LossOptions) => PairLoss[]

/** A part of the batch that is compared: the sample of pair `first` with that of pair `second`. */
interface Match {
  readonly first: number
  readonly second: number
  readonly weight: number
}

/** Indices of pairs, the one with the smallest value first. */
function orderBy(pairs: readonly WeightedPair[], value: (pair: WeightedPair) => number): number[] {
  const values = pairs.map(value)
  return [...values.keys()].sort((a, b) => values[a] - values[b])
}

/** The smallest of one order with the smallest of the other, each as often as it counts, and so on up to the largest. */
function matchInOrder(pairs: readonly WeightedPair[], first: readonly number[], second: readonly number[]): Match[] {
  const matches: Match[] = []
  const weightAt = (order: readonly number[], at: number): number => (at < order.length ? pairs[order[at]].weight : 0)
  let [a, b] = [0, 0]
  let [left, right] = [weightAt(first, 0), weightAt(second, 0)]
  while (a < first.length && b < second.length) {
    const weight = Math.min(left, right) // one of both is used up
    matches.push({ first: first[a], second: second[b], weight })
    left -= weight
    right -= weight
    if (left === 0) left = weightAt(first, ++a)
    if (right === 0) right = weightAt(second, ++b)
  }
  return matches
}

/**
 * The mean of the logistic loss of β (u_i − v_j) over the matches of u and v in order. Slopes by u belong to pair i; those
 * by −v to pair j where v follows from the policy.
 */
function transport(
  { beta, labelSmoothing }: LossOptions,
  pairs: readonly WeightedPair[],
  first: (pair: WeightedPair) => number,
  second: (pair: WeightedPair) => number,
) {
  const totals = pairs.map(() => ({ value: 0, dFirst: 0, dSecond: 0 }))
  for (const match of matchInOrder(pairs, orderBy(pairs, first), orderBy(pairs, second))) {
    const [one, other] = [pairs[match.first], pairs[match.second]]
    const { value, slope } = logistic(beta * (first(one) - second(other)), labelSmoothing)
    const total = totals[match.first]
    total.value += (match.weight / one.weight) * value
    total.dFirst += (match.weight / one.weight) * beta * slope
    totals[match.second].dSecond -= (match.weight / other.weight) * beta * slope
  }
  return totals
}

/** u = lp_w − lp_l of the policy, v = that of the reference. */
export const aotLoss: BatchLoss = (pairs, options) =>
  transport(
    options,
    pairs,
    ({ chosen, rejected }) => chosen - rejected,
    ({ referenceChosen, referenceRejected }) => referenceChosen - referenceRejected,
  ).map(({ value, dFirst }) => lossOf(value, dFirst, -dFirst))

/** u = log ratios of chosen sides, v = those of rejected sides. */
export const aotUnpairedLoss: BatchLoss = (pairs, options) =>
  transport(
    options,
    pairs,
    ({ chosen, referenceChosen }) => chosen - referenceChosen,
    ({ rejected, referenceRejected }) => rejected - referenceRejected,
  ).map(({ value, dFirst, dSecond }) => lossOf(value, dFirst, dSecond))
