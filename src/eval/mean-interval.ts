/** @file Means over problems with 95 % intervals, many at once: one draw of problems serves all of them. */
import { bootstrapAll, type Estimate, UNDEFINED_ESTIMATE } from './interval.ts'

/** A number for each problem, in the same order everywhere; null where a problem has none. */
export type Column = readonly (number | null)[]

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

/** The mean of each column with its interval as `bootstrapAll` has it. A resample without any value of a column is left out. */
export function bootstrapMeans(columns: readonly Column[]): Estimate[] {
  const count = columns.length
  const rows = (columns[0] ?? []).map((_, problem) => [
    ...columns.map((column) => column[problem] ?? 0),
    ...columns.map((column) => Number(column[problem] !== null)),
  ])
  return bootstrapAll(
    rows,
    columns.map((_, at) => (sums) => sums[at] / sums[count + at]),
  )
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

function sumOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0)
}
