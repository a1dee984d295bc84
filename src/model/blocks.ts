/**
 * @file The block formats of ggml as float32. A block holds a fixed count of small integers and what scales them.
 * Layouts: `block_*` in ggml-common.h, https://github.com/ggml-org/ggml. Values equal those of ggml to the last bit: up
 * to the last rounding everything here is exact in float64.
 */
import { float16Values, fromBfloat16, fromFloat16 } from './half.ts'

interface BlockType {
  /** Values of one block. */
  readonly values: number
  /** Bytes of one block. */
  readonly bytes: number
  /** The values of whole blocks. */
  decode(blocks: ArrayBuffer): Float32Array<ArrayBuffer>
}

/** Writes the values of the block that begins at `blocks[at]` to `values[to]` and on. */
type DecodeBlock = (blocks: Uint8Array, at: number, values: Float32Array, to: number) => void

export const blockTypes = {
  F32: { values: 1, bytes: 4, decode: (blocks: ArrayBuffer) => new Float32Array(blocks) },
  F16: { values: 1, bytes: 2, decode: (blocks: ArrayBuffer) => fromFloat16(new Uint16Array(blocks)) },
  BF16: { values: 1, bytes: 2, decode: (blocks: ArrayBuffer) => fromBfloat16(new Uint16Array(blocks)) },
  Q4_0: blockType(32, 18, decodeQ40),
  Q4_1: blockType(32, 20, decodeQ41),
  Q5_0: blockType(32, 22, decodeQ50),
  Q5_1: blockType(32, 24, decodeQ51),
  Q8_0: blockType(32, 34, decodeQ80),
  Q4_K: blockType(256, 144, decodeQ4K),
  Q6_K: blockType(256, 210, decodeQ6K),
} satisfies Record<string, BlockType>

export type BlockTypeName = keyof typeof blockTypes

function blockType(values: number, bytes: number, decodeBlock: DecodeBlock): BlockType {
  const decode = (buffer: ArrayBuffer): Float32Array<ArrayBuffer> => {
    const blocks = new Uint8Array(buffer)
    const count = blocks.length / bytes
    const out = new Float32Array(count * values)
    for (let block = 0; block < count; block++) decodeBlock(blocks, block * bytes, out, block * values)
    return out
  }
  return { values, bytes, decode }
}

function float16At(blocks: Uint8Array, at: number): number {
  return float16Values[blocks[at] | (blocks[at + 1] << 8)]
}

/** The 32 bits whose bit i is the fifth bit of value i. */
function fifthBitsAt(blocks: Uint8Array, at: number): number {
  return blocks[at] | (blocks[at + 1] << 8) | (blocks[at + 2] << 16) | (blocks[at + 3] << 24)
}

/** Scale, then 16 bytes: low halves are values 0 … 15, high halves 16 … 31. Value = scale · (q − 8). */
function decodeQ40(blocks: Uint8Array, at: number, values: Float32Array, to: number): void {
  const scale = float16At(blocks, at)
  for (let index = 0; index < 16; index++) {
    const pair = blocks[at + 2 + index]
    values[to + index] = scale * ((pair & 15) - 8)
    values[to + index + 16] = scale * ((pair >> 4) - 8)
  }
}

/** Scale, minimum, then as Q4_0. Value = scale · q + minimum. */
function decodeQ41(blocks: Uint8Array, at: number, values: Float32Array, to: number): void {
  const scale = float16At(blocks, at)
  const minimum = float16At(blocks, at + 2)
  for (let index = 0; index < 16; index++) {
    const pair = blocks[at + 4 + index]
    values[to + index] = scale * (pair & 15) + minimum
    values[to + index + 16] = scale * (pair >> 4) + minimum
  }
}

/** Scale, fifth bits, then as Q4_0. Value = scale · (q − 16). */
function decodeQ50(blocks: Uint8Array, at: number, values: Float32Array, to: number): void {
  const scale = float16At(blocks, at)
  const fifth = fifthBitsAt(blocks, at + 2)
  for (let index = 0; index < 16; index++) {
    const pair = blocks[at + 6 + index]
    values[to + index] = scale * (((pair & 15) | (((fifth >> index) & 1) << 4)) - 16)
    values[to + index + 16] = scale * (((pair >> 4) | (((fifth >> (index + 16)) & 1) << 4)) - 16)
  }
}

/** Scale, minimum, fifth bits, then as Q4_0. Value = scale · q + minimum. */
function decodeQ51(blocks: Uint8Array, at: number, values: Float32Array, to: number): void {
  const scale = float16At(blocks, at)
  const minimum = float16At(blocks, at + 2)
  const fifth = fifthBitsAt(blocks, at + 4)
  for (let index = 0; index < 16; index++) {
    const pair = blocks[at + 8 + index]
    values[to + index] = scale * ((pair & 15) | (((fifth >> index) & 1) << 4)) + minimum
    values[to + index + 16] = scale * ((pair >> 4) | (((fifth >> (index + 16)) & 1) << 4)) + minimum
  }
}

/** Scale, then 32 signed bytes. Value = scale · q. */
function decodeQ80(blocks: Uint8Array, at: number, values: Float32Array, to: number): void {
  const scale = float16At(blocks, at)
  for (let index = 0; index < 32; index++) values[to + index] = scale * ((blocks[at + 2 + index] << 24) >> 24)
}

/**
 * Scale and minimum of the whole block, 12 bytes with eight 6-bit scales and minima, then 128 bytes: each 32 of them
 * hold two parts of 32 values, in low and high halves. Value = scale · part scale · q − minimum · part minimum.
 */
function decodeQ4K(blocks: Uint8Array, at: number, values: Float32Array, to: number): void {
  const scale = float16At(blocks, at)
  const minimum = float16At(blocks, at + 2)
  const packed = at + 4
  for (let part = 0; part < 8; part++) {
    const partScale = scale * (part < 4 ? blocks[packed + part] & 63 : sixBits(blocks, packed + part, 0))
    const partMinimum = minimum * (part < 4 ? blocks[packed + part + 4] & 63 : sixBits(blocks, packed + part, 4))
    const bytes = at + 16 + (part >> 1) * 32
    const shift = (part & 1) * 4
    for (let index = 0; index < 32; index++) {
      values[to + part * 32 + index] = partScale * ((blocks[bytes + index] >> shift) & 15) - partMinimum
    }
  }
}

/** Of parts 4 … 7: four bits from four bytes on (low half scale, high half minimum), two from the top of parts 0 … 3. */
function sixBits(blocks: Uint8Array, part: number, shift: 0 | 4): number {
  return ((blocks[part + 4] >> shift) & 15) | ((blocks[part - 4 + shift] >> 6) << 4)
}

/**
 * 128 bytes with the low 4 bits, 64 with the high 2, 16 signed scales of 16 values each, then the scale of the block.
 * Value = scale · part scale · (q − 32).
 */
function decodeQ6K(blocks: Uint8Array, at: number, values: Float32Array, to: number): void {
  const scale = float16At(blocks, at + 208)
  for (let index = 0; index < 256; index++) {
    const half = index >> 7
    const low = blocks[at + half * 64 + (index & 63)] >> ((index >> 4) & 4)
    const high = blocks[at + 128 + half * 32 + (index & 31)] >> ((index >> 4) & 6)
    const partScale = (blocks[at + 192 + (index >> 4)] << 24) >> 24
    values[to + index] = scale * partScale * (((low & 15) | ((high & 3) << 4)) - 32)
  }
}
