/** @file Buffers that are used again from row to row, by name. They grow to the largest size asked for. */
import type { Backend, FloatArray, Tensor } from '../engine/backend.ts'
import { elementCount } from '../engine/dims.ts'

export interface Workspace {
  /** The buffer of a name in a shape. What it held under that name is lost. */
  take(name: string, shape: readonly number[]): Tensor<FloatArray>
  /** The sum of all buffers in numbers. */
  size(): number
}

export function makeWorkspace(backend: Backend): Workspace {
  const buffers = new Map<string, FloatArray>()
  return {
    take: (name, shape) => {
      const length = elementCount(shape)
      let buffer = buffers.get(name)
      if (buffer === undefined || buffer.length < length) {
        buffer = backend.allocate(length)
        buffers.set(name, buffer)
      }
      return { data: buffer.subarray(0, length), shape }
    },
    size: () => [...buffers.values()].reduce((total, buffer) => total + buffer.length, 0),
  }
}

/** Adds numbers to a buffer, multiplied by `scale`. */
export function addInto(total: FloatArray, part: FloatArray, scale = 1): void {
  for (let at = 0; at < part.length; at++) total[at] += scale * part[at]
}
