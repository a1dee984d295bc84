import { expect, test } from 'vitest'
import { isSlow } from '../../test/slow.ts'
import { random } from '../base/random.ts'
import { bootstrap } from './interval.ts'
import { bootstrapMeans, type Column, intervalKind, meanIntervals, wilson } from './mean-interval.ts'

test.each([
  // The roots of (p − k/n)² = z² p (1 − p) / n, solved in Python.
  [0, 10, 0, 0.2775327998628892],
  [10, 10, 0.7224672001371114, 1],
  [1, 10, 0.01787621309507289, 0.4041500267952385],
  [263, 500, 0.4822016483694959, 0.5694018859265034],
])('Wilson’s interval of %d of %d', (right, total, low, high) => {
  const found = wilson(right, total)
  expect(found.value).toBe(right / total)
  expect(found.low).toBeCloseTo(low, 12)
  expect(found.high).toBeCloseTo(high, 12)
})

const draw = random(3, 'columns')
const full: Column = Array.from({ length: 50 }, () => draw.uniform())
const sparse: Column = full.map((value) => (draw.uniform() < 0.4 ? null : value))

test('many means at once have the intervals that each has alone, also where problems are missing', () => {
  const [first, second] = bootstrapMeans([full, sparse])
  const rows = (column: Column) => column.map((value) => [value ?? 0, Number(value !== null)])
  for (const [found, column] of [
    [first, full],
    [second, sparse],
  ] as const) {
    const expected = bootstrap(rows(column), ([sum, count]) => sum / count)
    expect(found.value).toBeCloseTo(expected.value ?? -1, 12)
    expect(found.low).toBeCloseTo(expected.low ?? -1, 12)
    expect(found.high).toBeCloseTo(expected.high ?? -1, 12)
  }
})

test('where each problem is right or wrong the interval is Wilson’s, else the bootstrap’s, whatever stands beside it', () => {
  const binary: Column = [1, 1, 0, null, 1]
  expect(intervalKind(binary)).toBe('wilson')
  expect(intervalKind([1, 0.5])).toBe('bootstrap')
  const half: Column = [1, 0.5, 0, null, 1]
  expect(meanIntervals([binary, half])).toEqual([wilson(3, 4), ...bootstrapMeans([half])])
})

test('without a value there is no mean, and without columns nothing', () => {
  const none = { value: null, low: null, high: null }
  expect(meanIntervals([[], []])).toEqual([none, none])
  expect(meanIntervals([[null, null]])).toEqual([none])
  expect(bootstrapMeans([[null], [0.5]])).toEqual([none, { value: 0.5, low: 0.5, high: 0.5 }])
  expect(meanIntervals([])).toEqual([])
})

test('the same column twice has the same interval twice', () => {
  expect(meanIntervals([sparse, sparse])).toEqual([...bootstrapMeans([sparse]), ...bootstrapMeans([sparse])])
})

test('about 95 % of the intervals of simulated accuracies hold the true one', () => {
  // Problems whose ease is even on [0, 1], 4 completions each: the true accuracy is ½.
  const source = random(11, 'coverage')
  const trials = isSlow ? 1000 : 200
  const columns = Array.from({ length: trials }, () =>
    Array.from({ length: 60 }, () => {
      const ease = source.uniform()
      return [0, 1, 2, 3].reduce((right) => right + Number(source.uniform() < ease) / 4, 0)
    }),
  )
  const held = bootstrapMeans(columns).filter(({ low, high }) => low !== null && low <= 0.5 && high >= 0.5)
  // The standard deviation of 200 trials is 1.5 %; of 60 problems the bootstrap holds a little less than 95 %.
  expect(held.length / trials).toBeGreaterThan(0.9)
  expect(held.length / trials).toBeLessThan(0.99)
})
