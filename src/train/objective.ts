/** @file What a run minimises: the weighted sum of losses of pairs, and of losses that compare the pairs of a batch. */
import { batchLosses, type WeightedPair } from './batch-loss.ts'
import { type LossOptions, losses, type PairLoss } from './loss.ts'

export type LossType = keyof typeof losses | keyof typeof batchLosses

/** A loss and how much it counts. */
export interface LossTerm {
  readonly type: LossType
  readonly weight: number
}

/** The losses of a run and what they heed. */
export interface Objective extends LossOptions {
  readonly terms: readonly LossTerm[]
}

function isBatchLoss(type: LossType): type is keyof typeof batchLosses {
  return Object.hasOwn(batchLosses, type)
}

/** Whether the loss of a pair follows from the other pairs of its batch too, with one of these losses. */
export function comparesPairs(types: readonly LossType[]): boolean {
  return types.some(isBatchLoss)
}

/** The loss of each pair, given all pairs of a batch; any part of them where no loss compares pairs. */
export function lossesOf(pairs: readonly WeightedPair[], objective: Objective): PairLoss[] {
  const sums = pairs.map(() => ({ value: 0, dChosen: 0, dRejected: 0 }))
  for (const { type, weight } of objective.terms) {
    const found = isBatchLoss(type)
      ? batchLosses[type](pairs, objective)
      : pairs.map((pair) => losses[type](pair, objective))
    for (const [at, { value, dChosen, dRejected }] of found.entries()) {
      sums[at].value += weight * value
      sums[at].dChosen += weight * dChosen
      sums[at].dRejected += weight * dRejected
    }
  }
  return sums
}
