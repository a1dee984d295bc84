/** @file Confidence intervals by resampling whole problems: what belongs to one problem is not independent. */
import { random } from '../base/random.ts'

/** A statistic with the bounds of its 95 % interval; all null where it is not defined. */
export type Estimate =
  | { readonly value: number; readonly low: number; readonly high: number }
  | { readonly value: null; readonly low: null; readonly high: null }

export const UNDEFINED_ESTIMATE: Estimate = { value: null, low: null, high: null }

const RESAMPLES = 2000

/** NaN says that it is not defined. */
export type Statistic = (sums: readonly number[]) => number

/**
 * Statistics of column sums with their 95 % percentile-bootstrap intervals (Efron & Tibshirani 1993, chapter 13), drawing
 * rows with replacement, one draw for all. `rows[i]` is what problem i adds to each sum; resamples for which a statistic
 * is not defined are left out. As many rows are drawn alike each time.
 */
export function bootstrapAll(rows: readonly (readonly number[])[], statistics: readonly Statistic[]): Estimate[] {
  if (rows.length === 0) return statistics.map(() => UNDEFINED_ESTIMATE)
  const columns = rows[0].map((_, at) => Float64Array.from(rows, (row) => row[at]))
  const draw = random(0, 'bootstrap', rows.length)
  const times = new Float64Array(rows.length)
  const resampled = statistics.map(() => new Float64Array(RESAMPLES))
  for (let sample = 0; sample < RESAMPLES; sample++) {
    times.fill(0)
    for (let drawn = 0; drawn < rows.length; drawn++) times[draw.below(rows.length)]++
    const sums = columns.map((column) => dot(times, column))
    for (const [at, statistic] of statistics.entries()) resampled[at][sample] = statistic(sums)
  }
  const whole = columns.map((column) => dot(times.fill(1), column))
  return statistics.map((statistic, at) => estimateOf(statistic(whole), resampled[at]))
}

/** One statistic of them. */
export function bootstrap(rows: readonly (readonly number[])[], statistic: Statistic): Estimate {
  return bootstrapAll(rows, [statistic])[0]
}

function estimateOf(value: number, resampled: Float64Array): Estimate {
  if (Number.isNaN(value)) return UNDEFINED_ESTIMATE
  const sorted = resampled.filter((found) => !Number.isNaN(found)).sort()
  // Where so few rows are defined that no resample is, the value alone is known.
  const at = (share: number): number => sorted[Math.round(share * (sorted.length - 1))] ?? value
  return { value, low: at(0.025), high: at(0.975) }
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0
  for (let at = 0; at < a.length; at++) sum += a[at] * b[at]
  return sum
}
