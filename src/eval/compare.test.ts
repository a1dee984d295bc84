import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isSlow } from '../../test/slow.ts'
import { random } from '../base/random.ts'
import { type ByProblem, compareAnswers, compareMeans, mcnemar } from './compare.ts'

function byProblem(values: Readonly<Record<string, number>>): ByProblem {
  return new Map(Object.entries(values))
}

describe('McNemar’s exact p', () => {
  test.each([
    // 2 · Σ C(b + c, i) / 2^(b + c), by Python's fractions. 10 and 2: 2 · (1 + 12 + 66) / 4096.
    [10, 2, 158 / 4096],
    [5, 0, 2 / 32],
    [1, 0, 1],
    [7, 7, 1],
    [0, 0, 1],
    [8, 1, 0.0390625],
    [40, 61, 0.046044066929342806],
    [600, 500, 0.0028195449914364275],
    [1200, 1000, 2.1817026407914712e-5],
  ])('of %d gained and %d lost', (gained, lost, p) => {
    expect(mcnemar(gained, lost) / p).toBeCloseTo(1, 9)
    expect(mcnemar(lost, gained)).toBe(mcnemar(gained, lost))
  })

  test('is below .05 for at most one in twenty of pairs of equal models', () => {
    const source = random(5, 'equal models')
    const trials = Array.from({ length: 1000 }, () => {
      const gained = Array.from({ length: 30 }, () => source.below(2)).reduce((sum, one) => sum + one, 0)
      return mcnemar(gained, 30 - gained)
    })
    // 30 changes: p < .05 from 9 to 21 outwards, which has a chance of 4.3 %; that of 1,000 trials has a standard deviation of .64 %.
    const share = trials.filter((p) => p < 0.05).length / trials.length
    expect(share).toBeGreaterThan(0.018)
    expect(share).toBeLessThan(0.068)
  })
})

test('answers are gained, lost, right or wrong in both; problems of one model alone are left out', () => {
  const base = byProblem({ a: 1, b: 0, c: 0, d: 1, e: 0, only: 1 })
  const tuned = byProblem({ new: 1, e: 1, d: 1, c: 0, b: 1, a: 0 })
  expect(compareAnswers(base, tuned)).toEqual({ bothRight: 1, bothWrong: 1, gained: ['b', 'e'], lost: ['a'], p: 1 })
})

test('a model does not differ from itself, and turning two around turns the difference', () => {
  const values = fc.array(fc.tuple(fc.boolean(), fc.boolean()), { minLength: 1, maxLength: 12 })
  fc.assert(
    fc.property(values, (rows) => {
      const [a, b] = [0, 1].map((side) => new Map(rows.map((row, at) => [String(at), Number(row[side])] as const)))
      const [same, there, back] = compareMeans([
        [a, a],
        [a, b],
        [b, a],
      ])
      expect(same.difference).toEqual({ value: 0, low: 0, high: 0 })
      expect(back.difference.value).toBeCloseTo(-(there.difference.value ?? 9), 12)
      expect(there.difference.value).toBeCloseTo((there.tuned ?? 9) - (there.base ?? 9), 12)
      expect(there.difference.value).toBeGreaterThanOrEqual(there.difference.low ?? 9)
      expect(there.difference.value).toBeLessThanOrEqual(there.difference.high ?? -9)
      const { gained, lost } = compareAnswers(a, b)
      expect(there.difference.value).toBeCloseTo((gained.length - lost.length) / rows.length, 12)
    }),
    { numRuns: 20 },
  )
})

test('only problems of both models count, in the means too', () => {
  const [found] = compareMeans([[byProblem({ a: 0.2, b: 0.4, x: 1 }), byProblem({ y: 0, b: 0.8, a: 0.2 })]])
  expect(found.problems).toBe(2)
  expect(found.base).toBeCloseTo(0.3, 12)
  expect(found.tuned).toBeCloseTo(0.5, 12)
  expect(found.difference.value).toBeCloseTo(0.2, 12)
  const [none] = compareMeans([[byProblem({ a: 1 }), byProblem({ b: 1 })]])
  expect(none).toEqual({ problems: 0, base: null, tuned: null, difference: { value: null, low: null, high: null } })
  expect(compareMeans([])).toEqual([])
})

test('paired differences are known better than those of separate problems, and 95 % of intervals hold the true one', () => {
  // Problems differ much, both models move along with them: the true difference is .05.
  const source = random(8, 'paired')
  const trials = isSlow ? 1000 : 200
  const pairs = Array.from({ length: trials }, () => {
    const base = new Map(Array.from({ length: 50 }, (_, at) => [String(at), source.uniform()] as const))
    const tuned = new Map(
      [...base].map(([problem, score]) => [problem, score + 0.2 * source.uniform() - 0.05] as const),
    )
    return [base, tuned] as const
  })
  const found = compareMeans(pairs).map(({ difference }) => difference)
  const held = found.filter(({ low, high }) => low !== null && low <= 0.05 && high >= 0.05).length / trials
  // The standard deviation of 200 trials is 1.5 %.
  expect(held).toBeGreaterThan(0.89)
  expect(held).toBeLessThan(0.99)
  // 2 · 1.96 · (.2 / √12) / √50 = .032; unpaired it would be 2 · 1.96 · √(2 / 12 / 50) = .226.
  expect(found.every(({ low, high }) => low !== null && high - low < 0.05)).toBe(true)
})
