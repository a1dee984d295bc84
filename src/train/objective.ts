/** @file What a run minimises: a weighted sum of losses, and what these ask for. */
import type { WeightedPair } from './batch-loss.ts'
import { type LossOptions, lossOf, type PairLoss } from './loss.ts'
import { type Asked, entryOf, type LossType, type LossUnit } from './loss-table.ts'

/** A loss and how much it counts. */
export interface LossTerm {
  readonly type: LossType
  readonly weight: number
}

/** The losses of a run, all of one unit, and what they heed. */
export interface Objective extends LossOptions {
  readonly terms: readonly LossTerm[]
}

function ask(types: readonly LossType[], asked: Asked): boolean {
  return types.some((type) => entryOf(type).asks.includes(asked))
}

/** Whether one of these losses asks what the reference says of a token. */
export function asksReference(types: readonly LossType[]): boolean {
  return ask(types, 'reference')
}

/** Whether one of them asks how far the policy's whole distribution is from the reference's. */
export function asksKl(types: readonly LossType[]): boolean {
  return ask(types, 'kl')
}

/** Whether one of them asks for the judge's scores of both sides. */
export function needsScores(types: readonly LossType[]): boolean {
  return ask(types, 'scores')
}

/** Whether the loss of a pair follows from the other pairs of its batch too, with one of these losses. */
export function comparesPairs(types: readonly LossType[]): boolean {
  return types.some((type) => {
    const entry = entryOf(type)
    return entry.unit === 'pair' && entry.comparesPairs
  })
}

/** What these losses are computed of; of the first one where they differ, which settings refuse. */
export function unitOf([first = 'sigmoid']: readonly LossType[]): LossUnit {
  return entryOf(first).unit
}

/** Adds up losses of a pair, each by its weight. */
function addUp(parts: readonly { readonly loss: PairLoss; readonly weight: number }[]): PairLoss {
  const sum = { ...lossOf(0, 0, 0) }
  for (const { loss, weight } of parts) {
    sum.value += weight * loss.value
    sum.dChosen += weight * loss.dChosen
    sum.dRejected += weight * loss.dRejected
    sum.dChosenKl += weight * loss.dChosenKl
    sum.dRejectedKl += weight * loss.dRejectedKl
  }
  return sum
}

/**
 * The loss of each pair, given all pairs of a batch; any part of them where no loss compares pairs.
 * @throws Error for losses that are not of pairs.
 */
export function lossesOf(pairs: readonly WeightedPair[], objective: Objective): PairLoss[] {
  const terms = objective.terms.map(({ type, weight }) => {
    const entry = entryOf(type)
    if (entry.unit !== 'pair') throw new Error(`${type} is a loss of a ${entry.unit}, not of a pair`)
    return { losses: entry.losses(pairs, objective), weight }
  })
  return pairs.map(({ policyWeight }, at) =>
    addUp(terms.map(({ losses, weight }) => ({ loss: losses[at], weight: weight * policyWeight }))),
  )
}
