/** @file How far judges and people agree, beyond chance: Cohen's κ of two, Fleiss' κ of several. */
import { bootstrap, type Estimate, UNDEFINED_ESTIMATE } from './interval.ts'

export interface Agreement {
  /** 1: always; 0: as often as by chance. Not defined where chance alone would always agree. */
  readonly kappa: Estimate
  /** The share of agreement that is seen; null without items. */
  readonly observed: number | null
  /** The share that is to be expected by chance. */
  readonly expected: number | null
  /** Items that count: those with at least two labels. */
  readonly items: number
}

/** What raters said of one item; null where one said nothing. */
export type Ratings = readonly (string | null)[]

/**
 * Cohen's κ = (observed − expected) / (1 − expected) of two raters (Cohen 1960). Items come by solution, and the
 * interval is over solutions: steps of one are not independent. Items that one rater did not label are left out.
 */
export function cohenKappa(solutions: readonly (readonly (readonly [string | null, string | null])[])[]): Agreement {
  const categories = indexCategories(solutions)
  const size = categories.size
  const columns = solutions.map((items) => {
    const table: number[] = new Array(1 + 1 + 2 * size).fill(0) // items, agreed, the first's labels, the second's
    for (const [first, second] of items) {
      if (first === null || second === null) continue
      table[0]++
      table[1] += Number(first === second)
      table[2 + at(categories, first)]++
      table[2 + size + at(categories, second)]++
    }
    return table
  })
  const observed = ([items, agreed]: readonly number[]): number => agreed / items
  const expected = (sums: readonly number[]): number => {
    let both = 0
    for (let index = 0; index < size; index++) both += sums[2 + index] * sums[2 + size + index]
    return both / sums[0] ** 2
  }
  return agreementOf(columns, observed, expected)
}

/**
 * Fleiss' κ of several raters (Fleiss 1971), for items with any number of labels from two on: an item's agreement is
 * the share of its pairs of labels that are equal, and chance goes by the labels of all items. Items come by solution,
 * and the interval is over solutions.
 */
export function fleissKappa(solutions: readonly (readonly Ratings[])[]): Agreement {
  const categories = indexCategories(solutions)
  const columns = solutions.map((items) => {
    const sums: number[] = new Array(2 + categories.size).fill(0) // items, their agreement, labels by category
    for (const ratings of items) addItem(sums, ratings, categories)
    return sums
  })
  const observed = ([items, agreement]: readonly number[]): number => agreement / items
  const expected = ([, , ...counts]: readonly number[]): number => {
    const total = counts.reduce((sum, count) => sum + count, 0)
    return counts.reduce((sum, count) => sum + (count / total) ** 2, 0)
  }
  return agreementOf(columns, observed, expected)
}

function addItem(sums: number[], ratings: Ratings, categories: ReadonlyMap<string, number>): void {
  const labels = ratings.filter((label) => label !== null)
  if (labels.length < 2) return
  const counts = new Map<string, number>()
  for (const label of labels) {
    counts.set(label, (counts.get(label) ?? 0) + 1)
    sums[2 + at(categories, label)]++
  }
  let pairs = 0
  for (const count of counts.values()) pairs += count * (count - 1)
  sums[0]++
  sums[1] += pairs / (labels.length * (labels.length - 1))
}

type Statistic = (sums: readonly number[]) => number

function agreementOf(columns: readonly (readonly number[])[], observed: Statistic, expected: Statistic): Agreement {
  const sums = columns.reduce<readonly number[]>((all, row) => row.map((value, index) => value + (all[index] ?? 0)), [])
  const items = sums[0] ?? 0
  if (items === 0) return { kappa: UNDEFINED_ESTIMATE, observed: null, expected: null, items }
  const kappa = bootstrap(columns, (drawn) => (observed(drawn) - expected(drawn)) / (1 - expected(drawn)))
  return { kappa, observed: observed(sums), expected: expected(sums), items }
}

function indexCategories(solutions: readonly (readonly Ratings[])[]): Map<string, number> {
  const categories = new Map<string, number>()
  for (const label of solutions.flat(2)) {
    if (label !== null && !categories.has(label)) categories.set(label, categories.size)
  }
  return categories
}

function at(categories: ReadonlyMap<string, number>, label: string): number {
  return categories.get(label) ?? 0
}
