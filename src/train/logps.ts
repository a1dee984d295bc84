/** @file Log-probabilities of the continuations of packed rows under the policy and the reference. */

import { type PackedRow, pairCount } from '../batch/pack.ts'
import type { Machine } from '../model/machine.ts'
import { scoreRow, weightLayers } from '../model/pass.ts'
import type { WeightedPair } from './batch-loss.ts'
import { continuationKeys, type ReferenceCache } from './reference.ts'

/** Σ of the log-probabilities of each continuation. */
export function sumLogps(packed: PackedRow, logps: ArrayLike<number>): number[] {
  return packed.continuations.map((tokens) => {
    let total = 0
    for (const at of tokens) total += logps[at]
    return total
  })
}

/** The same under the reference: from the cache, or computed for the row and put there. */
export async function referenceLogps(machine: Machine, packed: PackedRow, cache: ReferenceCache): Promise<number[]> {
  const keys = continuationKeys(packed)
  const known = keys.map((key) => cache.get(key))
  const computed = known.includes(undefined) ? await scoreRow(machine, packed.row, weightLayers(machine)) : undefined
  return keys.map((key, at) => {
    const logps = known[at] ?? Float32Array.from(packed.continuations[at], (token) => computed?.[token] ?? Number.NaN)
    // What is not finite is for the caller to name, not for later runs to find.
    if (known[at] === undefined && logps.every(Number.isFinite)) cache.put(key, logps)
    let total = 0
    for (const value of logps) total += value
    return total
  })
}

/** What the losses of a row's pairs follow from, in their order. Log-probabilities are sums, by continuation. */
export function pairLogps(
  { pairs, continuations }: PackedRow,
  policy: readonly number[],
  reference: readonly number[],
  meanChosenTokens: number,
): WeightedPair[] {
  return pairs.map(({ chosen, rejected, weight }) => ({
    weight,
    chosen: policy[chosen],
    rejected: policy[rejected],
    referenceChosen: reference[chosen],
    referenceRejected: reference[rejected],
    chosenTokens: continuations[chosen].length,
    rejectedTokens: continuations[rejected].length,
    meanChosenTokens,
  }))
}

/** The tokens of a chosen side, in the mean over all pairs of some rows. */
export function meanChosenTokens(rows: readonly PackedRow[]): number {
  let total = 0
  for (const { pairs, continuations } of rows) {
    for (const { chosen, weight } of pairs) total += weight * continuations[chosen].length
  }
  return total / pairCount(rows)
}
