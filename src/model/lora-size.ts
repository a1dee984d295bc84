/** @file How much an adapter changes the weights that it sits on. */
import { type Adapter, FACTOR_A, FACTOR_B, loraScale } from './lora.ts'
import type { LayerTensors, WeightTensor } from './weights.ts'

/** The modules of one name, over all layers. */
export interface ChangedModules {
  readonly name: string
  readonly count: number
  /** Those with a B that is not all zeros. */
  readonly changing: number
  /** ‖s B A‖ / ‖W‖, norms of Frobenius over all of them. */
  readonly size: number
  /** Whether factors hold numbers that are not finite. */
  readonly isDamaged: boolean
}

interface Totals {
  count: number
  changing: number
  change: number
  weight: number
}

export function changedModules(
  layers: readonly LayerTensors[],
  { settings, layers: factors }: Adapter,
): ChangedModules[] {
  const scale = loraScale(settings)
  const totals = new Map<string, Totals>()
  factors.forEach((tensors, layer) => {
    for (const [name, a] of Object.entries(tensors)) {
      if (!name.endsWith(FACTOR_A)) continue
      const module = name.slice(0, -FACTOR_A.length)
      const short = module.slice(module.lastIndexOf('.') + 1)
      const own = totals.get(short) ?? { count: 0, changing: 0, change: 0, weight: 0 }
      const b = tensors[module + FACTOR_B]
      own.count++
      if (b.data.some((value) => value !== 0)) own.changing++
      own.change += scale * scale * squaredProduct(a, b)
      own.weight += squared(layers[layer][`${module}.weight`])
      totals.set(short, own)
    }
  })
  return [...totals].map(([name, { count, changing, change, weight }]) => ({
    name,
    count,
    changing,
    size: Math.sqrt(change / weight),
    isDamaged: !Number.isFinite(change),
  }))
}

function squared({ data }: WeightTensor): number {
  let sum = 0
  for (let at = 0; at < data.length; at++) sum += data[at] * data[at]
  return sum
}

/** ‖B A‖² = Σ (BᵀB) ∘ (A Aᵀ), both [rank, rank]: the product itself would be as large as the weight. */
function squaredProduct(a: WeightTensor, b: WeightTensor): number {
  const [rank, inputs] = a.shape
  const outputs = b.shape[0]
  let sum = 0
  for (let i = 0; i < rank; i++) {
    for (let j = 0; j <= i; j++) {
      let [ofB, ofA] = [0, 0]
      for (let row = 0; row < outputs; row++) ofB += b.data[row * rank + i] * b.data[row * rank + j]
      for (let at = 0; at < inputs; at++) ofA += a.data[i * inputs + at] * a.data[j * inputs + at]
      sum += (i === j ? 1 : 2) * ofB * ofA
    }
  }
  return Math.max(0, sum) // NaN stays NaN
}
