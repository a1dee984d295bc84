/** @file Weights as small integers: each block of a row has a scale, as MatMulNBits of ONNX Runtime reads them. */
import type { Tensor } from './backend.ts'

/** A matrix [rows, columns] in blocks of BLOCK columns. Value = scale · (q − zero), with zero in the middle of q. */
export interface BlockTensor {
  readonly bits: 4 | 8
  readonly shape: readonly [number, number]
  /** [rows, blocks, BLOCK · bits / 8]; of two values of 4 bits in a byte, the first is the low half. */
  readonly packed: Uint8Array
  /** [rows, blocks] */
  readonly scales: Float32Array
}

export const BLOCK = 32

function sizesOf({ bits, shape: [rows, columns] }: Pick<BlockTensor, 'bits' | 'shape'>) {
  const blocks = Math.ceil(columns / BLOCK)
  return { rows, columns, blocks, blockBytes: (BLOCK * bits) / 8, zero: 2 ** (bits - 1) }
}

/**
 * Rounds a matrix to blocks. The scale maps the value of the largest magnitude to the end of the range that reaches one
 * further (ggml's Q4_0), so that no value is clipped by more than half a step.
 */
export function toBlocks({ data, shape }: Tensor, bits: BlockTensor['bits']): BlockTensor {
  const size = { bits, shape: [shape[0], shape[1]] as const }
  const { rows, columns, blocks, blockBytes, zero } = sizesOf(size)
  const packed = new Uint8Array(rows * blocks * blockBytes)
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
      const q = Math.min(2 * zero - 1, steps + zero)
      if (bits === 8) packed[block * blockBytes + at] = q
      else packed[block * blockBytes + (at >> 1)] |= q << (4 * (at & 1))
    }
  }
  return { ...size, packed, scales }
}

/** The values that a matrix in blocks stands for. */
export function fromBlocks(tensor: BlockTensor): Tensor<Float32Array> {
  const { rows, columns, blocks, blockBytes, zero } = sizesOf(tensor)
  const data = new Float32Array(rows * columns)
  for (let at = 0; at < data.length; at++) {
    const column = at % columns
    const block = Math.floor(at / columns) * blocks + Math.floor(column / BLOCK)
    const place = column % BLOCK
    const byte = tensor.packed[block * blockBytes + (tensor.bits === 8 ? place : place >> 1)]
    const q = tensor.bits === 8 ? byte : (byte >> (4 * (place & 1))) & 15
    data[at] = tensor.scales[block] * (q - zero)
  }
  return { data, shape: tensor.shape }
}

export function isBlocks(tensor: Tensor | BlockTensor): tensor is BlockTensor {
  return 'packed' in tensor
}
