/** @file Adapters as PEFT stores them: adapter_config.json and adapter_model.safetensors. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { InputError, UserError } from '../base/errors.ts'
import { type Bytes, writeDurably } from '../base/files.ts'
import { showShape } from '../engine/dims.ts'
import { type AdapterConfig, readAdapterConfig, strangerReason, valueFor } from './adapter-config.ts'
import type { ModelConfig } from './config.ts'
import { families } from './families.ts'
import { type Adapter, FACTOR_A, FACTOR_B, isNamed, type LoraSettings, loraScale } from './lora.ts'
import { openSafetensors, type SafetensorsFile } from './safetensors.ts'
import { safetensorsParts } from './safetensors-write.ts'
import { type LayerTensors, layerName, type WeightTensor } from './weights.ts'

export const ADAPTER_WEIGHTS = 'adapter_model.safetensors'
export const ADAPTER_CONFIG = 'adapter_config.json'
const PREFIX = 'base_model.model.'

/** The modules of each layer for which the file has factors. */
function storedModules(file: SafetensorsFile, config: ModelConfig): string[][] {
  const modules = [...families[config.family].linears(config).keys()]
  return Array.from({ length: config.layers }, (_, layer) =>
    modules.filter((module) => file.tensors.has(PREFIX + layerName(layer, module) + FACTOR_A)),
  )
}

function readFactors(file: SafetensorsFile, config: ModelConfig, { settings, ranks }: AdapterConfig): LayerTensors[] {
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
      const name = layerName(layer, module)
      const rank = valueFor(ranks, name) ?? settings.rank
      tensors[module + FACTOR_A] = read(PREFIX + name + FACTOR_A, [rank, inputs])
      tensors[module + FACTOR_B] = read(PREFIX + name + FACTOR_B, [outputs, rank])
    }
    return tensors
  })
  const strange = [...file.tensors.keys()].find((name) => !used.has(name))
  if (strange !== undefined) {
    const reason = strangerReason(strange)
    if (reason !== undefined) throw new UserError(`${file.path}: '${strange}': ${reason}`)
    throw new InputError({ file: file.path }, `factors of linears of this ${config.family} model only`, `'${strange}'`)
  }
  return layers
}

/**
 * An adapter whose modules have ranks or alphas of their own as one of the largest rank and one scale, which computes the
 * same: rows and columns of zeros fill A and B up, and what is left of a module's scale goes into its B. In training
 * such zeros stay zeros, as each gets its gradient through the other.
 * @throws InputError for a rank of more than `most`.
 */
function levelled({ settings, layers }: Adapter, { alphas, path }: AdapterConfig, most: number): Adapter {
  const ranks = layers.flatMap((tensors) => Object.entries(tensors).map(([name, { shape }]) => rankOf(name, shape)))
  const rank = ranks.reduce((most, one) => Math.max(most, one), 1)
  if (alphas.size === 0 && rank === settings.rank && ranks.every((one) => one === rank)) return { settings, layers }
  // A single large one would fill up all the others.
  if (rank > most) throw new InputError({ file: path }, `ranks of at most ${most}, as large as a weight`, `${rank}`)
  const common: LoraSettings = { ...settings, rank }
  const level = (layer: number, name: string, { data, shape }: WeightTensor): WeightTensor => {
    const own = rankOf(name, shape)
    if (name.endsWith(FACTOR_A)) return { data: filled(data, rank * shape[1]), shape: [rank, shape[1]] }
    const alpha = valueFor(alphas, layerName(layer, name.slice(0, -FACTOR_B.length))) ?? settings.alpha
    const factor = loraScale({ ...settings, rank: own, alpha }) / loraScale(common)
    const wide = new Float32Array(shape[0] * rank)
    for (let at = 0; at < data.length; at++) wide[Math.floor(at / own) * rank + (at % own)] = data[at] * factor
    return { data: wide, shape: [shape[0], rank] }
  }
  return {
    settings: common,
    layers: layers.map((tensors, layer) =>
      Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, level(layer, name, tensor)])),
    ),
  }
}

function rankOf(name: string, shape: readonly number[]): number {
  return name.endsWith(FACTOR_A) ? shape[0] : shape[1]
}

function filled(data: Float32Array, length: number): Float32Array {
  const longer = new Float32Array(length)
  longer.set(data)
  return longer
}

/** Why a module that the file has factors for should have none; undefined where it may. */
function flawOf(layer: number, module: string, { settings, layers, excluded }: AdapterConfig): string | undefined {
  const path = layerName(layer, module)
  const { targets } = settings
  if (layers?.has(layer) === false) return 'factors in layers_to_transform only'
  if (excluded.some((name) => isNamed(path, name))) return 'no factors of exclude_modules'
  const isWanted = typeof targets === 'string' || targets.some((name) => isNamed(path, name))
  return isWanted ? undefined : 'factors of target_modules only'
}

/** @throws InputError where the file has other factors than its configuration names: PEFT would leave them out. */
function checkTargets(file: SafetensorsFile, config: ModelConfig, stored: string[][], told: AdapterConfig): void {
  if (stored.every((modules) => modules.length === 0)) {
    throw new InputError({ file: file.path }, `factors of linears of this ${config.family} model`, 'none')
  }
  const { targets } = told.settings
  const modules = [...families[config.family].linears(config).keys()]
  stored.forEach((own, layer) => {
    for (const module of own) {
      const flaw = flawOf(layer, module, told)
      if (flaw !== undefined) throw new InputError({ file: file.path }, flaw, `'${layerName(layer, module)}'`)
    }
    if (told.isPartial || typeof targets === 'string') return
    const missing = modules.find(
      (module) => !own.includes(module) && targets.some((name) => isNamed(layerName(layer, module), name)),
    )
    if (missing === undefined) return
    throw new InputError({ file: file.path }, `factors of ${layerName(layer, missing)}, a target module`, 'none')
  })
}

/** @throws UserError where there are weights, but only as older versions of PEFT wrote them. */
function refusePickle(folder: string): void {
  const pickle = join(folder, 'adapter_model.bin')
  if (existsSync(join(folder, ADAPTER_WEIGHTS)) || !existsSync(pickle)) return
  throw new UserError(
    `${pickle} holds pickles: reading it could run code; convert it with PEFT where you trust it: ` +
      `PeftModel.from_pretrained(base, folder).save_pretrained(folder) writes ${ADAPTER_WEIGHTS}`,
  )
}

/**
 * Reads a PEFT folder.
 * @throws UserError or InputError naming what is missing, misshapen or not supported.
 */
export function loadAdapter(folder: string, config: ModelConfig): Adapter {
  const told = readAdapterConfig(join(folder, ADAPTER_CONFIG))
  refusePickle(folder)
  const file = openSafetensors(join(folder, ADAPTER_WEIGHTS))
  try {
    const layers = readFactors(file, config, told)
    const stored = storedModules(file, config)
    checkTargets(file, config, stored, told)
    const paths = stored.flatMap((modules, layer) => modules.map((module) => layerName(layer, module)))
    const { targets } = told.settings
    // A list may hold names that this model has not, as lists for several families do.
    const met = (name: string): boolean => paths.some((path) => isNamed(path, name))
    const named = typeof targets === 'string' ? targets : targets.filter(met)
    const settings = { ...told.settings, targets: told.isPartial ? paths : named }
    const sizes = [...families[config.family].linears(config).values()]
    const most = Math.max(...sizes.map(({ inputs, outputs }) => Math.min(inputs, outputs)))
    return levelled({ settings, layers }, told, most)
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
