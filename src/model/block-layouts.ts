/**
 * @file How ggml lays out its blocks: `block_*` in ggml-common.h, https://github.com/ggml-org/ggml. Each function takes the
 * block at `at` apart; its values come at `value` and on.
 */
import { float16Values } from '../engine/half.ts'

/** Integers, scales and minimums each for themselves, in the order of the values. */
export interface Planar {
  readonly codes: Uint8Array
  readonly scales: Float32Array
  readonly minimums: Float32Array
}

function float16At(blocks: Uint8Array, at: number): number {
  return float16Values[blocks[at] | (blocks[at + 1] << 8)]
}

/** The 32 bits whose bit i is the fifth bit of value i. */
function fifthBitsAt(blocks: Uint8Array, at: number): number {
  return blocks[at] | (blocks[at + 1] << 8) | (blocks[at + 2] << 16) | (blocks[at + 3] << 24)
}

/** 16 bytes: low halves are values 0 … 15, high halves 16 … 31. */
function unpackHalves(blocks: Uint8Array, at: number, codes: Uint8Array, to: number): void {
  for (let index = 0; index < 16; index++) {
    codes[to + index] = blocks[at + index] & 15
    codes[to + index + 16] = blocks[at + index] >> 4
  }
}

/** The same with a fifth bit for each value, and `zero` added. */
function unpackFive(blocks: Uint8Array, at: number, to: { codes: Uint8Array; value: number; zero: number }): void {
  const fifth = fifthBitsAt(blocks, at)
  unpackHalves(blocks, at + 4, to.codes, to.value)
  for (let index = 0; index < 32; index++) to.codes[to.value + index] += (((fifth >> index) & 1) << 4) + to.zero
}

/** Scale, then halves. Value = scale · (q − 8). */
export function unpackQ40(blocks: Uint8Array, at: number, { codes, scales }: Planar, value: number): void {
  scales[value / 32] = float16At(blocks, at)
  unpackHalves(blocks, at + 2, codes, value)
}

/** Scale, minimum, then halves. Value = scale · q + minimum. */
export function unpackQ41(blocks: Uint8Array, at: number, { codes, scales, minimums }: Planar, value: number): void {
  scales[value / 32] = float16At(blocks, at)
  minimums[value / 32] = float16At(blocks, at + 2)
  unpackHalves(blocks, at + 4, codes, value)
}

/** Scale, fifth bits, then halves. Value = scale · (q − 16). */
export function unpackQ50(blocks: Uint8Array, at: number, { codes, scales }: Planar, value: number): void {
  scales[value / 32] = float16At(blocks, at)
  unpackFive(blocks, at + 2, { codes, value, zero: 128 - 16 })
}

/** Scale, minimum, fifth bits, then halves. Value = scale · q + minimum. */
export function unpackQ51(blocks: Uint8Array, at: number, { codes, scales, minimums }: Planar, value: number): void {
  scales[value / 32] = float16At(blocks, at)
  minimums[value / 32] = float16At(blocks, at + 2)
  unpackFive(blocks, at + 4, { codes, value, zero: 0 })
}

/** Scale, then 32 signed bytes. Value = scale · q. */
export function unpackQ80(blocks: Uint8Array, at: number, { codes, scales }: Planar, value: number): void {
  scales[value / 32] = float16At(blocks, at)
  for (let index = 0; index < 32; index++) codes[value + index] = blocks[at + 2 + index] ^ 128
}

/**
 * Scale and minimum of the whole block, then 12 bytes with the 6-bit scales and minimums of eight parts of 32 values.
 * Value = scale · part scale · q − minimum · part minimum.
 */
function unpackScales(blocks: Uint8Array, at: number, { scales, minimums }: Planar, value: number): void {
  const scale = float16At(blocks, at)
  const minimum = float16At(blocks, at + 2)
  const packed = at + 4
  for (let part = 0; part < 8; part++) {
    const partScale = part < 4 ? blocks[packed + part] & 63 : sixBits(blocks, packed + part, 0)
    const partMinimum = part < 4 ? blocks[packed + part + 4] & 63 : sixBits(blocks, packed + part, 4)
    scales[value / 32 + part] = scale * partScale
    minimums[value / 32 + part] = -(minimum * partMinimum)
  }
}

/** Of parts 4 … 7: four bits from four bytes on (low half scale, high half minimum), two from the top of parts 0 … 3. */
function sixBits(blocks: Uint8Array, part: number, shift: 0 | 4): number {
  return ((blocks[part + 4] >> shift) & 15) | ((blocks[part - 4 + shift] >> 6) << 4)
}

/** Scales, then 128 bytes: each 32 of them hold two parts, in low and high halves. */
export function unpackQ4K(blocks: Uint8Array, at: number, planar: Planar, value: number): void {
  unpackScales(blocks, at, planar, value)
  unpackParts(blocks, at + 16, planar.codes, value)
}

/** 128 bytes with the low 4 bits of 256 values. */
function unpackParts(blocks: Uint8Array, at: number, codes: Uint8Array, value: number): void {
  for (let index = 0; index < 256; index++) {
    const part = index >> 5
    codes[value + index] = (blocks[at + (part >> 1) * 32 + (index & 31)] >> ((part & 1) * 4)) & 15
  }
}

/** Scales, 32 bytes of which bit p belongs to part p, then the low 4 bits as in Q4_K. */
export function unpackQ5K(blocks: Uint8Array, at: number, planar: Planar, value: number): void {
  unpackScales(blocks, at, planar, value)
  unpackParts(blocks, at + 48, planar.codes, value)
  for (let index = 0; index < 256; index++) {
    planar.codes[value + index] |= ((blocks[at + 16 + (index & 31)] >> (index >> 5)) & 1) << 4
  }
}

/** Two bits of a value: each 32 of 64 bytes hold four parts of 32 values. */
function twoBits(blocks: Uint8Array, at: number, index: number): number {
  return (blocks[at + (index >> 7) * 32 + (index & 31)] >> ((index >> 4) & 6)) & 3
}

/**
 * 16 bytes with a scale (low half) and a minimum of 16 values each, 64 with two bits a value, then scale and minimum of
 * the block. Value = scale · part scale · q − minimum · part minimum.
 */
export function unpackQ2K(blocks: Uint8Array, at: number, { codes, scales, minimums }: Planar, value: number): void {
  const scale = float16At(blocks, at + 80)
  const minimum = float16At(blocks, at + 82)
  for (let part = 0; part < 16; part++) {
    scales[value / 16 + part] = scale * (blocks[at + part] & 15)
    minimums[value / 16 + part] = -(minimum * (blocks[at + part] >> 4))
  }
  for (let index = 0; index < 256; index++) codes[value + index] = twoBits(blocks, at + 16, index)
}

/**
 * 32 bytes of which bit p is the high bit of a value of part p of 32, 64 with its low two bits, 12 with sixteen 6-bit scales
 * (eight low halves, eight high ones, then two bits of each), and the scale of the block.
 * Value = scale · (part scale − 32) · (q − 4).
 */
export function unpackQ3K(blocks: Uint8Array, at: number, { codes, scales }: Planar, value: number): void {
  const scale = float16At(blocks, at + 108)
  for (let part = 0; part < 16; part++) {
    const low = (blocks[at + 96 + (part & 7)] >> (part < 8 ? 0 : 4)) & 15
    const high = (blocks[at + 104 + (part & 3)] >> ((part >> 2) * 2)) & 3
    scales[value / 16 + part] = scale * ((low | (high << 4)) - 32)
  }
  for (let index = 0; index < 256; index++) {
    const high = (blocks[at + (index & 31)] >> (index >> 5)) & 1
    codes[value + index] = twoBits(blocks, at + 32, index) + high * 4 + 8 - 4
  }
}

/**
 * 128 bytes with the low 4 bits, 64 with the high 2, 16 signed scales of 16 values each, then the scale of the block.
 * Value = scale · part scale · (q − 32).
 */
export function unpackQ6K(blocks: Uint8Array, at: number, { codes, scales }: Planar, value: number): void {
  const scale = float16At(blocks, at + 208)
  for (let part = 0; part < 16; part++) {
    scales[value / 16 + part] = scale * ((blocks[at + 192 + part] << 24) >> 24)
  }
  for (let index = 0; index < 256; index++) {
    const half = index >> 7
    const low = blocks[at + half * 64 + (index & 63)] >> ((index >> 4) & 4)
    const high = blocks[at + 128 + half * 32 + (index & 31)] >> ((index >> 4) & 6)
    codes[value + index] = ((low & 15) | ((high & 3) << 4)) + 128 - 32
  }
}

/** What the sixteen codes of IQ4 stand for (`kvalues_iq4nl`): close together around zero. */
const iq4Values = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113]

/** 16 bytes of codes, as the bytes of their values. */
function unpackIq4(blocks: Uint8Array, at: number, codes: Uint8Array, value: number): void {
  unpackHalves(blocks, at, codes, value)
  for (let index = value; index < value + 32; index++) codes[index] = iq4Values[codes[index]] + 128
}

/** Scale, then halves. Value = scale · what the code stands for. */
export function unpackIq4Nl(blocks: Uint8Array, at: number, { codes, scales }: Planar, value: number): void {
  scales[value / 32] = float16At(blocks, at)
  unpackIq4(blocks, at + 2, codes, value)
}

/**
 * Scale, the high two bits of eight part scales in 2 bytes, their low halves in 4, then halves for each part of 32 values.
 * Value = scale · (part scale − 32) · what the code stands for.
 */
export function unpackIq4Xs(blocks: Uint8Array, at: number, { codes, scales }: Planar, value: number): void {
  const scale = float16At(blocks, at)
  const highs = blocks[at + 2] | (blocks[at + 3] << 8)
  for (let part = 0; part < 8; part++) {
    const low = (blocks[at + 4 + (part >> 1)] >> ((part & 1) * 4)) & 15
    scales[value / 32 + part] = scale * ((low | (((highs >> (2 * part)) & 3) << 4)) - 32)
    unpackIq4(blocks, at + 8 + part * 16, codes, value + part * 32)
  }
}
