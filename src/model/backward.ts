/** @file The backward pass: d loss / d hidden states after the last layer → gradients of what learns in each layer. */
import type { FloatArray, FloatTensors, Tensor } from '../engine/backend.ts'
import { attendBackward } from './attend.ts'
import { type FedLayers, fedLayer, type Keeping, type LayerState, nextBackward, projectAndAttend } from './forward.ts'
import { type Part, soFar } from './layer.ts'
import { type Machine, type PreparedRow, runPart } from './machine.ts'

type Floats = Tensor<FloatArray>

/** The totals of a part, as they are fed and as they are written. */
export function totalsOf(
  part: Part,
  grads: FloatTensors,
): { readonly fed: FloatTensors; readonly written: FloatTensors } {
  const named = (label: (name: string) => string): FloatTensors =>
    Object.fromEntries(part.learned.map((name) => [label(name), grads[name]]))
  return { fed: named(soFar), written: named((name) => `d ${name}`) }
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
    const fed = fedLayer(layers, layer, { row, saving: false }, nextBackward(layer))
    const { project, mix } = fed.parts
    if (recomputing) await projectAndAttend(machine, fed, state)
    const [mixTotals, projectTotals] = [totalsOf(mix, grads[layer]), totalsOf(project, grads[layer])]
    const kept = { ...state.saved, ...fed.masks }
    await runPart(
      machine,
      recomputing ? mix.backward : mix.backwardSaved,
      {
        tokens: { x: state.x, attended: state.attended, 'd y': hidden, ...kept },
        shared: { ...fed.tensors, ...mixTotals.fed },
      },
      { tokens: { 'd x': dRest, 'd attended': dAttended }, totals: mixTotals.written },
    )
    await attendBackward(machine, fed.blocks, { ...state, dAttended }, dProjected)
    const { query, key, value } = dProjected
    const cotangents = { 'd query': query, 'd key': key, 'd value': value, 'd rest': dRest }
    await runPart(
      machine,
      recomputing ? project.backward : project.backwardSaved,
      {
        tokens: { x: state.x, ...fed.angles, ...cotangents, ...kept },
        shared: { ...fed.tensors, ...projectTotals.fed },
      },
      { tokens: { 'd x': hidden }, totals: projectTotals.written },
    )
  }
  return hidden
}
