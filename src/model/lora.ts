/** @file Low-rank adapters (LoRA, Hu et al. 2021): W x + s · B A x on chosen linears, with PEFT's names and conventions. */
import { UserError } from '../base/errors.ts'
import { random } from '../base/random.ts'
import type { ModelConfig } from './config.ts'
import { families } from './families.ts'
import type { FedLayers } from './forward.ts'
import type { Machine } from './machine.ts'
import { type MaskSource, maskSources } from './mask-source.ts'
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

/** The masks of a label that drop inputs of an adapter at random, as its settings say. */
export function dropoutMasks(
  { ahead, workspace }: Machine,
  { settings, layers }: Adapter,
  seed: number,
): (label: string) => MaskSource {
  return maskSources({
    ahead,
    layers: layers.map((tensors, layer) =>
      modulesOf(tensors).map((module) => ({
        name: `${module}.dropout`,
        path: layerName(layer, module),
        width: tensors[module + FACTOR_A].shape[1],
      })),
    ),
    share: settings.dropout,
    seed,
    allocate: (length) => workspace.take('dropout', [length]).data,
  })
}
