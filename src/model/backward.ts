/** @file The backward pass: d loss / d hidden states after the last layer → gradients of what learns in each layer. */
import type { FloatArray, FloatTensors, Tensor } from '../engine/backend.ts'
import { attendBackward } from './attend.ts'
import { type FedLayers, fedLayer, type Keeping, type LayerState, projectAndAttend } from './forward.ts'
import type { Part } from './layer.ts'
import { type Machine, type PreparedRow, runPart } from './machine.ts'

type Floats = Tensor<FloatArray>

/** The outputs of a part that are gradients of learning tensors, as totals. */
function sumsOf(part: Part, grads: FloatTensors): FloatTensors {
  return Object.fromEntries(part.learned.map((name) => [`d ${name}`, grads[name]]))
}

/** What a forward pass through the layers left behind. */
export interface LayersPass {
  readonly row: PreparedRow
  readonly layers: FedLayers
  readonly states: readonly LayerState[]
  readonly keeping: Keeping
}

/**
 * Goes back through all layers.
 * @param hidden d loss / d hidden [T, hidden]; overwritten.
 * @param grads for each layer, the totals to which the gradients of its learning tensors are added.
 * @returns d loss / d embedded tokens [T, hidden].
 */
export async function backwardLayers(
  machine: Machine,
  pass: LayersPass,
  hidden: Floats,
  grads: readonly FloatTensors[],
): Promise<Floats> {
  const { row, layers, states, keeping } = pass
  const { heads, keyValueHeads, headSize, hiddenSize } = machine.config
  const take = (name: string, width: number): Floats => machine.workspace.take(name, [row.tokens, width])
  const dAttended = take('d attended', heads * headSize)
  const dRest = take('d rest', hiddenSize)
  const dProjected = {
    query: take('d query', heads * headSize),
    key: take('d key', keyValueHeads * headSize),
    value: take('d value', keyValueHeads * headSize),
  }
  const recomputing = keeping === 'inputs'
  for (let layer = states.length - 1; layer >= 0; layer--) {
    const state = states[layer]
    const fed = fedLayer(layers, layer, row, false)
    const { project, mix } = fed.parts
    if (recomputing) await projectAndAttend(machine, row, fed, state)
    await runPart(
      machine,
      recomputing ? mix.backward : mix.backwardSaved,
      {
        tokens: { x: state.x, attended: state.attended, 'd y': hidden, ...state.saved, ...fed.masks },
        shared: fed.tensors,
      },
      { tokens: { 'd x': dRest, 'd attended': dAttended }, sums: sumsOf(mix, grads[layer]) },
    )
    await attendBackward(machine, row, { ...state, dAttended }, dProjected)
    const { query, key, value } = dProjected
    const cotangents = { 'd query': query, 'd key': key, 'd value': value, 'd rest': dRest }
    await runPart(
      machine,
      recomputing ? project.backward : project.backwardSaved,
      { tokens: { x: state.x, ...row.angles, ...cotangents, ...state.saved, ...fed.masks }, shared: fed.tensors },
      { tokens: { 'd x': hidden }, sums: sumsOf(project, grads[layer]) },
    )
  }
  return hidden
}
