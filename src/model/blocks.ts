/**
 * @file The block formats of ggml. A block holds a fixed count of small integers and what scales them.
 * Layouts: `block_*` in ggml-common.h, https://github.com/ggml-org/ggml. Values equal those of ggml to the last bit: the
 * scales of parts are exact in float32, and so is everything up to the last rounding of a value.
 */
import { type BlockTensor, blockSizes, fromCodes, packCodes } from '../engine/block-tensor.ts'
import { float16Values } from '../engine/half.ts'

interface PlainType {
  readonly values: 1
  /** Bytes of one value. */
  readonly bytes: number
  readonly storage: 'float32' | 'float16' | 'bfloat16'
}

interface BlockType {
  readonly storage: 'blocks'
  /** Values of one block. */
  readonly values: number
  /** Bytes of one block. */
  readonly bytes: number
  /** Of an integer, as a `BlockTensor` holds it. */
  readonly bits: BlockTensor['bits']
  /** Values that share a scale. */
  readonly part: number
  readonly hasMinimums: boolean
  /** Takes the block that begins at `blocks[at]` apart; its values come at `value` and on. */
  unpack(blocks: Uint8Array, at: number, into: Planar, value: number): void
}

/** Integers, scales and minimums each for themselves, in the order of the values. */
interface Planar {
  readonly codes: Uint8Array
  readonly scales: Float32Array
  readonly minimums: Float32Array
}

export const blockTypes = {
  F32: { storage: 'float32', values: 1, bytes: 4 },
  F16: { storage: 'float16', values: 1, bytes: 2 },
  BF16: { storage: 'bfloat16', values: 1, bytes: 2 },
  Q4_0: { storage: 'blocks', values: 32, bytes: 18, bits: 4, part: 32, hasMinimums: false, unpack: unpackQ40 },
  Q4_1: { storage: 'blocks', values: 32, bytes: 20, bits: 4, part: 32, hasMinimums: true, unpack: unpackQ41 },
  Q5_0: { storage: 'blocks', values: 32, bytes: 22, bits: 8, part: 32, hasMinimums: false, unpack: unpackQ50 },
  Q5_1: { storage: 'blocks', values: 32, bytes: 24, bits: 8, part: 32, hasMinimums: true, unpack: unpackQ51 },
  Q8_0: { storage: 'blocks', values: 32, bytes: 34, bits: 8, part: 32, hasMinimums: false, unpack: unpackQ80 },
  Q4_K: { storage: 'blocks', values: 256, bytes: 144, bits: 4, part: 32, hasMinimums: true, unpack: unpackQ4K },
  Q6_K: { storage: 'blocks', values: 256, bytes: 210, bits: 8, part: 16, hasMinimums: false, unpack: unpackQ6K },
} satisfies Record<string, PlainType | BlockType>

export type BlockTypeName = keyof typeof blockTypes

/** Takes whole blocks apart. */
function planarOf(type: BlockType, buffer: ArrayBuffer): Planar {
  const blocks = new Uint8Array(buffer)
  const count = blocks.length / type.bytes
  const parts = (count * type.values) / type.part
  const planar = {
    codes: new Uint8Array(count * type.values),
    scales: new Float32Array(parts),
    minimums: new Float32Array(type.hasMinimums ? parts : 0),
  }
  for (let block = 0; block < count; block++) type.unpack(blocks, block * type.bytes, planar, block * type.values)
  return planar
}

function formOf(type: BlockType, { scales, minimums }: Planar, shape: readonly [number, number]) {
  return { bits: type.bits, block: type.part, shape, scales, ...(type.hasMinimums && { minimums }) }
}

/**
 * Whole blocks as a matrix.
 * @param buffer the blocks of `rows` rows of `columns` values, which are whole blocks.
 */
export function readBlocks(type: BlockType, buffer: ArrayBuffer, rows: number, columns: number): BlockTensor {
  const planar = planarOf(type, buffer)
  const form = formOf(type, planar, [rows, columns])
  return { storage: 'blocks', ...form, packed: packCodes(planar.codes, form) }
}

/** The values of whole blocks. */
export function blockValues(type: BlockType, buffer: ArrayBuffer): Float32Array<ArrayBuffer> {
  const planar = planarOf(type, buffer)
  return fromCodes(planar.codes, formOf(type, planar, [1, planar.codes.length])).data
}

/** The rows of a matrix in blocks in another order: row i of what comes is row `order[i]` of what is given. */
export function orderRows(tensor: BlockTensor, order: Int32Array): BlockTensor {
  const { rowBytes, blocks } = blockSizes(tensor)
  const { packed, scales, minimums } = tensor
  return {
    ...tensor,
    packed: copyRows(packed, packed.slice(), { order, width: rowBytes }),
    scales: copyRows(scales, scales.slice(), { order, width: blocks }),
    ...(minimums && { minimums: copyRows(minimums, minimums.slice(), { order, width: blocks }) }),
  }
}

/** Writes the rows of `from` to `to` in an order, and gives `to`. */
export function copyRows<A extends Uint8Array | Uint16Array | Float32Array>(
  from: A,
  to: A,
  { order, width }: { readonly order: Int32Array; readonly width: number },
): A {
  order.forEach((row, at) => {
    to.set(from.subarray(row * width, (row + 1) * width), at * width)
  })
  return to
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
function unpackQ40(blocks: Uint8Array, at: number, { codes, scales }: Planar, value: number): void {
  scales[value / 32] = float16At(blocks, at)
  unpackHalves(blocks, at + 2, codes, value)
}

/** Scale, minimum, then halves. Value = scale · q + minimum. */
function unpackQ41(blocks: Uint8Array, at: number, { codes, scales, minimums }: Planar, value: number): void {
  scales[value / 32] = float16At(blocks, at)
  minimums[value / 32] = float16At(blocks, at + 2)
  unpackHalves(blocks, at + 4, codes, value)
}

/** Scale, fifth bits, then halves. Value = scale · (q − 16). */
function unpackQ50(blocks: Uint8Array, at: number, { codes, scales }: Planar, value: number): void {
  scales[value / 32] = float16At(blocks, at)
  unpackFive(blocks, at + 2, { codes, value, zero: 128 - 16 })
}

/** Scale, minimum, fifth bits, then halves. Value = scale · q + minimum. */
function unpackQ51(blocks: Uint8Array, at: number, { codes, scales, minimums }: Planar, value: number): void {
  scales[value / 32] = float16At(blocks, at)
  minimums[value / 32] = float16At(blocks, at + 2)
  unpackFive(blocks, at + 4, { codes, value, zero: 0 })
}

/** Scale, then 32 signed bytes. Value = scale · q. */
function unpackQ80(blocks: Uint8Array, at: number, { codes, scales }: Planar, value: number): void {
  scales[value / 32] = float16At(blocks, at)
  for (let index = 0; index < 32; index++) codes[value + index] = blocks[at + 2 + index] ^ 128
}

/**
 * Scale and minimum of the whole block, 12 bytes with eight 6-bit scales and minima, then 128 bytes: each 32 of them
 * hold two parts of 32 values, in low and high halves. Value = scale · part scale · q − minimum · part minimum.
 */
function unpackQ4K(blocks: Uint8Array, at: number, { codes, scales, minimums }: Planar, value: number): void {
  const scale = float16At(blocks, at)
  const minimum = float16At(blocks, at + 2)
  const packed = at + 4
  for (let part = 0; part < 8; part++) {
    const partScale = part < 4 ? blocks[packed + part] & 63 : sixBits(blocks, packed + part, 0)
    const partMinimum = part < 4 ? blocks[packed + part + 4] & 63 : sixBits(blocks, packed + part, 4)
    scales[value / 32 + part] = scale * partScale
    minimums[value / 32 + part] = -(minimum * partMinimum)
    const bytes = at + 16 + (part >> 1) * 32
    const shift = (part & 1) * 4
    for (let index = 0; index < 32; index++) codes[value + part * 32 + index] = (blocks[bytes + index] >> shift) & 15
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
function unpackQ6K(blocks: Uint8Array, at: number, { codes, scales }: Planar, value: number): void {
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
