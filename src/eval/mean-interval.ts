/** @file Means over problems with 95 % intervals, many at once: one draw of problems serves all of them. */
import { random } from '../base/random.ts'
import { type Estimate, UNDEFINED_ESTIMATE } from './interval.ts'

/** A number for each problem, in the same order everywhere; null where a problem has none. */
export type Column = readonly (number | null)[]

const RESAMPLES = 2000
/** Of the normal distribution, on both sides. */
const QUANTILE_95 = 1.959963984540054

/** The interval of a share of 0s and 1s (Wilson 1927, without correction of continuity). `total` is above 0. */
export function wilson(right: number, total: number): Estimate {
  const value = right / total
  const square = QUANTILE_95 ** 2 / total
  const center = (value + square / 2) / (1 + square)
  const half = (QUANTILE_95 / (1 + square)) * Math.sqrt((value * (1 - value)) / total + square / (4 * total))
  // The bounds of 0 and of 1 are themselves, but for rounding.
  return { value, low: right === 0 ? 0 : center - half, high: right === total ? 1 : center + half }
}

/** Wilson's interval where each problem is right or wrong, which has a width even if all are; else the bootstrap's. */
export function intervalKind(column: Column): 'wilson' | 'bootstrap' {
  return column.every((value) => value === null || value === 0 || value === 1) ? 'wilson' : 'bootstrap'
}

/**
 * The mean of each column with its percentile-bootstrap interval, drawing problems with replacement, as `bootstrap` has
 * it. The same number of problems gives the same draws. A resample without any value of a column is left out.
 */
export function bootstrapMeans(columns: readonly Column[]): Estimate[] {
  const problems = columns[0]?.length ?? 0
  const parts = columns.map((column) => ({
    values: Float64Array.from(column, (value) => value ?? 0),
    weights: column.includes(null) ? Float64Array.from(column, (value) => Number(value !== null)) : null,
    resampled: new Float64Array(RESAMPLES),
  }))
  const draw = random(0, 'bootstrap', problems)
  const times = new Float64Array(problems)
  for (let sample = 0; sample < RESAMPLES; sample++) {
    times.fill(0)
    for (let drawn = 0; drawn < problems; drawn++) times[draw.below(problems)]++
    for (const { values, weights, resampled } of parts) {
      resampled[sample] = dot(times, values) / (weights === null ? problems : dot(times, weights))
    }
  }
  return parts.map(({ resampled }, at) => estimateOf(meanOf(columns[at]), resampled))
}

/** The mean of each column with the interval of its kind. */
export function meanIntervals(columns: readonly Column[], kinds = columns.map(intervalKind)): Estimate[] {
  const resampled = columns.filter((_, at) => kinds[at] === 'bootstrap')
  const estimates = new Map(bootstrapMeans(resampled).map((estimate, at) => [resampled[at], estimate]))
  return columns.map((column) => estimates.get(column) ?? wilsonOf(column))
}

function wilsonOf(column: Column): Estimate {
  const values = column.filter((value) => value !== null)
  return values.length === 0 ? UNDEFINED_ESTIMATE : wilson(sumOf(values), values.length)
}

function estimateOf(value: number | null, resampled: Float64Array): Estimate {
  if (value === null) return UNDEFINED_ESTIMATE
  const sorted = resampled.filter((mean) => !Number.isNaN(mean)).sort()
  const at = (share: number): number => sorted[Math.round(share * (sorted.length - 1))] ?? value
  return { value, low: at(0.025), high: at(0.975) }
}

function meanOf(column: Column): number | null {
  const values = column.filter((value) => value !== null)
  return values.length === 0 ? null : sumOf(values) / values.length
}

function sumOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0)
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0
  for (let at = 0; at < a.length; at++) sum += a[at] * b[at]
  return sum
}
