/** @file The weights of a model under the names that its programs use, each checked against the configuration. */
import { InputError } from '../base/errors.ts'
import type { Tensor } from '../engine/backend.ts'
import { elementCount, showShape } from '../engine/dims.ts'
import type { ModelConfig } from './config.ts'
import type { Family } from './layer.ts'
import type { TensorSource } from './tensor-source.ts'

export type WeightTensor = Tensor<Float32Array>
export type LayerTensors = Readonly<Record<string, WeightTensor>>

/** A tensor for each weight of a model: the weights themselves, or something of the same shapes. */
export interface PerWeight<T> {
  /** [vocabulary, hidden] */
  readonly embedding: T
  /** By the names below `model.layers.N.` */
  readonly layers: readonly Readonly<Record<string, T>>[]
  /** [hidden] */
  readonly norm: T
  /** [vocabulary, hidden]; the embedding's own where they are tied. */
  readonly head: T
}

export interface ModelWeights extends PerWeight<WeightTensor> {
  /** Divisors of the rotary frequencies, where a GGUF file brings them. */
  readonly ropeFactors?: Float32Array
}

export const EMBEDDING = 'model.embed_tokens.weight'
export const FINAL_NORM = 'model.norm.weight'
export const HEAD = 'lm_head.weight'
const ROPE_FACTORS = 'rope_freqs.weight'

export function layerName(layer: number, name: string): string {
  return `model.layers.${layer}.${name}`
}

/** The tensors of one layer, by the names below `model.layers.N.`, with their shapes. */
export function layerShapes(family: Family, config: ModelConfig): Map<string, readonly number[]> {
  const shapes = new Map<string, readonly number[]>()
  for (const [module, { outputs, inputs, bias }] of family.linears(config)) {
    shapes.set(`${module}.weight`, [outputs, inputs])
    if (bias) shapes.set(`${module}.bias`, [outputs])
  }
  for (const module of family.norms(config)) shapes.set(`${module}.weight`, [config.hiddenSize])
  return shapes
}

/** Every tensor of a model under its name in transformers, in the order of a checkpoint. */
export function tensorShapes(family: Family, config: ModelConfig): Map<string, readonly number[]> {
  const table = [config.vocabularySize, config.hiddenSize]
  const shapes = new Map<string, readonly number[]>([[EMBEDDING, table]])
  for (let layer = 0; layer < config.layers; layer++) {
    for (const [name, shape] of layerShapes(family, config)) shapes.set(layerName(layer, name), shape)
  }
  shapes.set(FINAL_NORM, [config.hiddenSize])
  if (!config.tiedHead) shapes.set(HEAD, table)
  return shapes
}

/** Buffers of frequencies that old checkpoints carry along, and the head where it is the embedding. */
function isIdle(name: string, config: ModelConfig): boolean {
  return name.endsWith('.rotary_emb.inv_freq') || (name === HEAD && config.tiedHead)
}

/**
 * Reads the weights of a model.
 * @throws InputError naming a tensor that is missing, of another shape, or not part of the architecture.
 */
export function loadWeights(source: TensorSource, family: Family, config: ModelConfig): ModelWeights {
  const shapes = tensorShapes(family, config).set(ROPE_FACTORS, [config.headSize / 2])
  for (const name of source.names) {
    if (!shapes.has(name) && !isIdle(name, config)) {
      throw new InputError({ file: source.path }, `tensors of a ${config.family} model only`, `'${name}'`)
    }
  }
  const read = (name: string): WeightTensor => {
    const shape = shapes.get(name) ?? []
    if (!source.names.has(name)) {
      throw new InputError({ file: source.path }, `a tensor '${name}' ${showShape(shape)}`, 'none of that name')
    }
    const found = source.shape(name)
    if (found.join() !== shape.join()) {
      throw new InputError({ file: source.path }, `'${name}' of shape ${showShape(shape)}`, showShape(found))
    }
    return { data: source.read(name), shape }
  }
  const embedding = read(EMBEDDING)
  const layerNames = [...layerShapes(family, config).keys()]
  const layers = Array.from({ length: config.layers }, (_, layer) =>
    Object.fromEntries(layerNames.map((name) => [name, read(layerName(layer, name))])),
  )
  return {
    embedding,
    layers,
    norm: read(FINAL_NORM),
    head: config.tiedHead ? embedding : read(HEAD),
    ...(source.names.has(ROPE_FACTORS) && { ropeFactors: read(ROPE_FACTORS).data }),
  }
}

/** Every weight under its name in transformers. */
export function namedWeights<T>(weights: PerWeight<T>): Map<string, T> {
  const named = new Map<string, T>([[EMBEDDING, weights.embedding]])
  weights.layers.forEach((tensors, layer) => {
    for (const [name, tensor] of Object.entries(tensors)) named.set(layerName(layer, name), tensor)
  })
  named.set(FINAL_NORM, weights.norm)
  if (weights.head !== weights.embedding) named.set(HEAD, weights.head)
  return named
}

export function parameterCount(weights: ModelWeights): number {
  let count = 0
  for (const { shape } of namedWeights(weights).values()) count += elementCount(shape)
  return count
}
