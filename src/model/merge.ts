/** @file Weights with an adapter added to them: W + s · B A. */
import { type Backend, makeGraph } from '../engine/backend.ts'
import { add, input, matmul } from '../engine/ops.ts'
import { float32Of } from '../engine/stored.ts'
import { type Adapter, FACTOR_A, FACTOR_B, loraScale } from './lora.ts'
import type { KeptTensor, KeptTensors, WeightTensor } from './weights.ts'

const graphOf = (scale: number) => {
  const [a, b] = [input('a', ['R', 'K']), input('b', ['M', 'R'])]
  return makeGraph({ merged: add(input('w', ['M', 'K']), matmul(b, a, { scale })) })
}

/** The layers of a model with an adapter in their weights; those without factors stay the same tensors. */
export async function mergeLayers(
  backend: Backend,
  layers: readonly KeptTensors[],
  adapter: Adapter,
): Promise<KeptTensors[]> {
  const program = await backend.compile(graphOf(loraScale(adapter.settings)))
  try {
    const merged: KeptTensors[] = []
    for (const [layer, tensors] of layers.entries()) {
      const own: Record<string, KeptTensor> = { ...tensors }
      const factors = adapter.layers[layer]
      for (const [name, a] of Object.entries(factors)) {
        if (!name.endsWith(FACTOR_A)) continue
        const module = name.slice(0, -FACTOR_A.length)
        const w = float32Of(tensors[`${module}.weight`])
        const into = { data: backend.allocate(w.data.length), shape: w.shape }
        await program.run({ w, a, b: factors[module + FACTOR_B] }, { merged: into })
        own[`${module}.weight`] = { data: new Float32Array(into.data), shape: w.shape }
      }
      merged.push(own)
    }
    return merged
  } finally {
    await program.dispose()
  }
}

/** The factors of one linear: A [rank, inputs] and B [outputs, rank]. */
export interface Factors {
  readonly a: WeightTensor
  readonly b: WeightTensor
  readonly scale: number
}

/**
 * One weight [outputs, inputs] with its factors in it, summed in float64 and rounded once. For files, which are written
 * tensor by tensor: it needs no runtime, and no more memory than its result.
 */
export function mergedWeight(weight: Float32Array, { a, b, scale }: Factors): Float32Array<ArrayBuffer> {
  const [rank, inputs] = a.shape
  const merged = new Float32Array(weight.length)
  const sums = new Float64Array(inputs)
  for (let start = 0, row = 0; start < weight.length; start += inputs, row++) {
    sums.set(weight.subarray(start, start + inputs))
    for (let r = 0; r < rank; r++) {
      const factor = scale * b.data[row * rank + r]
      if (factor === 0) continue
      const from = r * inputs
      for (let at = 0; at < inputs; at++) sums[at] += factor * a.data[from + at]
    }
    merged.set(sums, start)
  }
  return merged
}
