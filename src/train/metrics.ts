/** @file The metrics of pairs under TRL's names, summed up as rows come in. */

import type { PackedRow } from '../batch/pack.ts'
import type { TokenScores } from '../model/head-pass.ts'
import type { WeightedPair } from './batch-loss.ts'
import { marginOf, type PairLogps } from './loss.ts'

/** Weighted sums over pairs. */
const pairMetrics = {
  'rewards/chosen': ({ chosen, referenceChosen }: PairLogps, beta: number) => beta * (chosen - referenceChosen),
  'rewards/rejected': ({ rejected, referenceRejected }: PairLogps, beta: number) =>
    beta * (rejected - referenceRejected),
  'rewards/margins': marginOf,
  // Strict: ties count as wrong, as in TRL, so it is 0 before the first change.
  'rewards/accuracies': (pair: PairLogps, beta: number) => Number(marginOf(pair, beta) > 0),
  'logps/chosen': ({ chosen }: PairLogps) => chosen,
  'logps/rejected': ({ rejected }: PairLogps) => rejected,
}

export interface PairTotals {
  add(pair: WeightedPair, loss: number): void
  /** Means over the pairs. */
  means(): Record<string, number>
}

export function pairTotals(beta: number): PairTotals {
  const totals = new Map<string, number>()
  let weights = 0
  const count = (name: string, value: number): void => {
    totals.set(name, (totals.get(name) ?? 0) + value)
  }
  return {
    add: (pair, loss) => {
      const { weight } = pair
      weights += weight
      count('loss', weight * loss)
      for (const [name, metric] of Object.entries(pairMetrics)) count(name, weight * metric(pair, beta))
    },
    means: () => Object.fromEntries([...totals].map(([name, total]) => [name, total / weights])),
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

export function tokenTotals(): TokenTotals {
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
  const mean = (value: (batch: Tokens) => number): number =>
    batches.reduce((total, batch) => total + value(batch), 0) / batches.length
  return {
    add: ({ pairs, continuations }, scores) => {
      for (const { chosen, rejected, weight } of pairs) {
        addSide(continuations[chosen], scores, weight, true)
        addSide(continuations[rejected], scores, weight, false)
      }
    },
    endBatch: () => {
      batches.push(current)
      current = noTokens()
    },
    means: () => ({
      entropy: mean((batch) => batch.entropy / batch.count),
      'logits/chosen': mean((batch) => batch.chosenLogits / batch.chosenCount),
      'logits/rejected': mean((batch) => batch.rejectedLogits / batch.rejectedCount),
      mean_token_accuracy: mean((batch) => batch.chosenGreedy / batch.chosenCount),
    }),
  }
}
