/** @file Weights in the form in which they are kept in memory. A graph computes with the float32 that they stand for. */
import type { Tensor } from './backend.ts'
import { type BlockTensor, blockSizes, fromBlocks } from './block-tensor.ts'
import { elementCount } from './dims.ts'
import { fromBfloat16, fromFloat16 } from './half.ts'

/** Bit patterns of 16-bit floating point. */
export interface HalfTensor {
  readonly storage: 'bfloat16' | 'float16'
  readonly data: Uint16Array
  readonly shape: readonly number[]
}

export type StoredTensor = HalfTensor | BlockTensor

/** What a program must know of a stored tensor before it is fed. */
export type Form = Pick<HalfTensor, 'storage'> | FormOfBlocks
type FormOfBlocks = Pick<BlockTensor, 'storage' | 'bits' | 'block'> & { readonly hasMinimums: boolean }

/** The forms of inputs by name; those not named are fed as float32. */
export type Forms = Readonly<Record<string, Form>>

export function isStored(tensor: Tensor | StoredTensor): tensor is StoredTensor {
  return 'storage' in tensor
}

export function isBlocks(tensor: Tensor | StoredTensor): tensor is BlockTensor {
  return 'storage' in tensor && tensor.storage === 'blocks'
}

export function formOf(tensor: StoredTensor): Form {
  if (tensor.storage !== 'blocks') return { storage: tensor.storage }
  const { storage, bits, block, minimums } = tensor
  return { storage, bits, block, hasMinimums: minimums !== undefined }
}

/** The float32 values that a tensor stands for. Every form is exact in float32. */
export function float32Of(tensor: Tensor<Float32Array> | StoredTensor): Tensor<Float32Array> {
  if (!isStored(tensor)) return tensor
  if (tensor.storage === 'blocks') return fromBlocks(tensor)
  const { data, shape, storage } = tensor
  return { data: storage === 'float16' ? fromFloat16(data) : fromBfloat16(data), shape }
}

/** The arrays of a stored tensor, with the words that tell them apart and their shapes. */
export function partsOf(tensor: StoredTensor): readonly StoredPart[] {
  if (tensor.storage !== 'blocks') return [{ part: 'bits', data: tensor.data, shape: tensor.shape }]
  const { packed, scales, minimums } = tensor
  const { rows, blocks, rowBytes } = blockSizes(tensor)
  return [
    { part: 'packed', data: packed, shape: [rows, rowBytes] },
    { part: 'scales', data: scales, shape: [rows, blocks, 1] },
    ...(minimums === undefined ? [] : [{ part: 'minimums', data: minimums, shape: [rows, blocks, 1] } as const]),
  ]
}

export interface StoredPart {
  readonly part: 'bits' | 'packed' | 'scales' | 'minimums'
  readonly data: Uint8Array | Uint16Array | Float32Array
  readonly shape: readonly number[]
}

/** Rows [start, end) of a stored matrix, which share its arrays. */
export function storedRows(tensor: StoredTensor, start: number, end: number): StoredTensor {
  const [, columns] = tensor.shape
  const cut = (width: number): [number, number] => [start * width, end * width]
  if (tensor.storage !== 'blocks')
    return { ...tensor, data: tensor.data.subarray(...cut(columns)), shape: [end - start, columns] }
  const { rowBytes, blocks } = blockSizes(tensor)
  return {
    ...tensor,
    shape: [end - start, columns],
    packed: tensor.packed.subarray(...cut(rowBytes)),
    scales: tensor.scales.subarray(...cut(blocks)),
    ...(tensor.minimums && { minimums: tensor.minimums.subarray(...cut(blocks)) }),
  }
}

/** Whether every array has the length that the shape asks for. */
export function isWhole(tensor: StoredTensor): boolean {
  return partsOf(tensor).every(({ data, shape }) => data.length === elementCount(shape))
}

/** The bytes that a tensor takes in memory. */
export function bytesKept(tensor: Tensor<Float32Array> | StoredTensor): number {
  if (!isStored(tensor)) return tensor.data.byteLength
  return partsOf(tensor).reduce((sum, { data }) => sum + data.byteLength, 0)
}
