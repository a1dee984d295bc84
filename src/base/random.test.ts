import { expect, test } from 'vitest'
import { dropAtRandom, permutation, philox, random } from './random.ts'

test('philox4x32-10 gives the known answers of the Random123 distribution', () => {
  const known = [
    [
      [0, 0, 0, 0],
      [0, 0],
      [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
    ],
    [
      [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
      [0xffffffff, 0xffffffff],
      [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
    ],
    [
      [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      [0xa4093822, 0x299f31d0],
      [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
    ],
  ]
  for (const [counter, key, expected] of known) {
    expect([...philox(Uint32Array.from(counter), key[0], key[1])]).toEqual(expected)
  }
})

test('a stream depends on its seed and labels only, and equal names give equal numbers', () => {
  const draw = (...name: (string | number)[]) => Array.from({ length: 9 }, random(7, ...name).uint32)
  expect(draw('order', 1)).toEqual(draw('order', 1))
  expect(draw('order', 1)).not.toEqual(draw('order', 2))
  expect(draw('order', '1')).not.toEqual(draw('order', 1))
  expect(draw('a', 'b')).not.toEqual(draw('ab'))
})

test('uniform numbers have mean 1/2 and variance 1/12 within 5 standard errors', () => {
  const source = random(3, 'moments')
  const count = 40_000
  let sum = 0
  let squares = 0
  for (let index = 0; index < count; index++) {
    const value = source.uniform()
    sum += value
    squares += (value - 0.5) ** 2
  }
  expect(Math.abs(sum / count - 0.5)).toBeLessThan(5 * Math.sqrt(1 / 12 / count))
  expect(Math.abs(squares / count - 1 / 12)).toBeLessThan(5 * Math.sqrt(1 / 180 / count))
})

test('a permutation holds every number once', () => {
  const order = permutation(1000, random(1, 'order', 0))
  expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: 1000 }, (_, index) => index))
  expect([...order.slice(0, 5)]).not.toEqual([0, 1, 2, 3, 4])
})

test.each([0, 0.1, 0.5, 0.9])('a share of %s is dropped, whatever was dropped beside', (share) => {
  const count = 200_001 // odd: places are decided in twos
  const into = new Float32Array(count).fill(7)
  dropAtRandom(into, 12345, share, 2)
  const dropped = Array.from(into, (value) => Number(value === 0))
  expect(into.every((value) => value === 0 || value === 2)).toBe(true)
  const close = (found: number, expected: number, of: number): void => {
    expect(Math.abs(found - expected)).toBeLessThanOrEqual(5 * Math.sqrt((expected * (1 - expected)) / of) + 1e-5)
  }
  const shareOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length
  close(shareOf(dropped), share, count)
  for (const distance of [1, 2, 64, 576]) {
    const both = dropped.slice(distance).map((value, at) => value * dropped[at])
    close(shareOf(both), share ** 2, both.length)
  }
  const other = new Float32Array(count)
  dropAtRandom(other, 12346, share, 2)
  close(shareOf(dropped.map((value, at) => value * Number(other[at] === 0))), share ** 2, count)
})

test('what is dropped at random depends on the key alone, also in float64', () => {
  const [single, double] = [new Float32Array(101), new Float64Array(101)]
  dropAtRandom(single, 5, 0.3, 1)
  dropAtRandom(double, 5, 0.3, 1)
  expect(Array.from(double)).toEqual(Array.from(single))
})
