/** @file The forward pass: a row of tokens → the hidden states after the last layer, keeping what a backward pass needs. */
import type { FloatArray, FloatTensors, Tensor } from '../engine/backend.ts'
import { attend, type QueryKeyValue } from './attend.ts'
import type { LayerParts, Part } from './layer.ts'
import { type Machine, type PreparedRow, runPart } from './machine.ts'
import type { MaskSource } from './mask-source.ts'
import type { RowView } from './row-views.ts'
import type { KeptTensors } from './weights.ts'

type Floats = Tensor<FloatArray>

/** The layers of a model with the tensors they are fed: their weights, and those of an adapter. */
export interface FedLayers {
  readonly layers: readonly { readonly parts: LayerParts; readonly tensors: KeptTensors }[]
  /** Dropout masks: equal ones in the forward and the backward pass. */
  readonly masks?: MaskSource
}

/** One of them, for a row. `saving`: whether what products give is kept. */
export interface FedLayer extends RowView {
  readonly parts: LayerParts
  readonly tensors: KeptTensors
  readonly masks: FloatTensors
  readonly saving: boolean
}

/** @param next the layer that a pass comes to after this one, if there is one. */
export function fedLayer(
  { layers, masks }: FedLayers,
  at: number,
  { row, saving }: { readonly row: PreparedRow; readonly saving: boolean },
  next: number | undefined,
): FedLayer {
  return { ...layers[at], ...row.layers[at], masks: masks?.(at, row.tokens, next) ?? {}, saving }
}

/** What a forward pass comes to after a layer. The backward pass begins with the last one, whose masks are there. */
export function nextForward({ layers }: FedLayers, at: number, keeping: Keeping): number | undefined {
  return at + 1 < layers.length ? at + 1 : keeping === 'nothing' ? undefined : nextBackward(at)
}

export function nextBackward(at: number): number | undefined {
  return at > 0 ? at - 1 : undefined
}

/** What is kept of each layer for the backward pass: nothing, its input only, or all that products gave. */
export type Keeping = 'nothing' | 'inputs' | 'products'

/** What one layer computed, [T, columns] each. */
export interface LayerState extends QueryKeyValue {
  readonly x: Floats
  readonly attended: Floats
  readonly saved: Readonly<Record<string, Floats>>
}

/** The buffers of one layer. Layers that are not kept, under a name of their own, share theirs. */
function layerState(machine: Machine, parts: LayerParts, x: Floats, keptAs: string | null): LayerState {
  const { heads, keyValueHeads, headSize } = machine.config
  const name = keptAs ?? 'layer'
  const take = (what: string, width: number): Floats => machine.workspace.take(`${name} ${what}`, [x.shape[0], width])
  const saved = keptAs === null ? [] : [...parts.project.saved, ...parts.mix.saved]
  return {
    x,
    query: take('query', heads * headSize),
    key: take('key', keyValueHeads * headSize),
    value: take('value', keyValueHeads * headSize),
    attended: take('attended', heads * headSize),
    saved: Object.fromEntries(saved.map(([what, width]) => [what, take(what, width)])),
  }
}

/** The outputs that a part gives beside its own when it saves. */
function savedBy(part: Part, state: LayerState): FloatTensors {
  return Object.fromEntries([...part.saved.keys()].map((name) => [name, state.saved[name]]))
}

/** query, key, value and attended of a layer from its x. */
export async function projectAndAttend(machine: Machine, layer: FedLayer, state: LayerState): Promise<void> {
  const { saving } = layer
  const part = layer.parts.project
  const { query, key, value } = state
  await runPart(
    machine,
    saving ? part.forwardSaving : part.forward,
    { tokens: { x: state.x, ...layer.angles, ...layer.masks }, shared: layer.tensors },
    { tokens: { query, key, value, ...(saving && savedBy(part, state)) } },
  )
  await attend(machine, layer.blocks, state, state.attended)
}

async function mix(machine: Machine, layer: FedLayer, state: LayerState, y: Floats): Promise<void> {
  const { saving } = layer
  const part = layer.parts.mix
  await runPart(
    machine,
    saving ? part.forwardSaving : part.forward,
    { tokens: { x: state.x, attended: state.attended, ...layer.masks }, shared: layer.tensors },
    { tokens: { y, ...(saving && savedBy(part, state)) } },
  )
}

/** Runs a row through all layers. `hidden` is what the last one gives, the input of the head. */
export async function forwardLayers(
  machine: Machine,
  row: PreparedRow,
  layers: FedLayers,
  keeping: Keeping,
): Promise<{ readonly states: readonly LayerState[]; readonly hidden: Floats }> {
  const shape = [row.tokens, machine.config.hiddenSize]
  const inputOf = (layer: number): Floats =>
    machine.workspace.take(keeping === 'nothing' ? `x ${layer % 2}` : `layer ${layer} x`, shape)
  const saving = keeping === 'products'
  const states: LayerState[] = []
  let x = inputOf(0)
  machine.embed(row.row.ids, x)
  for (let layer = 0; layer < layers.layers.length; layer++) {
    const fed = fedLayer(layers, layer, { row, saving }, nextForward(layers, layer, keeping))
    const state = layerState(machine, fed.parts, x, saving ? `layer ${layer}` : null)
    await projectAndAttend(machine, fed, state)
    x = inputOf(layer + 1)
    await mix(machine, fed, state, x)
    states.push(state)
  }
  return { states, hidden: x }
}
