/** @file Weights with an adapter added to them: W + s · B A. */
import { type Backend, makeGraph } from '../engine/backend.ts'
import { add, input, matmul } from '../engine/ops.ts'
import { type Adapter, loraScale } from './lora.ts'
import type { LayerTensors, WeightTensor } from './weights.ts'

const graphOf = (scale: number) => {
  const [a, b] = [input('a', ['R', 'K']), input('b', ['M', 'R'])]
  return makeGraph({ merged: add(input('w', ['M', 'K']), matmul(b, a, { scale })) })
}

/** The layers of a model with an adapter in their weights; those without factors stay the same tensors. */
export async function mergeLayers(
  backend: Backend,
  layers: readonly LayerTensors[],
  adapter: Adapter,
): Promise<LayerTensors[]> {
  const program = await backend.compile(graphOf(loraScale(adapter.settings)))
  try {
    const merged: LayerTensors[] = []
    for (const [layer, tensors] of layers.entries()) {
      const own: Record<string, WeightTensor> = { ...tensors }
      for (const [name, w] of Object.entries(tensors)) {
        const module = name.slice(0, -'.weight'.length)
        const a = adapter.layers[layer][`${module}.lora_A.weight`]
        const b = adapter.layers[layer][`${module}.lora_B.weight`]
        if (a === undefined || b === undefined) continue
        const into = { data: backend.allocate(w.data.length), shape: w.shape }
        await program.run({ w, a, b }, { merged: into })
        own[name] = { data: Float32Array.from(into.data), shape: w.shape }
      }
      merged.push(own)
    }
    return merged
  } finally {
    await program.dispose()
  }
}
