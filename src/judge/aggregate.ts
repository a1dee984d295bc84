/** @file From the scores of steps to the score of a solution. Knows no judge; a step without a score is left out. */
import { UserError } from '../base/errors.ts'
import type { ScoreMeaning, StepVerdict } from './port.ts'

export const AGGREGATIONS = [
  'mean',
  'weighted',
  'linear',
  'inverse',
  'decay',
  'rise',
  'product',
  'geometric',
  'min',
  'softmin',
  'last',
  'max',
  'sum',
  'power',
  'first_error',
  'fraction_correct',
] as const

export type AggregationName = (typeof AGGREGATIONS)[number]

/** The weight of a step in a mean: `position` counts from 1 to `count`, the steps of the solution. */
export type PositionWeight = (position: number, count: number) => number

export interface AggregationOptions {
  /** For `weighted`: one for each step of the solution. */
  readonly weights: readonly number[]
  /** For `decay` and `rise`: the factor from step to step. */
  readonly gamma: number
  /** For `softmin`: near 0 it is the minimum, far above 1 the mean. */
  readonly temperature: number
  /** For `power`: 1 is the mean, 0 the geometric mean, −1 the harmonic. */
  readonly power: number
  /** For `first_error` and `fraction_correct`: a step below it is wrong. */
  readonly threshold: number
}

export const AGGREGATION_DEFAULTS: AggregationOptions = {
  weights: [],
  gamma: 0.95, // implicit PRM, eval/prm_eval_utils.py
  temperature: 0.1, // PURE, openrlhf/utils/utils.py
  power: 2,
  threshold: 0.5,
}

export interface Aggregate {
  /** Null where no step was scored, or none that weighs anything. In [0, 1] but for `sum`. */
  readonly score: number | null
  readonly scored: number
  readonly steps: number
  /** `scored / steps`; 0 for a solution without steps. */
  readonly coverage: number
}

/** The scores that are there, beside the positions of their steps in the solution, from 1. */
interface Scores {
  readonly values: readonly number[]
  readonly positions: readonly number[]
  /** Steps of the solution, with a score or without. */
  readonly count: number
}

type Method = (scores: Scores, options: AggregationOptions) => number

/** The formulas are those of PRM papers: Let's Verify (product), Math-Shepherd (min, sum), PURE (softmin). */
const methods: { readonly [N in AggregationName]: Method } = {
  mean: ({ values }) => meanOf(values),
  weighted: (scores, { weights }) => weightedMean(scores, givenWeights(weights, scores.count)),
  linear: (scores) => weightedMean(scores, (position) => position),
  inverse: (scores) => weightedMean(scores, (position) => 1 / position),
  decay: (scores, { gamma }) => weightedMean(scores, (position) => gamma ** (position - 1)),
  rise: (scores, { gamma }) => weightedMean(scores, (position, count) => gamma ** (count - position)),
  product: ({ values }) => Math.exp(sumOf(values.map(Math.log))),
  geometric: ({ values }) => Math.exp(meanOf(values.map(Math.log))),
  min: ({ values }) => lowest(values),
  softmin: ({ values }, { temperature }) => softMinimum(values, temperature),
  last: ({ values }) => values[values.length - 1],
  max: ({ values }) => highest(values),
  sum: ({ values }) => sumOf(values),
  power: ({ values }, { power }) => powerMean(values, power),
  first_error: (scores, { threshold }) => stepsBeforeError(scores, threshold) / scores.count,
  fraction_correct: ({ values }, { threshold }) => values.filter((value) => value >= threshold).length / values.length,
}

/**
 * The score of a solution by a named method, or by a mean with weights of one's own. Steps that were not scored are
 * left out, and `coverage` says how many were: of a judge that stops at the first error, `min`, `product` and `last`
 * are those of the wrong step, while means see the steps up to it only and are too friendly.
 * `product` and `min` favour solutions of few steps, `sum` those of many; `geometric` and the means do not.
 * @throws UserError for weights that do not fit the solution and options out of range.
 */
export function aggregate(
  verdicts: readonly StepVerdict[],
  method: AggregationName | PositionWeight,
  options: Partial<AggregationOptions> = {},
): Aggregate {
  const positions: number[] = []
  const values: number[] = []
  verdicts.forEach((verdict, index) => {
    if (verdict.state !== 'scored') return
    values.push(verdict.score)
    positions.push(index + 1)
  })
  const scores = { values, positions, count: verdicts.length }
  const all = { ...AGGREGATION_DEFAULTS, ...options }
  checkOptions(all)
  const run = (): number => (typeof method === 'function' ? weightedMean(scores, method) : methods[method](scores, all))
  const score = values.length === 0 ? Number.NaN : run()
  return {
    score: Number.isNaN(score) ? null : score,
    scored: values.length,
    steps: verdicts.length,
    coverage: verdicts.length === 0 ? 0 : values.length / verdicts.length,
  }
}

/**
 * What fits the meaning of the scores (Zhang et al. 2025, arXiv 2501.07301). Where a score is the chance that a step is
 * correct, the product is the chance that all are, and one wrong step spoils the solution. Where it is a value, the
 * chance to reach the answer from here (Monte-Carlo estimates), the last one has seen all the steps.
 */
export function defaultAggregation(meaning: ScoreMeaning): AggregationName {
  return meaning === 'correctness' ? 'product' : 'last'
}

function checkOptions({ gamma, temperature, power, threshold }: AggregationOptions): void {
  if (!(gamma > 0 && gamma <= 1)) throw new UserError(`gamma: expected above 0 and at most 1, found ${gamma}`)
  if (!(temperature > 0)) throw new UserError(`softmin temperature: expected above 0, found ${temperature}`)
  if (!Number.isFinite(power)) throw new UserError(`power: expected a finite number, found ${power}`)
  if (!(threshold >= 0 && threshold <= 1)) throw new UserError(`threshold: expected 0 to 1, found ${threshold}`)
}

function givenWeights(weights: readonly number[], count: number): PositionWeight {
  if (weights.length !== count) {
    throw new UserError(`expected ${count} weights, one for each step of the solution, found ${weights.length}`)
  }
  return (position) => weights[position - 1]
}

/** NaN where no scored step weighs anything. */
function weightedMean({ values, positions, count }: Scores, weight: PositionWeight): number {
  let sum = 0
  let total = 0
  values.forEach((value, index) => {
    const own = weight(positions[index], count)
    if (!(own >= 0 && own < Infinity)) {
      throw new UserError(`weight of step ${positions[index]}: expected a number of at least 0, found ${own}`)
    }
    sum += own * value
    total += own
  })
  return sum / total
}

/** Σ softmax(−p/T)·p, shifted by the minimum so that no exponential overflows. */
function softMinimum(values: readonly number[], temperature: number): number {
  const least = lowest(values)
  const weights = values.map((value) => Math.exp((least - value) / temperature))
  return sumOf(values.map((value, index) => value * weights[index])) / sumOf(weights)
}

/** (Σ p^q / K)^(1/q), scaled by the largest term so that none underflows; its limit at q = 0 is the geometric mean. */
function powerMean(values: readonly number[], power: number): number {
  if (power === 0) return Math.exp(meanOf(values.map(Math.log)))
  const scale = power > 0 ? highest(values) : lowest(values)
  if (scale === 0) return 0
  return scale * meanOf(values.map((value) => (value / scale) ** power)) ** (1 / power)
}

function stepsBeforeError({ values, positions, count }: Scores, threshold: number): number {
  const first = values.findIndex((value) => value < threshold)
  return first < 0 ? count : positions[first] - 1
}

function sumOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0)
}

function meanOf(values: readonly number[]): number {
  return sumOf(values) / values.length
}

function lowest(values: readonly number[]): number {
  return values.reduce((least, value) => Math.min(least, value), Infinity)
}

function highest(values: readonly number[]): number {
  return values.reduce((most, value) => Math.max(most, value), -Infinity)
}
