/** @file The weights of a model under the names that its programs use, each checked against the configuration. */
import { InputError } from '../base/errors.ts'
import type { Tensor } from '../engine/backend.ts'
import { elementCount, showShape } from '../engine/dims.ts'
import { float32Of, isStored, type StoredTensor } from '../engine/stored.ts'
import type { ModelConfig } from './config.ts'
import type { Family } from './layer.ts'
import type { TensorSource } from './tensor-source.ts'

export type WeightTensor = Tensor<Float32Array>
export type LayerTensors = Readonly<Record<string, WeightTensor>>
/** A weight as it is kept: in float32, or as it was stored. */
export type KeptTensor = WeightTensor | StoredTensor
export type KeptTensors = Readonly<Record<string, KeptTensor>>

/** A tensor for each weight of a model: the weights themselves, or something of the same shapes. */
export interface PerWeight<T> {
  /** [vocabulary, hidden] */
  readonly embedding: T
  /** By the names below `model.layers.N.` */
  readonly layers: readonly Readonly<Record<string, T>>[]
  /**
   * The final norm and the product with the vocabulary, by their names in the checkpoint. Where the head is tied, its
   * weight [vocabulary, hidden] is the embedding's own.
   */
  readonly head: Readonly<Record<string, T>>
}

export interface KeptWeights<T extends KeptTensor = KeptTensor> extends PerWeight<T> {
  /** Divisors of the rotary frequencies, where a GGUF file brings them. */
  readonly ropeFactors?: Float32Array
}

/** Weights that can learn. */
export type ModelWeights = KeptWeights<WeightTensor>

export const EMBEDDING = 'model.embed_tokens.weight'
export const HEAD = 'lm_head.weight'
export const HEAD_BIAS = 'lm_head.bias'
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
  for (const [module, columns] of family.norms(config)) {
    for (const part of Object.keys(family.norm.tensors)) shapes.set(`${module}.${part}`, [columns])
  }
  return shapes
}

/** The tensors after the layers. */
export function headShapes(
  family: Family,
  { vocabularySize, hiddenSize }: ModelConfig,
): Map<string, readonly number[]> {
  const norm = Object.keys(family.norm.tensors).map((part) => [`${family.finalNorm}.${part}`, [hiddenSize]] as const)
  const shapes = new Map<string, readonly number[]>(norm).set(HEAD, [vocabularySize, hiddenSize])
  if (family.headBias) shapes.set(HEAD_BIAS, [vocabularySize])
  return shapes
}

/** Every tensor of a model under its name in transformers, in the order of a checkpoint. */
export function tensorShapes(family: Family, config: ModelConfig): Map<string, readonly number[]> {
  const shapes = new Map<string, readonly number[]>([[EMBEDDING, [config.vocabularySize, config.hiddenSize]]])
  for (let layer = 0; layer < config.layers; layer++) {
    for (const [name, shape] of layerShapes(family, config)) shapes.set(layerName(layer, name), shape)
  }
  for (const [name, shape] of headShapes(family, config)) shapes.set(name, shape)
  if (config.tiedHead) shapes.delete(HEAD)
  return shapes
}

/** Buffers of frequencies that old checkpoints carry along, and the head where it is the embedding. */
function isIdle(name: string, config: ModelConfig): boolean {
  return name.endsWith('.rotary_emb.inv_freq') || (name === HEAD && config.tiedHead)
}

/** @throws InputError where a file brings a head of its own, though its model has none but the embedding. */
export function checkTie(source: TensorSource, { tiedHead }: ModelConfig): void {
  if (!tiedHead || !source.names.has(HEAD) || !source.names.has(EMBEDDING)) return
  const [head, embedding] = [source.readKept(HEAD), source.readKept(EMBEDDING)]
  if (areEqual(head, embedding)) return
  throw new InputError(
    { file: source.path },
    `'${HEAD}' to be the embedding, as tie_word_embeddings says`,
    'another head: write "tie_word_embeddings": false into config.json',
  )
}

function areEqual(one: KeptTensor, other: KeptTensor): boolean {
  const isSameForm = 'data' in one && 'data' in other && isStored(one) === isStored(other)
  const [a, b] = isSameForm ? [one.data, other.data] : [float32Of(one).data, float32Of(other).data]
  return Buffer.compare(bytesOf(a), bytesOf(b)) === 0
}

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength)
}

/**
 * Reads the weights of a model, each tensor in its turn.
 * @throws InputError naming a tensor that is missing, of another shape, or not part of the architecture.
 */
export function loadWeights<T extends KeptTensor>(
  source: TensorSource,
  family: Family,
  config: ModelConfig,
  keep: Keeper<T>,
): KeptWeights<T> {
  const rope = config.kinds.map((kind) => kind.rope).find((own) => own !== null)
  const shapes = tensorShapes(family, config).set(ROPE_FACTORS, [(rope?.size ?? 0) / 2])
  for (const name of source.names) {
    if (!shapes.has(name) && !isIdle(name, config)) {
      throw new InputError({ file: source.path }, `tensors of a ${config.family} model only`, `'${name}'`)
    }
  }
  checkTie(source, config)
  const check = (name: string): readonly number[] => {
    const shape = shapes.get(name) ?? []
    if (!source.names.has(name)) {
      throw new InputError({ file: source.path }, `a tensor '${name}' ${showShape(shape)}`, 'none of that name')
    }
    const found = source.shape(name)
    if (found.join() !== shape.join()) {
      throw new InputError({ file: source.path }, `'${name}' of shape ${showShape(shape)}`, showShape(found))
    }
    return shape
  }
  const read = (name: string): T => keep(source, name, check(name))
  const embedding = read(EMBEDDING)
  const layerNames = [...layerShapes(family, config).keys()]
  const layers = Array.from({ length: config.layers }, (_, layer) =>
    Object.fromEntries(layerNames.map((name) => [name, read(layerName(layer, name))])),
  )
  return {
    embedding,
    layers,
    head: Object.fromEntries(
      [...headShapes(family, config).keys()].map((name) => [
        name,
        name === HEAD && config.tiedHead ? embedding : read(name),
      ]),
    ),
    ...(source.names.has(ROPE_FACTORS) && { ropeFactors: source.read(ROPE_FACTORS) }),
  }
}

/** Reads a tensor of a checkpoint, whose shape is right, in the form in which it is kept. */
export type Keeper<T extends KeptTensor> = (source: TensorSource, name: string, shape: readonly number[]) => T

/** Every weight under its name in transformers. */
export function namedWeights<T>(weights: PerWeight<T>): Map<string, T> {
  const named = new Map<string, T>([[EMBEDDING, weights.embedding]])
  weights.layers.forEach((tensors, layer) => {
    for (const [name, tensor] of Object.entries(tensors)) named.set(layerName(layer, name), tensor)
  })
  for (const [name, tensor] of Object.entries(weights.head)) {
    if (tensor !== weights.embedding) named.set(name, tensor)
  }
  return named
}

export function parameterCount(weights: KeptWeights): number {
  let count = 0
  for (const { shape } of namedWeights<KeptTensor>(weights).values()) count += elementCount(shape)
  return count
}

/** The weights, all of which are in float32: they learn, or are written. @throws Error naming one that is not. */
export function float32Weights(weights: KeptWeights): ModelWeights {
  if (areFloat32(weights)) return weights
  throw new Error('weights that learn or are written were kept in another form than float32')
}

function areFloat32(weights: KeptWeights): weights is ModelWeights {
  return ![...namedWeights<KeptTensor>(weights).values()].some(isStored)
}
