/** @file The metrics of pairs under TRL's names, summed up as rows come in. */

import type { PackedRow } from '../batch/pack.ts'
import type { TokenScores } from '../model/head-pass.ts'
import type { WeightedPair } from './batch-loss.ts'
import { marginOf, type PairLogps } from './loss.ts'
import type { LossUnit } from './loss-table.ts'

/** σ(margin) = 0.99: of the sigmoid loss, such a pair adds less than a hundredth of its gradient. */
const SATURATED = Math.log(99)

/** Weighted sums over pairs. */
const pairMetrics = {
  'rewards/chosen': ({ chosen, referenceChosen }: PairLogps, beta: number) => beta * (chosen - referenceChosen),
  'rewards/rejected': ({ rejected, referenceRejected }: PairLogps, beta: number) =>
    beta * (rejected - referenceRejected),
  'rewards/margins': marginOf,
  // Strict: ties count as wrong, as in TRL, so it is 0 before the first change.
  'rewards/accuracies': (pair: PairLogps, beta: number) => Number(marginOf(pair, beta) > 0),
  'rewards/ties': (pair: PairLogps, beta: number) => Number(marginOf(pair, beta) === 0),
  'rewards/saturated': (pair: PairLogps, beta: number) => Number(marginOf(pair, beta) > SATURATED),
  'logps/chosen': ({ chosen }: PairLogps) => chosen,
  'logps/rejected': ({ rejected }: PairLogps) => rejected,
}

export interface PairTotals {
  add(pair: WeightedPair): void
  /** A loss that counts `weight` times in the mean. */
  addLoss(value: number, weight: number): void
  /** Of all losses so far. */
  lossWeight(): number
  /** Means over the pairs. */
  means(): Record<string, number>
}

export function pairTotals(beta: number): PairTotals {
  const totals = new Map<string, number>()
  let weights = 0
  const loss = { total: 0, weight: 0 }
  const count = (name: string, value: number): void => {
    totals.set(name, (totals.get(name) ?? 0) + value)
  }
  return {
    addLoss: (value, weight) => {
      loss.total += weight * value
      loss.weight += weight
    },
    lossWeight: () => loss.weight,
    add: (pair) => {
      const { weight } = pair
      weights += weight
      for (const [name, metric] of Object.entries(pairMetrics)) count(name, weight * metric(pair, beta))
    },
    means: () => ({
      loss: loss.total / loss.weight,
      ...Object.fromEntries([...totals].map(([name, total]) => [name, total / weights])),
    }),
  }
}

export interface TokenTotals {
  add(packed: PackedRow, scores: TokenScores): void
  /** Means over the tokens of all sides of all pairs of each microbatch, then over microbatches, as in TRL. */
  means(): Record<string, number>
  /** Begins the next microbatch. */
  endBatch(): void
}

interface Tokens {
  entropy: number
  count: number
  chosenLogits: number
  chosenGreedy: number
  chosenCount: number
  rejectedLogits: number
  rejectedCount: number
}

function noTokens(): Tokens {
  return {
    entropy: 0,
    count: 0,
    chosenLogits: 0,
    chosenGreedy: 0,
    chosenCount: 0,
    rejectedLogits: 0,
    rejectedCount: 0,
  }
}

/** A continuation as one of the sides that are looked at. */
interface CountedSide {
  readonly continuation: number
  readonly isChosen: boolean
  readonly weight: number
}

/** Both sides of all pairs; where members are used one by one, each as what its rating makes of it. */
function sidesOf({ pairs, sources }: PackedRow, unit: LossUnit): CountedSide[] {
  if (unit !== 'member') {
    return pairs.flatMap(({ chosen, rejected, weight }) => [
      { continuation: chosen, isChosen: true, weight },
      { continuation: rejected, isChosen: false, weight },
    ])
  }
  return sources.map(({ group, member }, continuation) => {
    const { rating = 0, count = 1 } = group.details?.[member] ?? {}
    return { continuation, isChosen: rating > 0, weight: count }
  })
}

export function tokenTotals(unit: LossUnit): TokenTotals {
  const batches: Tokens[] = []
  let current = noTokens()
  const addSide = (tokens: Int32Array, scores: TokenScores, weight: number, isChosen: boolean): void => {
    for (const at of tokens) {
      current.entropy += weight * scores.entropy[at]
      current.count += weight
      if (isChosen) {
        current.chosenLogits += weight * scores.meanLogit[at]
        current.chosenGreedy += weight * Number(scores.logps[at] >= scores.best[at])
        current.chosenCount += weight
      } else {
        current.rejectedLogits += weight * scores.meanLogit[at]
        current.rejectedCount += weight
      }
    }
  }
  // Over the microbatches that have such tokens.
  const mean = (value: (batch: Tokens) => number): number => {
    const values = batches.map(value).filter((one) => !Number.isNaN(one))
    return values.reduce((total, one) => total + one, 0) / values.length
  }
  return {
    add: (packed, scores) => {
      for (const { continuation, isChosen, weight } of sidesOf(packed, unit)) {
        addSide(packed.continuations[continuation], scores, weight, isChosen)
      }
    },
    endBatch: () => {
      batches.push(current)
      current = noTokens()
    },
    means: () => {
      const means = {
        entropy: mean((batch) => batch.entropy / batch.count),
        'logits/chosen': mean((batch) => batch.chosenLogits / batch.chosenCount),
        'logits/rejected': mean((batch) => batch.rejectedLogits / batch.rejectedCount),
        mean_token_accuracy: mean((batch) => batch.chosenGreedy / batch.chosenCount),
      }
      return Object.fromEntries(Object.entries(means).filter(([, value]) => !Number.isNaN(value)))
    },
  }
}
