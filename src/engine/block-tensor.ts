/** @file Weights as small integers in blocks: each block of a row has a scale, and perhaps a minimum. */
import type { Tensor } from './backend.ts'

/**
 * A matrix [rows, columns] in blocks of so many columns; the last block of a row may be larger than what is left.
 * Value = scale · (q − zero) where there are no minimums, with zero in the middle of q; scale · q + minimum where there are.
 */
export interface BlockTensor {
  readonly storage: 'blocks'
  readonly bits: 4 | 8
  /** Columns of a block: a power of two. */
  readonly block: number
  readonly shape: readonly [number, number]
  /**
   * [rows, columns in whole blocks · bits / 8]. With 4 bits a row is folded in the middle: its first half lies in the low
   * halves of the bytes, its second in the high ones, so that a graph unfolds it by joining two long pieces.
   */
  readonly packed: Uint8Array
  /** [rows, blocks] */
  readonly scales: Float32Array
  /** [rows, blocks] */
  readonly minimums?: Float32Array
}

export const BLOCK = 32

/** The form of a matrix in blocks, without its numbers. */
export type BlockForm = Pick<BlockTensor, 'bits' | 'block' | 'shape'>

export function blockSizes({ bits, block, shape: [rows, columns] }: BlockForm) {
  const blocks = Math.ceil(columns / block)
  const width = blocks * block
  return { rows, columns, blocks, width, rowBytes: (width * bits) / 8, zero: 2 ** (bits - 1) }
}

/** A byte for each integer, [rows, columns in whole blocks] → as they are packed. */
export function packCodes(codes: Uint8Array, form: BlockForm): Uint8Array {
  if (form.bits === 8) return codes
  const { rows, width, rowBytes } = blockSizes(form)
  const packed = new Uint8Array(rows * rowBytes)
  for (let row = 0; row < rows; row++) {
    for (let at = 0; at < rowBytes; at++) {
      packed[row * rowBytes + at] = codes[row * width + at] | (codes[row * width + rowBytes + at] << 4)
    }
  }
  return packed
}

/** The way back. */
export function unpackCodes(tensor: BlockTensor): Uint8Array {
  const { bits, packed } = tensor
  if (bits === 8) return packed
  const { rows, width, rowBytes } = blockSizes(tensor)
  const codes = new Uint8Array(rows * width)
  for (let row = 0; row < rows; row++) {
    for (let at = 0; at < rowBytes; at++) {
      const byte = packed[row * rowBytes + at]
      codes[row * width + at] = byte & 15
      codes[row * width + rowBytes + at] = byte >> 4
    }
  }
  return codes
}

/**
 * Rounds a matrix to blocks. The scale maps the value of the largest magnitude to the end of the range that reaches one
 * further (ggml's Q4_0), so that no value is clipped by more than half a step.
 */
export function toBlocks({ data, shape }: Tensor, bits: BlockTensor['bits']): BlockTensor {
  const form = { bits, block: BLOCK, shape: [shape[0], shape[1]] as const }
  const { rows, columns, blocks, width, zero } = blockSizes(form)
  const codes = new Uint8Array(rows * width)
  const scales = new Float32Array(rows * blocks)
  for (let block = 0; block < scales.length; block++) {
    const start = Math.floor(block / blocks) * columns + (block % blocks) * BLOCK
    const count = Math.min(BLOCK, columns - (block % blocks) * BLOCK)
    let extreme = 0
    for (let at = start; at < start + count; at++) if (Math.abs(data[at]) > Math.abs(extreme)) extreme = data[at]
    const scale = Math.fround(-extreme / zero)
    scales[block] = scale
    for (let at = 0; at < BLOCK; at++) {
      const steps = at < count && scale !== 0 ? Math.round(data[start + at] / scale) : 0
      codes[block * BLOCK + at] = Math.min(2 * zero - 1, steps + zero)
    }
  }
  return { storage: 'blocks', ...form, packed: packCodes(codes, form), scales }
}

/** The values that a matrix in blocks stands for. */
export function fromBlocks(tensor: BlockTensor): Tensor<Float32Array<ArrayBuffer>> {
  return fromCodes(unpackCodes(tensor), tensor)
}

/** The same with a byte for each integer. */
export function fromCodes(
  codes: Uint8Array,
  tensor: Omit<BlockTensor, 'packed' | 'storage'>,
): Tensor<Float32Array<ArrayBuffer>> {
  const { scales, minimums, block } = tensor
  const { columns, blocks, width, zero } = blockSizes(tensor)
  const data = new Float32Array(tensor.shape[0] * columns)
  for (let part = 0; part < scales.length; part++) {
    const row = Math.floor(part / blocks)
    const start = (part % blocks) * block
    const end = Math.min(start + block, columns)
    const scale = scales[part]
    if (minimums === undefined) {
      for (let at = start; at < end; at++) data[row * columns + at] = scale * (codes[row * width + at] - zero)
    } else {
      for (let at = start; at < end; at++) data[row * columns + at] = scale * codes[row * width + at] + minimums[part]
    }
  }
  return { data, shape: tensor.shape }
}
