/** @file How often the policy prefers the chosen continuation on held-out groups, with intervals by problem. */
import type { EncodedGroup } from '../batch/encode.ts'
import type { PackedRow } from '../batch/pack.ts'
import type { FedLayers } from '../model/forward.ts'
import type { WeightedPair } from '../train/batch-loss.ts'
import { lengthCorrelation } from '../train/length.ts'
import { marginOf } from '../train/loss.ts'
import { pairTotals } from '../train/metrics.ts'
import { unitOf } from '../train/objective.ts'
import { meanChosenTokens, pairLogps } from '../train/pair-unit.ts'
import { type Policy, scorePacked } from '../train/score.ts'
import type { ScoredRow } from '../train/scored.ts'
import type { RowSlopes } from '../train/unit.ts'
import { units } from '../train/units.ts'
import { askedOf, diagnosticsFor, type PackedObjective, packFor } from '../train/update.ts'
import { bootstrapAll } from './interval.ts'

export interface PreferenceProgress {
  readonly done: number
  readonly total: number
}

/** Rows of whole problems, so that each pair knows its own. */
function rowsByProblem(
  groups: readonly EncodedGroup[],
  objective: PackedObjective,
): { problem: string; rows: PackedRow[] }[] {
  const problems = new Map<string, EncodedGroup[]>()
  for (const group of groups) problems.set(group.problem, [...(problems.get(group.problem) ?? []), group])
  return [...problems].map(([problem, own]) => ({ problem, rows: packFor(own, objective) }))
}

/** Held-out metrics of one problem. */
export type ProblemMetrics = Readonly<Record<string, string | number>>

export interface Preferences {
  readonly metrics: Record<string, number>
  readonly problems: readonly ProblemMetrics[]
}

/**
 * TRL's metrics on held-out groups, and beside them: ties apart, the accuracy of plain log-probabilities of policy and
 * reference, 95 % intervals by problem, and the diagnostics. Yields after each row.
 */
export async function* evaluatePreferences(
  policy: Policy,
  layers: FedLayers,
  groups: readonly EncodedGroup[],
  objective: PackedObjective,
): AsyncGenerator<PreferenceProgress, Preferences> {
  const problems = rowsByProblem(groups, objective)
  const all = problems.flatMap(({ problem, rows }) => rows.map((packed) => ({ problem, packed })))
  const rows = all.map(({ packed }) => packed)
  const meanTokens = meanChosenTokens(rows)
  const asked = askedOf(objective)
  const scored: ScoredRow[] = []
  for (const packed of rows) {
    scored.push(await scorePacked(policy, packed, layers, asked))
    yield { done: scored.length, total: rows.length }
  }
  const loss = await units[unitOf(objective.terms.map(({ type }) => type))].begin(objective, {
    groups,
    rows,
    score: (at) => Promise.resolve(scored[at]),
    scoreOther: (packed) => scorePacked(policy, packed, layers, asked),
  })
  const found = problems.map(({ problem }): Found => ({ problem, pairs: [], losses: [] }))
  const byProblem = new Map(found.map((one) => [one.problem, one]))
  const seen = diagnosticsFor(objective)
  for (const [at, row] of scored.entries()) {
    const pairs = pairLogps(row, meanTokens, objective)
    byProblem.get(all[at].problem)?.pairs.push(...pairs)
    byProblem.get(all[at].problem)?.losses.push(...loss.slopes(row, at).losses)
    seen.add(row, pairs)
  }
  const correlation = lengthCorrelation(seen.lengths)
  const metrics = {
    ...metricsOf(found, objective.beta),
    ...loss.metrics(),
    ...seen.metrics(),
    ...(correlation !== undefined && { 'rewards/length_correlation': correlation }),
  }
  return {
    metrics: Object.fromEntries(Object.entries(metrics).map(([name, value]) => [`eval_${name}`, value])),
    problems: found.map((one) => ({ problem: one.problem, ...meansOf([one], objective.beta) })),
  }
}

/** What was found of a problem. */
interface Found {
  readonly problem: string
  readonly pairs: WeightedPair[]
  readonly losses: RowSlopes['losses'][number][]
}

function meansOf(problems: readonly Found[], beta: number): Record<string, number> {
  const totals = pairTotals(beta)
  for (const { pairs, losses } of problems) {
    for (const pair of pairs) totals.add(pair)
    for (const { value, weight } of losses) totals.addLoss(value, weight)
  }
  const pairs = problems.flatMap((one) => one.pairs).reduce((count, { weight }) => count + weight, 0)
  return { ...totals.means(), pairs }
}

/** Means whose intervals are told. */
const estimated: Readonly<Record<string, (pair: WeightedPair, beta: number) => number>> = {
  'rewards/accuracies': (pair, beta) => Number(marginOf(pair, beta) > 0),
  'rewards/margins': marginOf,
  'logps/chosen': ({ chosen }) => chosen,
  'logps/accuracies': ({ chosen, rejected }) => Number(chosen > rejected),
  'reference/accuracies': ({ referenceChosen, referenceRejected }) => Number(referenceChosen > referenceRejected),
}

/** Metrics of all problems, with 95 % intervals over them where there is something to estimate. */
function metricsOf(problems: readonly Found[], beta: number): Record<string, number> {
  const values = Object.values(estimated)
  const sum = <T extends { readonly weight: number }>(of: readonly T[], value: (one: T) => number): number =>
    of.reduce((total, one) => total + one.weight * value(one), 0)
  const sums = problems.map(({ pairs, losses }) => [
    sum(losses, () => 1),
    sum(pairs, () => 1),
    sum(losses, ({ value }) => value),
    ...values.map((value) => sum(pairs, (pair) => value(pair, beta))),
  ])
  const means = ['loss', ...Object.keys(estimated)].map((name, at) => ({ name, total: at === 0 ? 0 : 1, sum: 2 + at }))
  return { ...estimatesOf(sums, means), ...meansOf(problems, beta), problems: problems.length }
}

/** A mean: the columns of a sum and of what it is divided by. */
interface Mean {
  readonly name: string
  readonly total: number
  readonly sum: number
}

/** Means with their 95 % intervals, from the sums of each problem. */
function estimatesOf(sums: readonly (readonly number[])[], means: readonly Mean[]): Record<string, number> {
  const estimates = bootstrapAll(
    sums,
    means.map(
      ({ total, sum }) =>
        (drawn) =>
          drawn[sum] / drawn[total],
    ),
  )
  const entries = means.flatMap(({ name }, at) => {
    const { value, low, high } = estimates[at]
    return value === null ? [] : Object.entries({ [name]: value, [`${name}_low`]: low, [`${name}_high`]: high })
  })
  return Object.fromEntries(entries)
}

/** What an evaluation elsewhere found of a problem: means over its pairs. */
export interface ProblemMeans {
  readonly problem: string
  readonly pairs: number
  readonly metrics: Readonly<Record<string, number>>
}

/** The metrics that an evaluation elsewhere lacks: how many pairs and problems there are, and the intervals over them. */
export function estimateByProblem(problems: readonly ProblemMeans[]): Record<string, number> {
  const names = ['loss', ...Object.keys(estimated)].filter((name) => problems.every(({ metrics }) => name in metrics))
  const sums = problems.map(({ pairs, metrics }) => [pairs, ...names.map((name) => pairs * metrics[name])])
  const means = names.map((name, at) => ({ name, total: 0, sum: 1 + at }))
  return { ...estimatesOf(sums, means), pairs: sums.reduce((all, [pairs]) => all + pairs, 0), problems: sums.length }
}
