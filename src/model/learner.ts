/** @file What learns: an adapter's factors or every weight, with the totals of their gradients. */
import type { FloatArray, Tensor } from '../engine/backend.ts'
import { elementCount } from '../engine/dims.ts'
import { namedFactors } from './adapter-file.ts'
import type { FedLayers } from './forward.ts'
import { type Adapter, adaptedLayers, dropoutMasks } from './lora.ts'
import type { Machine } from './machine.ts'
import { type Gradients, type GradientTables, weightLayers } from './pass.ts'
import { float32Weights, namedWeights } from './weights.ts'

export interface Parameter {
  /** Its name in the checkpoint: PEFT's for factors, the one of transformers for weights. */
  readonly name: string
  readonly shape: readonly number[]
  readonly values: Float32Array
  readonly gradient: FloatArray
  /** Whether weight decay applies: as in Trainer, not to biases and norms. */
  readonly decays: boolean
}

export interface Learner {
  /** The layers as a training pass runs them. What is dropped at random depends on its label. */
  layers(label: string): FedLayers
  readonly gradients: Gradients
  readonly parameters: readonly Parameter[]
}

type Floats = Tensor<FloatArray>

function zerosLike(machine: Machine, { shape }: { readonly shape: readonly number[] }): Floats {
  return { data: machine.backend.allocate(elementCount(shape)), shape }
}

function layerGradients(machine: Machine, layers: readonly Readonly<Record<string, Floats>>[]) {
  return layers.map((tensors) =>
    Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, zerosLike(machine, tensor)])),
  )
}

/** Only the factors of an adapter learn. `seed` is that of its dropout. */
export function adapterLearner(machine: Machine, adapter: Adapter, seed = 0): Learner {
  const dropping = adapter.settings.dropout > 0
  const adapted = adaptedLayers(machine, adapter, dropping)
  const layers = layerGradients(machine, adapter.layers)
  const totals = namedFactors({ layers })
  const parameters = [...namedFactors(adapter)].map(([name, tensor]) => parameter(name, tensor, totals.get(name), true))
  const masks = dropoutMasks(machine, adapter, seed)
  return {
    layers: (label) => (dropping ? { ...adapted, masks: masks(label) } : adapted),
    gradients: { layers },
    parameters,
  }
}

/** Every weight of the model learns. */
export function fullLearner(machine: Machine): Learner {
  const weights = float32Weights(machine.weights)
  const layers = layerGradients(machine, weights.layers)
  const embedding = zerosLike(machine, weights.embedding)
  const zerosOf = (tensor: Tensor<Float32Array>): Floats =>
    tensor === weights.embedding ? embedding : zerosLike(machine, tensor)
  const head = Object.fromEntries(Object.entries(weights.head).map(([name, tensor]) => [name, zerosOf(tensor)]))
  const tables: GradientTables = { embedding, head }
  const totals = namedWeights({ ...tables, layers })
  const parameters = [...namedWeights<Tensor<Float32Array>>(weights)].map(([name, tensor]) =>
    parameter(name, tensor, totals.get(name), decays(name)),
  )
  const full = weightLayers(machine, { kind: 'full' })
  return { layers: () => full, gradients: { layers, tables }, parameters }
}

/** Trainer's rule: no decay for biases, and for what a norm holds. */
function decays(name: string): boolean {
  return !name.split('.').some((part) => part === 'bias' || part.endsWith('norm'))
}

function parameter(
  name: string,
  { data, shape }: Tensor<Float32Array>,
  total: Floats | undefined,
  decaying: boolean,
): Parameter {
  if (total === undefined) throw new Error(`${name} learns but has no gradient`)
  return { name, shape, values: data, gradient: total.data, decays: decaying }
}

export function clearGradients({ parameters }: Learner): void {
  for (const { gradient } of parameters) gradient.fill(0)
}
