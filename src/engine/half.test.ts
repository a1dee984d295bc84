import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { float16Values, fromBfloat16, fromFloat16, toBfloat16, toFloat16 } from './half.ts'

const allBits = Uint16Array.from({ length: 65536 }, (_, bits) => bits)

/** The bit patterns whose value is not the expected one. */
function wrongBits(values: Float32Array, expected: (bits: number) => number): number[] {
  return [...allBits].filter((bits) => !Object.is(values[bits], expected(bits)))
}

test('a float16 is (−1)^s · 2^(e − 15) · 1.f, subnormal where e is 0, and no number where e is 31', () => {
  const formula = (bits: number): number => {
    const digits = bits.toString(2).padStart(16, '0')
    const sign = digits[0] === '1' ? -1 : 1
    const exponent = Number.parseInt(digits.slice(1, 6), 2)
    const fraction = Number.parseInt(digits.slice(6), 2) / 1024
    if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN
    return sign * (exponent === 0 ? 2 ** -14 * fraction : 2 ** (exponent - 15) * (1 + fraction))
  }
  expect(wrongBits(fromFloat16(allBits), formula)).toEqual([])
})

test('landmarks of float16 have their values of IEEE 754', () => {
  const landmarks: readonly (readonly [number, number])[] = [
    [0x3c00, 1],
    [0xc000, -2],
    [0x3555, 0.333251953125],
    [0x7bff, 65504],
    [0x0400, 2 ** -14],
    [0x0001, 2 ** -24],
    [0x8000, -0],
  ]
  for (const [bits, value] of landmarks) expect(float16Values[bits]).toBe(value)
})

test('a bfloat16 is the float32 whose lower half is zero', () => {
  const values = fromBfloat16(allBits)
  const view = new DataView(new ArrayBuffer(4))
  const upperHalf = (bits: number): number => {
    view.setUint16(0, bits)
    return view.getFloat32(0)
  }
  expect(wrongBits(values, upperHalf)).toEqual([])
  expect(new Uint32Array(values.buffer)).toEqual(Uint32Array.from(allBits, (bits) => bits * 65536))
})

describe('numbers written as 16 bits', () => {
  const floats = (values: readonly number[]) => Float32Array.from(values)
  const kinds = [
    { name: 'bfloat16', write: toBfloat16, read: fromBfloat16, largest: 2 ** 127 },
    { name: 'float16', write: toFloat16, read: fromFloat16, largest: 65504 },
  ]

  test.each(kinds)('every $name comes back as it was, infinities and signs of zero too', ({ write, read }) => {
    const values = read(allBits)
    const again = write(values)
    expect([...allBits].filter((bits) => !Number.isNaN(values[bits]) && again[bits] !== bits)).toEqual([])
    expect(read(again).every((value, bits) => Object.is(value, values[bits]))).toBe(true)
  })

  test.each(kinds)('a number becomes the nearest $name, and the even one of two', ({ write, read, largest }) => {
    const exponents = fc.double({ min: -32, max: Math.log2(largest), noNaN: true })
    fc.assert(
      fc.property(fc.array(exponents, { minLength: 1, maxLength: 20 }), fc.boolean(), (powers, negative) => {
        const values = floats(powers.map((power) => (negative ? -1 : 1) * 2 ** power))
        const bits = write(values)
        const [found, below, above] = [0, -1, 1].map((step) => read(bits.map((one) => one + step)))
        for (const [at, value] of values.entries()) {
          const distance = Math.abs(found[at] - value)
          const neighbours = [below[at], above[at]].map((other) => Math.abs(other - value))
          for (const other of neighbours) if (!Number.isNaN(other)) expect(other).toBeGreaterThanOrEqual(distance)
          if (neighbours.includes(distance)) expect(bits[at] % 2).toBe(0)
        }
      }),
    )
  })

  test('halves go to the even side, and what is too large is infinite', () => {
    const bfloat = [1 + 2 ** -8, 1 + 3 * 2 ** -8, 1 + 2 ** -8 + 2 ** -20, -(1 + 2 ** -8)]
    expect([...toBfloat16(floats(bfloat))]).toEqual([0x3f80, 0x3f82, 0x3f81, 0xbf80])
    const half = [1 + 2 ** -11, 1 + 3 * 2 ** -11, 65519, 65520, 2 ** -25, 3 * 2 ** -25, 2 ** -14 - 2 ** -25]
    expect([...toFloat16(floats(half))]).toEqual([0x3c00, 0x3c02, 0x7bff, 0x7c00, 0, 2, 0x400])
  })

  test('what is no number stays none', () => {
    const none = new Float32Array(Uint32Array.of(0x7f800001, 0xffffffff).buffer)
    expect([...fromBfloat16(toBfloat16(none)), ...fromFloat16(toFloat16(none))].every(Number.isNaN)).toBe(true)
  })
})
