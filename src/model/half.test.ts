import { expect, test } from 'vitest'
import { float16Values, fromBfloat16, fromFloat16 } from './half.ts'

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
