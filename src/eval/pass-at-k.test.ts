import { expect, test } from 'vitest'
import { UserError } from '../base/errors.ts'
import { chanceAllOf, passAtK } from './pass-at-k.ts'

/** The number of bits that are set. */
function size(subset: number): number {
  return subset.toString(2).replaceAll('0', '').length
}

test('pass@k is the share of all subsets of k that hold a right completion, for up to 8 completions', () => {
  for (let total = 1; total <= 8; total++) {
    for (let right = 0; right <= total; right++) {
      const isRight = (1 << right) - 1
      for (let k = 1; k <= total; k++) {
        const subsets = Array.from({ length: 1 << total }, (_, subset) => subset).filter((one) => size(one) === k)
        const passed = subsets.filter((one) => (one & isRight) !== 0)
        expect(passAtK(total, right, k)).toBeCloseTo(passed.length / subsets.length, 12)
      }
    }
  }
})

test('pass@1 is the accuracy, and counts whose binomial coefficients overflow are no trouble', () => {
  expect(passAtK(7, 3, 1)).toBeCloseTo(3 / 7, 15)
  // One right of a million, half of them drawn: 1 − C(N − 1, k) / C(N, k) = k / N.
  expect(passAtK(1_000_000, 1, 500_000)).toBeCloseTo(0.5, 12)
  // 1 − C(190, 100) / C(200, 100), by Python's fractions.
  expect(passAtK(200, 10, 100)).toBeCloseTo(0.9992289739372822, 13)
  expect(passAtK(5000, 5000, 4999)).toBe(1)
  expect(passAtK(5000, 0, 4999)).toBe(0)
})

test('a part smaller than what is drawn cannot be all of it', () => {
  expect(chanceAllOf(2, 8, 3)).toBe(0)
  expect(chanceAllOf(8, 8, 8)).toBe(1)
})

test.each([
  [4, 2, 5],
  [4, 2, 0],
  [4, 2, 1.5],
  [4, 5, 1],
  [4, -1, 1],
  [0, 0, 1],
  [4, Number.NaN, 1],
])('%d completions, %d right, %d drawn do not fit each other', (total, right, k) => {
  expect(() => passAtK(total, right, k)).toThrow(UserError)
})
