import { expect, test } from 'vitest'
import { bar, sparkline } from './sparkline.ts'

test('a sparkline spans its range, and each character is the mean of its share', () => {
  expect(sparkline([0, 1, 2, 3, 4, 5, 6, 7], 8)).toBe('▁▂▃▄▅▆▇█')
  // means 1, 3 → lowest and highest
  expect(sparkline([0, 2, 2, 4], 2)).toBe('▁█')
  expect(sparkline([5, 5], 8)).toBe('▄▄')
  expect(sparkline([], 8)).toBe('')
})

test('what is not a number leaves a gap and does not spoil the rest', () => {
  expect(sparkline([0, Number.NaN, 7, Number.POSITIVE_INFINITY], 4)).toBe('▁ █ ')
  expect(sparkline([0, Number.NaN, 7, 7], 2)).toBe('▁█')
  expect(sparkline([Number.NaN], 4)).toBe(' ')
})

test('a bar is filled in eighths of a character and never overflows', () => {
  // 182/500 of 20 characters = 7.28 → 7 and 2/8
  expect(bar(182, 500, 20)).toBe('███████▎············')
  expect(bar(0, 0, 3)).toBe('···')
  expect(bar(9, 3, 3)).toBe('███')
  expect(bar(-1, 3, 3)).toBe('···')
})
