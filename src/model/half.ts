/** @file The two 16-bit floating-point formats as float32. Every value of both is exact in float32. */

/** The value of each of the 65,536 float16 bit patterns (IEEE 754 binary16: 1 sign, 5 exponent, 10 fraction bits). */
export const float16Values: Float32Array = Float32Array.from({ length: 65536 }, (_, bits) => float16Value(bits))

function float16Value(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 31
  const fraction = bits & 1023
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN
  if (exponent === 0) return sign * fraction * 2 ** -24 // subnormal
  return sign * (1024 + fraction) * 2 ** (exponent - 25)
}

/** float16 bit patterns as numbers. */
export function fromFloat16(bits: Uint16Array): Float32Array<ArrayBuffer> {
  const values = new Float32Array(bits.length)
  for (let index = 0; index < bits.length; index++) values[index] = float16Values[bits[index]]
  return values
}

/** bfloat16 bit patterns as numbers: they are the upper halves of float32. */
export function fromBfloat16(bits: Uint16Array): Float32Array<ArrayBuffer> {
  const words = new Uint32Array(bits.length)
  for (let index = 0; index < bits.length; index++) words[index] = bits[index] << 16
  return new Float32Array(words.buffer)
}
