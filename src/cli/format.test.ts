import fc from 'fast-check'
import { expect, test } from 'vitest'
import { showCompact, showDuration, showNumber, showRate, showSigned } from './format.ts'

test('numbers keep their significant digits at every size', () => {
  const shown: [number, number, string][] = [
    [0.41273, 4, '0.4127'],
    [Math.LN2, 4, '0.6931'],
    [12.3456, 4, '12.35'],
    [0.83, 2, '0.83'],
    [1, 2, '1.0'],
    [99.6, 2, '100'],
    [9999.6, 4, '10000'],
    [-45.26, 2, '-45'],
    [412.4, 2, '412'],
    [0.0001, 2, '0.00010'],
    [0.0000999, 2, '1e-04'],
    [0, 4, '0'],
    [Number.NaN, 4, 'NaN'],
    [Number.NEGATIVE_INFINITY, 2, '-Infinity'],
  ]
  for (const [value, digits, text] of shown) expect([value, showNumber(value, digits)]).toEqual([value, text])
})

test('a shown number is within half a unit of its last digit', () => {
  fc.assert(
    fc.property(fc.double({ min: 1e-12, max: 1e12, noNaN: true }), fc.integer({ min: 2, max: 5 }), (value, digits) => {
      expect(Math.abs(Number(showNumber(value, digits)) / value - 1)).toBeLessThanOrEqual(0.5001 * 10 ** (1 - digits))
    }),
  )
})

test('a learning rate looks as Python prints it', () => {
  expect([8.1e-6, 1e-5, 2e-4, 5e-7, 0].map(showRate)).toEqual(['8.1e-06', '1e-05', '2e-04', '5e-07', '0'])
})

test('durations show hours from the first on, and unknown ones as dashes', () => {
  const shown = [0, 401, 3599.4, 3599.6, 3723, 90_061, Number.NaN].map(showDuration)
  expect(shown).toEqual(['00:00', '06:41', '59:59', '1:00:00', '1:02:03', '25:01:01', '--:--'])
})

test('signs and compact counts', () => {
  expect([0.83, -0.62, 0].map(showSigned)).toEqual(['+0.83', '-0.62', '0'])
  expect([950, 2_300_000, 596_000_000, 1_240_000_000].map(showCompact)).toEqual(['950', '2.3M', '596M', '1.2B'])
})
