/** @file The layers of a model in one run of a device: embedded tokens go up, hidden states or gradients come down. */
import type { FloatArray, FloatTensors, Tensor } from '../engine/backend.ts'
import type { Device, DeviceFeeds } from '../engine/device.ts'
import type { AttentionGraphs } from './attention.ts'
import { type FedLayers, fedLayer, type Keeping, nextBackward } from './forward.ts'
import { type LayerParts, soFar } from './layer.ts'
import type { Machine, PreparedRow } from './machine.ts'
import { buildWhole, ofKind, ofLayer, type WholeGraphs } from './whole-row.ts'

type Floats = Tensor<FloatArray>

/** What goes up for a row: nothing of it stays. */
export interface WholePass {
  readonly device: Device
  readonly row: PreparedRow
  readonly layers: FedLayers
  readonly graphs: WholeGraphs
  readonly feeds: DeviceFeeds
}

interface Built extends WholeGraphs {
  readonly parts: readonly LayerParts[]
  readonly keeping: Keeping
}

/** Of each machine, by its graphs of attention. */
const built = new WeakMap<AttentionGraphs, Built[]>()

/** The graphs of some layers, built once: each holds the weights. A pass that keeps nothing has a forward graph of any. */
function graphsOf({ config, attention }: Machine, { layers }: FedLayers, asked: Keeping): WholeGraphs {
  const own = built.get(attention) ?? []
  built.set(attention, own)
  const ofLayers = own.filter(({ parts }) => parts.every((part, at) => part === layers[at].parts))
  const known = ofLayers.find(({ keeping }) => asked === 'nothing' || keeping === asked)
  if (known !== undefined) return known
  const parts = layers.map((layer) => layer.parts)
  const keeping = asked === 'nothing' ? 'inputs' : asked
  const made = { ...buildWhole(config, parts, attention, keeping), parts, keeping }
  own.push(made)
  return made
}

function copyOf({ data, shape }: Floats): Floats {
  return { data: data.slice(), shape }
}

/** All that the graphs ask for but the embedded tokens. Masks of dropout are drawn into memory that is used again. */
function feedsOf(machine: Machine, row: PreparedRow, layers: FedLayers): DeviceFeeds {
  const { kindOf } = machine.config
  const feeds: Record<string, DeviceFeeds[string]> = {}
  for (let layer = layers.layers.length - 1; layer >= 0; layer--) {
    const { blocks, angles, tensors, masks } = fedLayer(layers, layer, { row, saving: false }, nextBackward(layer))
    const kind = kindOf[layer]
    feeds[ofKind(kind, 'mask')] = blocks[0].mask
    if (angles) Object.assign(feeds, { [ofKind(kind, 'cos')]: angles.cos, [ofKind(kind, 'sin')]: angles.sin })
    for (const [name, tensor] of Object.entries(tensors)) feeds[ofLayer(layer, name)] = tensor
    for (const [name, mask] of Object.entries(masks)) feeds[ofLayer(layer, name)] = copyOf(mask)
  }
  return feeds
}

/** As `forwardLayers`. What a backward pass needs is computed again by it. */
export async function forwardWhole(
  machine: Machine,
  device: Device,
  { row, layers, keeping }: { readonly row: PreparedRow; readonly layers: FedLayers; readonly keeping: Keeping },
): Promise<{ readonly pass: WholePass; readonly hidden: Floats }> {
  const shape = [row.tokens, machine.config.hiddenSize]
  const embedded = machine.workspace.take('embedded', shape)
  const hidden = machine.workspace.take('x 0', shape)
  machine.embed(row.row.ids, embedded)
  const graphs = graphsOf(machine, layers, keeping)
  const feeds = { embedded, ...feedsOf(machine, row, layers) }
  await device.run(graphs.forward, feeds, { hidden })
  return { pass: { device, row, layers, graphs, feeds }, hidden }
}

/** As `backwardLayers`: `hidden` is d loss / d hidden, and then d loss / d embedded tokens. */
export async function backwardWhole(
  machine: Machine,
  { device, row, graphs, feeds }: WholePass,
  hidden: Floats,
  grads: readonly FloatTensors[],
): Promise<Floats> {
  const { keyValueHeads, headSize } = machine.config
  const shape = [row.tokens, keyValueHeads * headSize]
  const zeros = { data: new Float32Array(shape[0] * shape[1]), shape }
  const totals: Record<string, Floats> = {}
  const before: Record<string, Floats> = {}
  for (const [layer, tensors] of grads.entries()) {
    for (const [name, total] of Object.entries(tensors)) {
      totals[ofLayer(layer, `d ${name}`)] = total
      before[ofLayer(layer, soFar(name))] = total
    }
  }
  const given = { ...feeds, ...before, zeros, 'd hidden': copyOf(hidden) }
  await device.run(graphs.backward, given, { ...totals, 'd embedded': hidden })
  return hidden
}
