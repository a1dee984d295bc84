/** @file Confidence intervals by resampling whole problems: what belongs to one problem is not independent. */
import { random } from '../base/random.ts'

/** What one problem adds to a mean: the sum of the values and of their weights. */
export interface Cluster {
  readonly sum: number
  readonly weight: number
}

export interface Interval {
  readonly mean: number
  readonly low: number
  readonly high: number
}

/** A statistic with the bounds of its 95 % interval; all null where it is not defined. */
export type Estimate =
  | { readonly value: number; readonly low: number; readonly high: number }
  | { readonly value: null; readonly low: null; readonly high: null }

export const UNDEFINED_ESTIMATE: Estimate = { value: null, low: null, high: null }

const RESAMPLES = 2000

/**
 * A statistic of column sums with its 95 % percentile-bootstrap interval (Efron & Tibshirani 1993, chapter 13),
 * drawing rows with replacement. `rows[i]` is what problem i adds to each sum; NaN says that the statistic is not
 * defined, and resamples for which it is not are left out. The same rows in the same order give the same interval.
 */
export function bootstrap(
  rows: readonly (readonly number[])[],
  statistic: (sums: readonly number[]) => number,
): Estimate {
  const value = rows.length === 0 ? Number.NaN : statistic(sumOf(rows))
  if (Number.isNaN(value)) return UNDEFINED_ESTIMATE
  const draw = random(0, 'bootstrap', rows.length)
  const resampled = new Float64Array(RESAMPLES)
  for (let sample = 0; sample < RESAMPLES; sample++) {
    resampled[sample] = statistic(sumOf(rows.map(() => rows[draw.below(rows.length)])))
  }
  const sorted = resampled.filter((found) => !Number.isNaN(found)).sort()
  // Where so few rows are defined that no resample is, the value alone is known.
  const at = (share: number): number => sorted[Math.round(share * (sorted.length - 1))] ?? value
  return { value, low: at(0.025), high: at(0.975) }
}

function sumOf(rows: readonly (readonly number[])[]): number[] {
  const sums: number[] = rows[0].map(() => 0)
  for (const row of rows) for (let column = 0; column < sums.length; column++) sums[column] += row[column]
  return sums
}

/** The mean of all problems with its 95 % interval. There must be one, of positive weight. */
export function clusterInterval(clusters: readonly Cluster[]): Interval {
  const rows = clusters.map(({ sum, weight }) => [sum, weight])
  const { value, low, high } = bootstrap(rows, ([sum, weight]) => sum / weight)
  return value === null ? { mean: Number.NaN, low: Number.NaN, high: Number.NaN } : { mean: value, low, high }
}
