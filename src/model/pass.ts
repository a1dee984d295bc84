/** @file One row through the whole model: log-probabilities of its scored tokens, and the gradients of a loss on them. */
import type { FloatArray, FloatTensors, Tensor } from '../engine/backend.ts'
import { backwardLayers, type LayersPass } from './backward.ts'
import { backwardOnDevice, type DevicePass, forwardOnDevice } from './device-layers.ts'
import { type FedLayers, forwardLayers, type Keeping, type LayerState } from './forward.ts'
import {
  type AskedStatistics,
  type HeadPass,
  headBackward,
  headLogits,
  headScores,
  headSloped,
  type Reference,
  type ScoreGradients,
  type ScoreTargets,
  slopeBackward,
} from './head-pass.ts'
import type { Learning } from './layer.ts'
import type { Machine, PreparedRow } from './machine.ts'
import type { Row } from './row.ts'
import type { PerWeight } from './weights.ts'
import { backwardWhole, forwardWhole, type WholePass } from './whole-layers.ts'
import { addInto } from './workspace.ts'

/** Totals of gradients, to which each backward pass adds. */
export interface Gradients {
  /** For each layer, by the names of its learning tensors. */
  readonly layers: readonly FloatTensors[]
  /** In full training, of what stands outside the layers. */
  readonly tables?: GradientTables
}

export type GradientTables = Omit<PerWeight<Tensor<FloatArray>>, 'layers'>

/** A forward pass that can be gone back. Its buffers belong to the machine: one at a time. */
export interface RowPass extends LayersPass, HeadPass {
  /** What lies on a device instead of in `states`. */
  readonly onDevice?: DevicePass
  /** What a device computes again that keeps nothing. */
  readonly whole?: WholePass
}

interface Forward {
  readonly states: readonly LayerState[]
  readonly onDevice?: DevicePass
  readonly whole?: WholePass
  readonly hidden: Tensor<FloatArray>
}

async function throughLayers(
  machine: Machine,
  row: PreparedRow,
  layers: FedLayers,
  keeping: Keeping,
): Promise<Forward> {
  const { device } = machine.backend
  if (device === undefined) return forwardLayers(machine, row, layers, keeping)
  if (!device.keepsOutputs) {
    const { pass, hidden } = await forwardWhole(machine, device, { row, layers, keeping })
    return { states: [], whole: pass, hidden }
  }
  const { pass, hidden } = await forwardOnDevice(machine, device, { row, layers, keeping })
  return { states: [], onDevice: pass, hidden }
}

/** The layers of the model without an adapter. */
export function weightLayers(machine: Machine, learning: Learning = { kind: 'none' }): FedLayers {
  return {
    layers: machine.weights.layers.map((tensors, layer) => ({ parts: machine.layerFor(learning, layer), tensors })),
  }
}

/** The logits of every token, [T, vocabulary]. */
export async function logitsOf(machine: Machine, row: Row, layers: FedLayers): Promise<Tensor<FloatArray>> {
  const { hidden } = await throughLayers(machine, machine.prepare(row), layers, 'nothing')
  return headLogits(machine, hidden)
}

/**
 * The hidden states of a reference [T, hidden], for passes of the policy on the same row. The buffer belongs to the
 * machine: one at a time.
 */
export async function referenceStates(machine: Machine, row: Row, layers: FedLayers): Promise<Tensor<FloatArray>> {
  const { hidden } = await throughLayers(machine, machine.prepare(row), layers, 'nothing')
  // Out of the buffers of the layers, in which a pass of the policy on this machine works too.
  const kept = machine.workspace.take('reference hidden', hidden.shape)
  kept.data.set(hidden.data)
  return kept
}

/** The log-probabilities of a row's scored tokens [S]. */
export async function scoreRow(machine: Machine, row: Row, layers: FedLayers): Promise<FloatArray> {
  const scores = { logps: machine.backend.allocate(row.scored.length) }
  await scoreInto(machine, row, layers, { scores })
  return scores.logps
}

/** The same, and the divergence KL(ρ‖π) of each token's distribution from that of a reference ρ, [S] in nats. */
export async function scoreRowWithKl(
  machine: Machine,
  row: Row,
  layers: FedLayers,
  reference: Reference,
): Promise<{ readonly logps: FloatArray; readonly kl: FloatArray }> {
  const { allocate } = machine.backend
  const scores = { logps: allocate(row.scored.length), kl: allocate(row.scored.length) }
  await scoreInto(machine, row, layers, { scores, reference })
  return scores
}

async function scoreInto(machine: Machine, row: Row, layers: FedLayers, into: ScoreTargets): Promise<void> {
  if (row.scored.length === 0) return
  const prepared = machine.prepare(row)
  const { hidden } = await throughLayers(machine, prepared, layers, 'nothing')
  await headScores(machine, prepared, hidden, into)
}

/** How a pass that can be gone back is made. */
export interface ForwardOptions extends AskedStatistics {
  readonly keeping: Exclude<Keeping, 'nothing'>
}

/** The scores of a row's scored tokens, keeping what `backwardRow` needs. */
export function forwardRow(
  machine: Machine,
  row: Row,
  layers: FedLayers,
  keeping: ForwardOptions['keeping'],
): Promise<RowPass> {
  return forwardRowWith(machine, row, layers, { keeping })
}

/** The same with what else is asked. */
export async function forwardRowWith(
  machine: Machine,
  row: Row,
  layers: FedLayers,
  { keeping, ...asked }: ForwardOptions,
): Promise<RowPass> {
  const prepared = machine.prepare(row)
  const { hidden, ...kept } = await throughLayers(machine, prepared, layers, keeping)
  return { ...(await headSloped(machine, prepared, hidden, asked)), ...kept, layers, keeping }
}

function backThroughLayers(
  machine: Machine,
  pass: RowPass,
  dHidden: Tensor<FloatArray>,
  grads: Gradients['layers'],
): Promise<Tensor<FloatArray>> {
  const { onDevice, whole } = pass
  if (onDevice !== undefined) return backwardOnDevice(machine, onDevice, dHidden, grads)
  if (whole !== undefined) return backwardWhole(machine, whole, dHidden, grads)
  return backwardLayers(machine, pass, dHidden, grads)
}

/** Adds the gradients of a loss to `grads`, given d loss / d logps [S]. */
export function backwardRow(machine: Machine, pass: RowPass, dLogps: FloatArray, grads: Gradients): Promise<void> {
  return backwardRowWith(machine, pass, { logps: dLogps }, grads)
}

/**
 * The same of a loss on divergences too.
 * @throws Error where it is one, and the pass had no reference.
 */
export async function backwardRowWith(
  machine: Machine,
  pass: RowPass,
  dScores: ScoreGradients,
  grads: Gradients,
): Promise<void> {
  if (dScores.kl !== undefined && pass.reference === undefined) {
    throw new Error('backward pass: expected no d kl, as the forward pass had no reference')
  }
  const { tables } = grads
  const dHidden =
    tables === undefined
      ? slopeBackward(machine, pass, dScores)
      : await headBackward(machine, pass, dScores, tables.head)
  const dEmbedded = await backThroughLayers(machine, pass, dHidden, grads.layers)
  if (tables === undefined) return
  const { hiddenSize: width, embeddingScale } = machine.config
  pass.row.row.ids.forEach((id, at) => {
    const total = tables.embedding.data.subarray(id * width, (id + 1) * width)
    addInto(total, dEmbedded.data.subarray(at * width, (at + 1) * width), embeddingScale)
  })
}
