/** @file The two 16-bit floating-point formats. Every value of both is exact in float32. */

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

/** Numbers as bfloat16 bit patterns, rounded to the nearest, ties to the even one. */
export function toBfloat16(values: Float32Array): Uint16Array<ArrayBuffer> {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length)
  const bits = new Uint16Array(values.length)
  for (let index = 0; index < bits.length; index++) {
    const word = words[index]
    const isNumber = (word & 0x7fffffff) <= 0x7f800000
    bits[index] = isNumber ? (word + 0x7fff + ((word >>> 16) & 1)) >>> 16 : (word >>> 16) | 0x40
  }
  return bits
}

/** Numbers as float16 bit patterns, rounded to the nearest, ties to the even one. From 65,520 on they are infinite. */
export function toFloat16(values: Float32Array): Uint16Array<ArrayBuffer> {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length)
  const bits = new Uint16Array(values.length)
  // Not Uint16Array.from: it makes an array of objects first, which large tensors do not fit into.
  for (let index = 0; index < bits.length; index++) {
    bits[index] = ((words[index] >>> 16) & 0x8000) | float16Magnitude(words[index] & 0x7fffffff)
  }
  return bits
}

/** The lower 15 bits of float16 for those of a float32 without its sign. */
function float16Magnitude(word: number): number {
  if (word > 0x7f800000) return 0x7e00
  if (word >= 0x477ff000) return 0x7c00
  if (word >= 0x38800000) return (word - 0x38000000 + 0xfff + ((word >>> 13) & 1)) >>> 13
  // Below 2^-14 numbers are multiples of 2^-24. Float64 rounds to whole ones where its own last bit is worth 1.
  oneFloat.word[0] = word
  return oneFloat.value[0] * 2 ** 24 + 2 ** 52 - 2 ** 52
}

const oneFloat = (() => {
  const value = new Float32Array(1)
  return { value, word: new Uint32Array(value.buffer) }
})()
