/** @file A model from its folder: config.json and weights, or a .gguf file that holds both. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { InputError, messageOf, UserError } from '../base/errors.ts'
import { parseJson } from '../base/lines.ts'
import type { ModelConfig } from './config.ts'
import { families, parseModelConfig } from './families.ts'
import { openGguf } from './gguf.ts'
import { ggufConfig } from './gguf-config.ts'
import { inFloat32, type Keep, keeperOf } from './keep.ts'
import { openWeights } from './tensor-source.ts'
import { type Keeper, type KeptTensor, type KeptWeights, loadWeights, type WeightTensor } from './weights.ts'

export interface LoadedModel<T extends KeptTensor = WeightTensor> {
  readonly path: string
  readonly config: ModelConfig
  /** The content of config.json. */
  readonly json: unknown
  readonly weights: KeptWeights<T>
}

/** The content of a JSON file. */
export function readJsonFile(path: string): unknown {
  let bytes: Uint8Array
  try {
    bytes = readFileSync(path)
  } catch (error) {
    throw new UserError(`cannot read ${path}: ${messageOf(error)}`, { cause: error })
  }
  const parsed = parseJson(bytes)
  if ('problem' in parsed) throw new InputError({ file: path }, 'JSON', parsed.problem)
  return parsed.value
}

/** The one .gguf file of a folder, or the file itself; undefined where there is none. */
export function ggufPath(path: string): string | undefined {
  if (!statSync(path).isDirectory()) return path
  const names = readdirSync(path).filter((name) => name.toLowerCase().endsWith('.gguf'))
  return names.length === 1 ? join(path, names[0]) : undefined
}

/** The configuration of a model, without its weights. */
export function loadConfig(path: string): { readonly config: ModelConfig; readonly json: unknown } {
  if (!existsSync(path)) throw new UserError(`no model at ${path}: expected a folder with config.json and weights`)
  const file = join(path, 'config.json')
  if (existsSync(file)) {
    const json = readJsonFile(file)
    return { config: parseModelConfig(json, file), json }
  }
  const gguf = ggufPath(path)
  if (gguf === undefined) throw new UserError(`${path}: expected a config.json or one .gguf file, found neither`)
  const opened = openGguf(gguf)
  try {
    const json = ggufConfig(opened)
    return { config: parseModelConfig(json, gguf), json }
  } finally {
    opened.close()
  }
}

/**
 * Loads a model in float32.
 * @throws UserError or InputError naming the file and what is missing, unsupported or misshapen.
 */
export function loadModel(path: string): LoadedModel {
  return load(path, () => inFloat32)
}

/** Loads a model in the form in which its weights are to be kept. @throws as `loadModel`. */
export function loadKept(path: string, keep: Keep): LoadedModel<KeptTensor> {
  return load(path, (config) => keeperOf(keep, families[config.family], config))
}

function load<T extends KeptTensor>(path: string, keeperFor: (config: ModelConfig) => Keeper<T>): LoadedModel<T> {
  const { config, json } = loadConfig(path)
  const source = openWeights(path)
  try {
    return { path, config, json, weights: loadWeights(source, families[config.family], config, keeperFor(config)) }
  } finally {
    source.close()
  }
}
