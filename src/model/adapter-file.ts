/** @file Adapters as PEFT stores them: adapter_config.json and adapter_model.safetensors. */
import { join } from 'node:path'
import { z } from 'zod'
import { InputError, UserError } from '../base/errors.ts'
import { type Bytes, writeDurably } from '../base/files.ts'
import { showShape } from '../engine/dims.ts'
import type { ModelConfig } from './config.ts'
import { families } from './families.ts'
import { readJsonFile } from './load.ts'
import { type Adapter, type LoraSettings, targetModules } from './lora.ts'
import { openSafetensors, type SafetensorsFile } from './safetensors.ts'
import { safetensorsParts } from './safetensors-write.ts'
import { type LayerTensors, layerName, type WeightTensor } from './weights.ts'

export const ADAPTER_WEIGHTS = 'adapter_model.safetensors'
export const ADAPTER_CONFIG = 'adapter_config.json'
const PREFIX = 'base_model.model.'

const configFields = z.looseObject({
  peft_type: z.string(),
  r: z.number().int().positive(),
  lora_alpha: z.number().positive(),
  lora_dropout: z.number().min(0).max(1).default(0),
  use_rslora: z.boolean().nullish(),
  target_modules: z.union([z.string(), z.array(z.string())]).nullish(),
})

/** Settings of PEFT that change what an adapter computes, and the only value that is understood. */
const refused: Readonly<Record<string, (value: unknown) => boolean>> = {
  modules_to_save: isEmpty,
  rank_pattern: isEmpty,
  alpha_pattern: isEmpty,
  layer_replication: isEmpty,
  target_parameters: isEmpty,
  trainable_token_indices: isEmpty,
  use_dora: isEmpty,
  use_qalora: isEmpty,
  use_bdlora: isEmpty,
  alora_invocation_tokens: isEmpty,
  fan_in_fan_out: isEmpty,
  lora_bias: isEmpty,
  bias: (value) => isEmpty(value) || value === 'none',
}

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === false) return true
  return typeof value === 'object' && Object.keys(value).length === 0
}

function readSettings(path: string): LoraSettings {
  const json = readJsonFile(path)
  const parsed = configFields.safeParse(json)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    throw new UserError(`${path}: ${issue.path.join('.')}: ${issue.message}`)
  }
  const fields = parsed.data
  if (fields.peft_type !== 'LORA') throw new UserError(`${path}: expected peft_type LORA, found ${fields.peft_type}`)
  for (const [name, allowed] of Object.entries(refused)) {
    if (!allowed(fields[name])) throw new UserError(`${path}: ${name} ${JSON.stringify(fields[name])} is not supported`)
  }
  const targets = fields.target_modules ?? []
  return {
    rank: fields.r,
    alpha: fields.lora_alpha,
    dropout: fields.lora_dropout,
    rslora: fields.use_rslora ?? false,
    // PEFT reads a single string as a regular expression; the tensors of the file say which modules it met.
    targets: typeof targets === 'string' ? 'all-linear' : targets,
  }
}

/** The modules of each layer for which the file has factors. */
function storedModules(file: SafetensorsFile, config: ModelConfig): string[][] {
  const modules = [...families[config.family].linears(config).keys()]
  return Array.from({ length: config.layers }, (_, layer) =>
    modules.filter((module) => file.tensors.has(`${PREFIX}${layerName(layer, module)}.lora_A.weight`)),
  )
}

function readFactors(file: SafetensorsFile, config: ModelConfig, rank: number): LayerTensors[] {
  const linears = families[config.family].linears(config)
  const used = new Set<string>()
  const read = (name: string, shape: readonly number[]): WeightTensor => {
    const entry = file.tensors.get(name)
    const found = entry === undefined ? 'none' : showShape(entry.shape)
    if (found !== showShape(shape)) {
      throw new InputError({ file: file.path }, `a tensor '${name}' ${showShape(shape)}`, found)
    }
    used.add(name)
    return { data: file.readFloat32(name), shape }
  }
  const layers = storedModules(file, config).map((modules, layer) => {
    const tensors: Record<string, WeightTensor> = {}
    for (const module of modules) {
      const { inputs, outputs } = linears.get(module) ?? { inputs: 0, outputs: 0 }
      const path = `${PREFIX}${layerName(layer, module)}`
      tensors[`${module}.lora_A.weight`] = read(`${path}.lora_A.weight`, [rank, inputs])
      tensors[`${module}.lora_B.weight`] = read(`${path}.lora_B.weight`, [outputs, rank])
    }
    return tensors
  })
  const strange = [...file.tensors.keys()].find((name) => !used.has(name))
  if (strange !== undefined) {
    throw new InputError({ file: file.path }, `factors of linears of this ${config.family} model only`, `'${strange}'`)
  }
  return layers
}

/**
 * Reads a PEFT folder.
 * @throws UserError or InputError naming what is missing, misshapen or not supported.
 */
export function loadAdapter(folder: string, config: ModelConfig): Adapter {
  const settings = readSettings(join(folder, ADAPTER_CONFIG))
  const file = openSafetensors(join(folder, ADAPTER_WEIGHTS))
  try {
    const layers = readFactors(file, config, settings.rank)
    const named =
      typeof settings.targets === 'string' ? storedModules(file, config) : targetModules(config, settings.targets)
    named.forEach((modules, layer) => {
      const missing = modules.find((module) => !(`${module}.lora_A.weight` in layers[layer]))
      if (missing === undefined) return
      throw new InputError({ file: file.path }, `factors of ${layerName(layer, missing)}, a target module`, 'none')
    })
    return { settings, layers }
  } finally {
    file.close()
  }
}

/** Every factor of an adapter under its name in PEFT. */
export function namedFactors<T>({
  layers,
}: {
  readonly layers: readonly Readonly<Record<string, T>>[]
}): Map<string, T> {
  const named = new Map<string, T>()
  layers.forEach((tensors, layer) => {
    for (const [name, tensor] of Object.entries(tensors)) named.set(PREFIX + layerName(layer, name), tensor)
  })
  return named
}

/** The content of adapter_config.json: the fields that PEFT and vLLM read. */
export function adapterConfig({ settings, layers }: Adapter, baseModel: string): Record<string, unknown> {
  const modules = new Set(layers.flatMap((tensors) => Object.keys(tensors).map((name) => name.split('.').at(-3))))
  return {
    peft_type: 'LORA',
    task_type: 'CAUSAL_LM',
    base_model_name_or_path: baseModel,
    r: settings.rank,
    lora_alpha: settings.alpha,
    lora_dropout: settings.dropout,
    target_modules: settings.targets === 'all-linear' ? [...modules].sort() : settings.targets,
    use_rslora: settings.rslora,
    use_dora: false,
    bias: 'none',
    fan_in_fan_out: false,
    inference_mode: true,
    init_lora_weights: true,
    modules_to_save: null,
    rank_pattern: {},
    alpha_pattern: {},
  }
}

/** The files of a PEFT folder, by name. */
export function adapterFiles(adapter: Adapter, baseModel: string): Map<string, Bytes | Iterable<Bytes>> {
  return new Map<string, Bytes | Iterable<Bytes>>([
    [ADAPTER_WEIGHTS, safetensorsParts(namedFactors(adapter), new Map([['format', 'pt']]))],
    [ADAPTER_CONFIG, `${JSON.stringify(adapterConfig(adapter, baseModel), null, 2)}\n`],
  ])
}

/** Writes a PEFT folder, each file whole or not at all. */
export function saveAdapter(folder: string, adapter: Adapter, baseModel: string): void {
  for (const [name, content] of adapterFiles(adapter, baseModel)) writeDurably(join(folder, name), content)
}
