import { describe, expect, test } from 'vitest'
import { random } from '../base/random.ts'
import { bootstrap, bootstrapAll, UNDEFINED_ESTIMATE } from './interval.ts'

/** What one problem adds to a mean: the sum of the values and of their weights. */
interface Cluster {
  readonly sum: number
  readonly weight: number
}

/** The mean of all problems with its interval. */
function meanOf(clusters: readonly Cluster[]) {
  const rows = clusters.map(({ sum, weight }) => [sum, weight])
  const { value, low, high } = bootstrap(rows, ([sum, weight]) => sum / weight)
  return { mean: value ?? Number.NaN, low: low ?? Number.NaN, high: high ?? Number.NaN }
}

test('one problem alone has an interval of no width, whatever it holds', () => {
  expect(meanOf([{ sum: 3, weight: 4 }])).toEqual({ mean: 0.75, low: 0.75, high: 0.75 })
})

test('problems that are all alike have an interval of no width', () => {
  const alike = Array.from({ length: 9 }, () => ({ sum: 1, weight: 2 }))
  expect(meanOf(alike)).toEqual({ mean: 0.5, low: 0.5, high: 0.5 })
})

test('of two problems, one all right and one all wrong, the interval is everything', () => {
  // Both draws are the wrong one, or both the right one, in a quarter of the resamples each: far more than 2.5 %.
  const two = [
    { sum: 0, weight: 1 },
    { sum: 3, weight: 3 },
  ]
  expect(meanOf(two)).toEqual({ mean: 0.75, low: 0, high: 1 })
})

/** Every resample of a few clusters, each as likely as any other: the bootstrap distribution itself, sorted. */
function allMeans(clusters: readonly Cluster[]): number[] {
  const count = clusters.length ** clusters.length
  const means = Array.from({ length: count }, (_, sample) => {
    let [rest, sum, weight] = [sample, 0, 0]
    for (let draw = 0; draw < clusters.length; draw++) {
      const cluster = clusters[rest % clusters.length]
      rest = Math.floor(rest / clusters.length)
      sum += cluster.sum
      weight += cluster.weight
    }
    return sum / weight
  })
  return means.sort((a, b) => a - b)
}

test.each([
  [
    [0, 1],
    [1, 1],
    [1, 2],
    [3, 3],
    [2, 5],
  ],
  [
    [0, 1],
    [10, 10],
    [3, 4],
    [1, 9],
    [2, 2],
    [5, 7],
  ],
])('the interval is that of all resamples there are, up to the chance of 2,000 of them: %j', (...pairs) => {
  const clusters = pairs.map(([sum, weight]) => ({ sum, weight }))
  const means = allMeans(clusters)
  const quantile = (share: number): number => means[Math.round(share * (means.length - 1))]
  // The share of 2,000 samples below a quantile of 2.5 % has a standard deviation of 0.35 %; allowed are four.
  const slack = 0.014
  const { mean, low, high } = meanOf(clusters)
  const total = (part: 'sum' | 'weight') => clusters.reduce((all, cluster) => all + cluster[part], 0)
  expect(mean).toBeCloseTo(total('sum') / total('weight'), 12)
  expect(low).toBeGreaterThanOrEqual(quantile(0.025 - slack))
  expect(low).toBeLessThanOrEqual(quantile(0.025 + slack))
  expect(high).toBeGreaterThanOrEqual(quantile(0.975 - slack))
  expect(high).toBeLessThanOrEqual(quantile(0.975 + slack))
})

/** Problems of 1 to 8 pairs that share their difficulty: their pairs are far from independent. The mean is ½. */
function simulate(seed: number): { sum: number; weight: number }[] {
  const draw = random(seed, 'simulated problems')
  return Array.from({ length: 40 }, () => {
    const weight = 1 + draw.below(8)
    const ease = draw.uniform() < 0.5 ? 0.1 : 0.9
    let sum = 0
    for (let pair = 0; pair < weight; pair++) sum += Number(draw.uniform() < ease)
    return { sum, weight }
  })
}

/** The part of simulated data sets whose interval holds the true mean. */
function coverage(trials: number, split: (problem: Cluster) => readonly Cluster[]): number {
  let held = 0
  for (let seed = 0; seed < trials; seed++) {
    const { low, high } = meanOf(simulate(seed).flatMap(split))
    held += Number(low <= 0.5 && 0.5 <= high)
  }
  return held / trials
}

test('about 95 % of intervals hold the true mean, and far fewer where pairs pass for independent', () => {
  // 150 trials at 95 % have a standard deviation of 1.8 %.
  const found = coverage(150, (problem) => [problem])
  expect(found).toBeGreaterThanOrEqual(0.9)
  expect(found).toBeLessThan(1)
  const single = ({ sum, weight }: Cluster) =>
    Array.from({ length: weight }, (_, pair) => ({ sum: Number(pair < sum), weight: 1 }))
  expect(coverage(40, single)).toBeLessThan(0.8)
})

describe('the bootstrap of a statistic', () => {
  const ratio = ([a, b]: readonly number[]): number => a / b

  test('is not defined where the statistic is not, or where there is nothing', () => {
    expect(bootstrap([[1, 0]], () => Number.NaN)).toEqual({ value: null, low: null, high: null })
    expect(bootstrap([], () => 1)).toEqual({ value: null, low: null, high: null })
  })

  test('leaves out the resamples for which it is not defined', () => {
    // Of three rows two can say nothing: those resamples that hold the third say 1, the others 0 / 0.
    const rows = [
      [0, 0],
      [0, 0],
      [2, 2],
    ]
    expect(bootstrap(rows, ratio)).toEqual({ value: 1, low: 1, high: 1 })
  })

  test('is the same alone and with others', () => {
    const rows = simulate(3).map(({ sum, weight }) => [sum, weight])
    const inverse = ([sum, weight]: readonly number[]): number => weight / sum
    expect(bootstrapAll(rows, [inverse, ratio])).toEqual([bootstrap(rows, inverse), bootstrap(rows, ratio)])
    expect(bootstrapAll([], [ratio, inverse])).toEqual([UNDEFINED_ESTIMATE, UNDEFINED_ESTIMATE])
  })
})
