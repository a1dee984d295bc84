/** @file The points of a sweep ranked by a held-out metric, with intervals by problem and paired differences to the best. */
import type { Metrics } from '../data/events.ts'
import { bootstrap, type Estimate, UNDEFINED_ESTIMATE } from '../eval/interval.ts'
import { hasReference, showPoint, type Trial } from './sweep-grid.ts'
import type { Outcome, TrialResult } from './sweep-trial.ts'

/** How a point stands to the best: `open` where the difference may be chance, `unknown` where no interval tells. */
export type Standing = 'best' | 'open' | 'behind' | 'unknown' | 'failed'

export interface SweepRow {
  readonly name: string
  readonly point: string
  readonly settings: Readonly<Record<string, unknown>>
  /** The settings as they are written, short. */
  readonly labels: Readonly<Record<string, string>>
  /** The folders of its trials, one for each seed. */
  readonly trials: readonly string[]
  readonly standing: Standing
  /** The metric of the sweep: the mean over seeds, and its interval where there is one. */
  readonly value: { readonly mean: number; readonly low: number | null; readonly high: number | null } | null
  /** Its value less that of the best, over the same problems; undefined numbers are null. */
  readonly difference: Estimate
  /** The least and the greatest value of a seed, where there are several. */
  readonly seedRange: readonly [number, number] | null
  /** How much likelier than the reference the policy finds chosen sides, in nats; null where it has no reference. */
  readonly chosenChange: number | null
  /** Means over seeds. */
  readonly updates: number
  readonly tokens: number
  readonly seconds: number
  readonly metrics: Metrics
  /** Why it has no value. */
  readonly failure: string | null
}

export interface SweepReport {
  readonly metric: string
  readonly greaterIsBetter: boolean
  /** Trials without an outcome yet. */
  readonly missing: number
  /** The best first, those that failed last. */
  readonly rows: readonly SweepRow[]
}

/** A trial that has ended. */
export interface EndedTrial {
  readonly trial: Trial
  /** The folder that holds it: of another name where another grid made it. */
  readonly folder: string
  readonly outcome: Outcome
}

/** What is ranked, and which end is the better one. */
export interface Ranking {
  readonly metric: string
  readonly greaterIsBetter: boolean
}

/** A point with all its trials, before it is compared. */
interface Candidate {
  readonly trials: readonly EndedTrial[]
  readonly results: readonly TrialResult[]
  readonly row: SweepRow
}

/** Ranks the points all whose `trials` have ended; with equal values, the earlier point of the grid is the better one. */
export function rankPoints(trials: readonly Trial[], ended: readonly EndedTrial[], ranking: Ranking): SweepReport {
  const points = [...new Set(trials.map(({ point }) => point))]
  const candidates = points.flatMap((point) => {
    const own = ended.filter(({ trial }) => trial.point === point)
    const isWhole = own.length === trials.filter((trial) => trial.point === point).length
    return isWhole ? [candidateOf(own, ranking.metric)] : []
  })
  const sign = ranking.greaterIsBetter ? -1 : 1
  const rank = ({ row }: Candidate): number => (row.value === null ? Number.POSITIVE_INFINITY : sign * row.value.mean)
  const sorted = candidates.sort((a, b) => (rank(a) === rank(b) ? 0 : rank(a) - rank(b)))
  const [best] = sorted
  return {
    ...ranking,
    missing: trials.length - ended.length,
    rows: sorted.map((candidate) => (candidate.row.value === null ? candidate.row : compare(candidate, best, ranking))),
  }
}

function candidateOf(trials: readonly EndedTrial[], metric: string): Candidate {
  const results = trials.flatMap(({ outcome }) => ('failure' in outcome ? [] : [outcome]))
  const values = results.flatMap(({ metrics }) => (Number.isFinite(metrics[metric]) ? [metrics[metric]] : []))
  const value = values.length === trials.length ? estimateOf(results, metric) : null
  const [{ trial }] = trials
  const metrics = meansOf(results.map((result) => result.metrics))
  const row: SweepRow = {
    name: trial.point.name,
    point: showPoint(trial.point),
    settings: Object.fromEntries([...trial.point.values].map(([key, one]) => [key, one.value])),
    labels: Object.fromEntries([...trial.point.values].map(([key, { text }]) => [key, text])),
    trials: trials.map(({ folder }) => folder),
    standing: 'failed',
    value,
    difference: UNDEFINED_ESTIMATE,
    seedRange: value === null || values.length < 2 ? null : [Math.min(...values), Math.max(...values)],
    chosenChange: chosenChangeOf(trial, metrics),
    updates: meanOf(results.map(({ updates }) => updates)),
    tokens: meanOf(results.map(({ tokens }) => tokens)),
    seconds: meanOf(results.map(({ seconds }) => seconds)),
    metrics,
    failure: value === null ? failureOf(trials, metric) : null,
  }
  return { trials, results, row }
}

/** From the reward, which is β times the change. */
function chosenChangeOf({ settings }: Trial, metrics: Metrics): number | null {
  const reward = metrics['eval_rewards/chosen']
  return reward === undefined || !hasReference(settings) ? null : reward / settings.beta
}

function meanOf(values: readonly number[]): number {
  return values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length
}

/** The means of the metrics that all have. */
function meansOf(all: readonly Metrics[]): Metrics {
  const names = Object.keys(all[0] ?? {}).filter((name) => all.every((metrics) => metrics[name] !== undefined))
  return Object.fromEntries(names.map((name) => [name, meanOf(all.map((metrics) => metrics[name]))]))
}

function failureOf(trials: readonly EndedTrial[], metric: string): string {
  const reasons = trials.flatMap(({ outcome, trial }) => {
    if ('failure' in outcome) return [{ seed: trial.settings.seed, reason: outcome.failure }]
    return !Number.isFinite(outcome.metrics[metric])
      ? [{ seed: trial.settings.seed, reason: `${metric} is not finite` }]
      : []
  })
  const [first] = reasons
  return trials.length === 1
    ? first.reason
    : `${reasons.length} of ${trials.length} seeds, first ${first.seed}: ${first.reason}`
}

/** The mean over seeds: with the interval over problems, or the evaluation's own where problems have no such metric. */
function estimateOf(results: readonly TrialResult[], metric: string): NonNullable<SweepRow['value']> {
  const mean = meanOf(results.map(({ metrics }) => metrics[metric]))
  const clusters = clustersOf(results, metric)
  if (clusters !== undefined) {
    const { low, high } = clusterMean([...clusters.values()])
    return { mean, low, high }
  }
  const [{ metrics }] = results
  const [low, high] = [metrics[`${metric}_low`], metrics[`${metric}_high`]]
  return results.length > 1 || low === undefined || high === undefined
    ? { mean, low: null, high: null }
    : { mean, low, high }
}

/** What a problem adds to the mean over seeds, each seed of weight 1: a value, and its weight. */
type Cluster = readonly [sum: number, weight: number]

/** By problem, which several seeds may hold out; undefined where problems do not have the metric. */
function clustersOf(results: readonly TrialResult[], metric: string): Map<string, Cluster> | undefined {
  const clusters = new Map<string, Cluster>()
  for (const { problems } of results) {
    const total = problems.reduce((sum, { pairs }) => sum + pairs, 0)
    for (const { problem, pairs, metrics } of problems) {
      const value = metrics[metric]
      if (value === undefined) return undefined
      const [sum, weight] = clusters.get(problem) ?? [0, 0]
      clusters.set(problem, [sum + (pairs / total) * value, weight + pairs / total])
    }
  }
  return clusters.size === 0 ? undefined : clusters
}

function clusterMean(clusters: readonly Cluster[]): Estimate {
  return bootstrap(clusters, ([sum, weight]) => sum / weight)
}

/** How a point stands to the best: by the paired difference, or else by whether the intervals overlap. */
function compare(candidate: Candidate, best: Candidate, { metric, greaterIsBetter }: Ranking): SweepRow {
  const { row } = candidate
  if (candidate === best) return { ...row, standing: 'best' }
  const difference = differenceOf(candidate, best, metric)
  if (difference.value !== null) {
    const isOpen = difference.low <= 0 && difference.high >= 0
    return { ...row, difference, standing: isOpen ? 'open' : 'behind' }
  }
  const [own, other] = greaterIsBetter ? [row.value?.high, best.row.value?.low] : [best.row.value?.high, row.value?.low]
  if (typeof own !== 'number' || typeof other !== 'number') return { ...row, standing: 'unknown' }
  return { ...row, standing: own >= other ? 'open' : 'behind' }
}

/** Own − best, drawing problems with both their numbers; not defined where both were not measured on the same problems. */
function differenceOf(candidate: Candidate, best: Candidate, metric: string): Estimate {
  const own = clustersOf(candidate.results, metric)
  const other = clustersOf(best.results, metric)
  if (own === undefined || other === undefined || own.size !== other.size) return UNDEFINED_ESTIMATE
  const rows: Cluster[] = []
  for (const [problem, [sum, weight]] of own) {
    const known = other.get(problem)
    if (known === undefined || Math.abs(known[1] - weight) > 1e-9) return UNDEFINED_ESTIMATE
    rows.push([sum - known[0], weight])
  }
  return clusterMean(rows)
}
