/** @file One row through the whole model: log-probabilities of its scored tokens, and the gradients of a loss on them. */
import type { FloatArray, FloatTensors, Tensor } from '../engine/backend.ts'
import { backwardLayers, type LayersPass } from './backward.ts'
import { type FedLayers, forwardLayers, type Keeping } from './forward.ts'
import {
  type HeadPass,
  headBackward,
  headLogits,
  headLogps,
  headSloped,
  slopeBackward,
  type TokenScores,
} from './head-pass.ts'
import type { Learning } from './layer.ts'
import type { Machine } from './machine.ts'
import type { Row } from './row.ts'
import type { PerWeight } from './weights.ts'
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
  readonly scores: TokenScores
}

/** The layers of the model without an adapter. */
export function weightLayers(machine: Machine, learning: Learning = { kind: 'none' }): FedLayers {
  const parts = machine.layerFor(learning)
  return { layers: machine.weights.layers.map((tensors) => ({ parts, tensors })) }
}

/** The logits of every token, [T, vocabulary]. */
export async function logitsOf(machine: Machine, row: Row, layers: FedLayers): Promise<Tensor<FloatArray>> {
  const { hidden } = await forwardLayers(machine, machine.prepare(row), layers, 'nothing')
  return headLogits(machine, hidden)
}

/** The log-probabilities of a row's scored tokens [S]. */
export async function scoreRow(machine: Machine, row: Row, layers: FedLayers): Promise<FloatArray> {
  if (row.scored.length === 0) return machine.backend.allocate(0)
  const prepared = machine.prepare(row)
  const { hidden } = await forwardLayers(machine, prepared, layers, 'nothing')
  return headLogps(machine, prepared, hidden)
}

/** The same, keeping what `backwardRow` needs. */
export async function forwardRow(
  machine: Machine,
  row: Row,
  layers: FedLayers,
  keeping: Exclude<Keeping, 'nothing'>,
): Promise<RowPass> {
  const prepared = machine.prepare(row)
  const { states, hidden } = await forwardLayers(machine, prepared, layers, keeping)
  const { scores, slope } = await headSloped(machine, prepared, hidden)
  return { scores, row: prepared, layers, states, keeping, hidden, slope }
}

/** Adds the gradients of a loss to `grads`, given d loss / d logps [S]. */
export async function backwardRow(
  machine: Machine,
  pass: RowPass,
  dLogps: FloatArray,
  grads: Gradients,
): Promise<void> {
  const { tables } = grads
  const dHidden =
    tables === undefined
      ? slopeBackward(machine, pass, dLogps)
      : await headBackward(machine, pass, dLogps, {
          'norm.weight': tables.norm,
          'head.weight': tables.head,
        })
  const dEmbedded = await backwardLayers(machine, pass, dHidden, grads.layers)
  if (tables === undefined) return
  const width = machine.config.hiddenSize
  pass.row.row.ids.forEach((id, at) => {
    const total = tables.embedding.data.subarray(id * width, (id + 1) * width)
    addInto(total, dEmbedded.data.subarray(at * width, (at + 1) * width))
  })
}
