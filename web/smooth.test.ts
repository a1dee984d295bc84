/** @file Smoothing of curves. */
import { expect, test } from 'vitest'
import { smooth } from './smooth.ts'

test('smoothing is a debiased moving average: it begins at the first value, keeps constants and leaves gaps', () => {
  // weight 0.5 over 1, gap, 3: last = 0.5, then 0.5·0.5 + 0.5·3 = 1.75; divided by 1 − 0.25
  const [first, gap, last] = smooth([1, null, 3], 0.5)
  expect(first).toBe(1)
  expect(gap).toBeNull()
  expect(last).toBeCloseTo(1.75 / 0.75, 12)
  for (const value of smooth([2, 2, 2, 2], 0.97)) expect(value).toBeCloseTo(2, 12)
  expect(smooth([5, 1], 0)).toEqual([5, 1])
})
