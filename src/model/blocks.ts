/**
 * @file The block formats of ggml as matrices in blocks. Values equal those of ggml to the last bit: the scales of parts
 * are exact in float32, and so is everything up to the last rounding of a value.
 */
import { type BlockTensor, blockSizes, fromCodes, packCodes } from '../engine/block-tensor.ts'
import {
  type Planar,
  unpackIq4Nl,
  unpackIq4Xs,
  unpackQ2K,
  unpackQ3K,
  unpackQ4K,
  unpackQ5K,
  unpackQ6K,
  unpackQ40,
  unpackQ41,
  unpackQ50,
  unpackQ51,
  unpackQ80,
} from './block-layouts.ts'

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

export const blockTypes = {
  F32: { storage: 'float32', values: 1, bytes: 4 },
  F16: { storage: 'float16', values: 1, bytes: 2 },
  BF16: { storage: 'bfloat16', values: 1, bytes: 2 },
  Q4_0: { storage: 'blocks', values: 32, bytes: 18, bits: 4, part: 32, hasMinimums: false, unpack: unpackQ40 },
  Q4_1: { storage: 'blocks', values: 32, bytes: 20, bits: 4, part: 32, hasMinimums: true, unpack: unpackQ41 },
  Q5_0: { storage: 'blocks', values: 32, bytes: 22, bits: 8, part: 32, hasMinimums: false, unpack: unpackQ50 },
  Q5_1: { storage: 'blocks', values: 32, bytes: 24, bits: 8, part: 32, hasMinimums: true, unpack: unpackQ51 },
  Q8_0: { storage: 'blocks', values: 32, bytes: 34, bits: 8, part: 32, hasMinimums: false, unpack: unpackQ80 },
  Q2_K: { storage: 'blocks', values: 256, bytes: 84, bits: 4, part: 16, hasMinimums: true, unpack: unpackQ2K },
  Q3_K: { storage: 'blocks', values: 256, bytes: 110, bits: 4, part: 16, hasMinimums: false, unpack: unpackQ3K },
  Q4_K: { storage: 'blocks', values: 256, bytes: 144, bits: 4, part: 32, hasMinimums: true, unpack: unpackQ4K },
  Q5_K: { storage: 'blocks', values: 256, bytes: 176, bits: 8, part: 32, hasMinimums: true, unpack: unpackQ5K },
  Q6_K: { storage: 'blocks', values: 256, bytes: 210, bits: 8, part: 16, hasMinimums: false, unpack: unpackQ6K },
  IQ4_NL: { storage: 'blocks', values: 32, bytes: 18, bits: 8, part: 32, hasMinimums: false, unpack: unpackIq4Nl },
  IQ4_XS: { storage: 'blocks', values: 256, bytes: 136, bits: 8, part: 32, hasMinimums: false, unpack: unpackIq4Xs },
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
