/** @file Dropout masks of an adapter's layer: a pure function of seed and label. */
import { dropAtRandom, random } from '../base/random.ts'
import type { Backend, FloatArray, FloatTensors, Tensor } from '../engine/backend.ts'

/** An input that is dropped from. */
export interface DroppedInput {
  /** Of the tensor that masks it. */
  readonly name: string
  /** Of the module in the whole model. */
  readonly path: string
  readonly width: number
}

/** The masks of one layer. */
export interface MaskWork {
  readonly seed: number
  readonly label: string
  readonly tokens: number
  readonly inputs: readonly DroppedInput[]
  /** The part that is dropped. */
  readonly share: number
}

export function maskCount({ tokens, inputs }: MaskWork): number {
  return tokens * inputs.reduce((sum, { width }) => sum + width, 0)
}

/** Masks [tokens, width] that drop inputs at random and scale up the others, in one piece of memory. */
export function drawMasks(work: MaskWork, allocate: Backend['allocate']): FloatTensors {
  const { seed, label, tokens, inputs, share } = work
  const memory = allocate(maskCount(work))
  const masks: Record<string, Tensor<FloatArray>> = {}
  let start = 0
  for (const { name, path, width } of inputs) {
    const data = memory.subarray(start, start + tokens * width)
    dropAtRandom(data, random(seed, 'dropout', label, path).uint32(), share, 1 / (1 - share))
    masks[name] = { data, shape: [tokens, width] }
    start += tokens * width
  }
  return masks
}
