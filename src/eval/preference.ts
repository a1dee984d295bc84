/** @file How often the policy prefers the chosen continuation on held-out groups, with intervals by problem. */
import type { EncodedGroup } from '../batch/encode.ts'
import { type PackedRow, packGroups } from '../batch/pack.ts'
import type { FedLayers } from '../model/forward.ts'
import { scoreRow } from '../model/pass.ts'
import type { WeightedPair } from '../train/batch-loss.ts'
import { meanChosenTokens, pairLogps, referenceLogps, sumLogps } from '../train/logps.ts'
import { marginOf } from '../train/loss.ts'
import { pairTotals } from '../train/metrics.ts'
import { lossesOf } from '../train/objective.ts'
import type { PackedObjective, Policy } from '../train/update.ts'
import { type Cluster, clusterInterval } from './interval.ts'

export interface PreferenceProgress {
  readonly done: number
  readonly total: number
}

/** A pair that was scored, with the problem it belongs to. */
interface ScoredPair extends WeightedPair {
  readonly problem: string
}

/** Rows of whole problems, so that each pair knows its own. */
function rowsByProblem(
  groups: readonly EncodedGroup[],
  objective: PackedObjective,
): { problem: string; rows: PackedRow[] }[] {
  const problems = new Map<string, EncodedGroup[]>()
  for (const group of groups) problems.set(group.problem, [...(problems.get(group.problem) ?? []), group])
  return [...problems].map(([problem, own]) => ({ problem, rows: packGroups(own, objective.packing) }))
}

/** The share of pairs for which something holds, with its interval. */
function share(pairs: readonly ScoredPair[], holds: (pair: ScoredPair) => boolean) {
  const clusters = new Map<string, Cluster>()
  for (const pair of pairs) {
    const { sum, weight } = clusters.get(pair.problem) ?? { sum: 0, weight: 0 }
    clusters.set(pair.problem, { sum: sum + pair.weight * Number(holds(pair)), weight: weight + pair.weight })
  }
  return clusterInterval([...clusters.values()])
}

/**
 * TRL's metrics on held-out groups, and beside them: ties apart, the accuracy of plain log-probabilities of policy and
 * reference, and 95 % intervals by problem. Yields after each row.
 */
export async function* evaluatePreferences(
  policy: Policy,
  layers: FedLayers,
  groups: readonly EncodedGroup[],
  objective: PackedObjective,
): AsyncGenerator<PreferenceProgress, Record<string, number>> {
  const problems = rowsByProblem(groups, objective)
  const all = problems.flatMap(({ rows }) => rows)
  const meanTokens = meanChosenTokens(all)
  const total = all.length
  const pairs: ScoredPair[] = []
  let done = 0
  for (const { problem, rows } of problems) {
    for (const packed of rows) {
      const reference = await referenceLogps(policy.reference, packed, policy.cache)
      const sums = sumLogps(packed, await scoreRow(policy.machine, packed.row, layers))
      for (const pair of pairLogps(packed, sums, reference, meanTokens)) pairs.push({ ...pair, problem })
      done++
      yield { done, total }
    }
  }
  return metricsOf(pairs, objective)
}

function metricsOf(pairs: readonly ScoredPair[], objective: PackedObjective): Record<string, number> {
  const totals = pairTotals(objective.beta)
  for (const [at, { value }] of lossesOf(pairs, objective).entries()) totals.add(pairs[at], value)
  const accuracy = share(pairs, (pair) => marginOf(pair, objective.beta) > 0)
  const untrained = share(pairs, (pair) => pair.referenceChosen > pair.referenceRejected)
  const plain = share(pairs, (pair) => pair.chosen > pair.rejected)
  const metrics = {
    ...totals.means(),
    'rewards/accuracies_low': accuracy.low,
    'rewards/accuracies_high': accuracy.high,
    'rewards/ties': share(pairs, (pair) => marginOf(pair, objective.beta) === 0).mean,
    'logps/accuracies': plain.mean,
    'logps/accuracies_low': plain.low,
    'logps/accuracies_high': plain.high,
    'reference/accuracies': untrained.mean,
    'reference/accuracies_low': untrained.low,
    'reference/accuracies_high': untrained.high,
    pairs: pairs.reduce((count, { weight }) => count + weight, 0),
    problems: new Set(pairs.map(({ problem }) => problem)).size,
  }
  return Object.fromEntries(Object.entries(metrics).map(([name, value]) => [`eval_${name}`, value]))
}
