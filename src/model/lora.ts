/** @file Low-rank adapters (LoRA, Hu et al. 2021): W x + s · B A x on chosen linears, with PEFT's names and conventions. */
import { UserError } from '../base/errors.ts'
import { dropAtRandom, random } from '../base/random.ts'
import type { FloatArray, FloatTensors, Tensor } from '../engine/backend.ts'
import type { ModelConfig } from './config.ts'
import { families } from './families.ts'
import type { FedLayers } from './forward.ts'
import type { Machine } from './machine.ts'
import { type LayerTensors, layerName, type WeightTensor } from './weights.ts'

export interface LoraSettings {
  readonly rank: number
  readonly alpha: number
  readonly dropout: number
  /** s = alpha / √rank instead of alpha / rank (rank-stabilised LoRA, Kalajdzievski 2023). */
  readonly rslora: boolean
  /** Module names, each matched whole or by its last parts, or 'all-linear': every linear of the layers. */
  readonly targets: 'all-linear' | readonly string[]
}

export interface Adapter {
  readonly settings: LoraSettings
  /** For each layer, `MODULE.lora_A.weight` [rank, inputs] and `MODULE.lora_B.weight` [outputs, rank]. */
  readonly layers: readonly LayerTensors[]
}

export function loraScale({ alpha, rank, rslora }: LoraSettings): number {
  return alpha / (rslora ? Math.sqrt(rank) : rank)
}

/** Whether a name stands for the module at a path: whole, or as its last parts. */
export function isNamed(path: string, name: string): boolean {
  return path === name || path.endsWith(`.${name}`)
}

/**
 * The modules of each layer on which an adapter sits.
 * @throws UserError naming a target that no module has.
 */
export function targetModules(config: ModelConfig, targets: LoraSettings['targets']): string[][] {
  const modules = [...families[config.family].linears(config).keys()]
  const wanted = targets === 'all-linear' ? modules : targets
  const met = new Set<string>()
  const layers = Array.from({ length: config.layers }, (_, layer) =>
    modules.filter((module) => {
      const path = layerName(layer, module)
      const hits = wanted.filter((target) => isNamed(path, target))
      for (const target of hits) met.add(target)
      return hits.length > 0
    }),
  )
  const strange = wanted.find((target) => !met.has(target))
  if (strange !== undefined || met.size === 0) {
    throw new UserError(
      `lora_target_modules: no linear is called '${strange ?? ''}'; there are ${modules.map(lastPart).join(', ')}, ` +
        'or all-linear for every one',
    )
  }
  return layers
}

function lastPart(module: string): string {
  return module.slice(module.lastIndexOf('.') + 1)
}

/** A fresh adapter: A uniform in ± 1 / √inputs (PEFT's Kaiming initialisation), B zero, so that it changes nothing. */
export function createAdapter(config: ModelConfig, settings: LoraSettings, seed: number): Adapter {
  const linears = families[config.family].linears(config)
  const { rank } = settings
  const layers = targetModules(config, settings.targets).map((modules, layer) => {
    const tensors: Record<string, WeightTensor> = {}
    for (const module of modules) {
      const { inputs, outputs } = linears.get(module) ?? { inputs: 0, outputs: 0 }
      const draw = random(seed, 'lora_A', layerName(layer, module))
      const bound = 1 / Math.sqrt(inputs)
      const data = Float32Array.from({ length: rank * inputs }, () => (2 * draw.uniform() - 1) * bound)
      tensors[`${module}.lora_A.weight`] = { data, shape: [rank, inputs] }
      tensors[`${module}.lora_B.weight`] = { data: new Float32Array(outputs * rank), shape: [outputs, rank] }
    }
    return tensors
  })
  return { settings, layers }
}

export const FACTOR_A = '.lora_A.weight'
export const FACTOR_B = '.lora_B.weight'

/** The modules of a layer that have factors. */
function modulesOf(tensors: LayerTensors): string[] {
  return Object.keys(tensors)
    .filter((name) => name.endsWith(FACTOR_A))
    .map((name) => name.slice(0, -FACTOR_A.length))
    .sort()
}

/** The layers of a model with an adapter on them. `dropout`: with the masks that a training pass brings. */
export function adaptedLayers(machine: Machine, { settings, layers }: Adapter, dropout = false): FedLayers {
  const { rank } = settings
  const shared = { kind: 'lora', rank, scale: loraScale(settings), dropout } as const
  return {
    layers: layers.map((tensors, layer) => ({
      parts: machine.layerFor({ ...shared, targets: modulesOf(tensors) }, layer),
      tensors: { ...machine.weights.layers[layer], ...tensors },
    })),
  }
}

/**
 * Masks that drop inputs of an adapter at random and scale up the others: a pure function of seed and label. `dropout`
 * is the part that is dropped.
 */
export function dropoutMasks(machine: Machine, { settings, layers }: Adapter, seed: number, label: string) {
  const kept = 1 / (1 - settings.dropout)
  return (layer: number, tokens: number): FloatTensors => {
    const masks: Record<string, Tensor<FloatArray>> = {}
    for (const module of modulesOf(layers[layer])) {
      const inputs = layers[layer][module + FACTOR_A].shape[1]
      const mask = machine.workspace.take(`${module}.dropout`, [tokens, inputs])
      const key = random(seed, 'dropout', label, layerName(layer, module)).uint32()
      dropAtRandom(mask.data, key, settings.dropout, kept)
      masks[`${module}.dropout`] = mask
    }
    return masks
  }
}
