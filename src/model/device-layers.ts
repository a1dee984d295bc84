/**
 * @file The layers of a model on a device. Between the embedded tokens that go up and the last hidden states that come
 * down, what is computed stays there: a row is one block and one chunk.
 */
import type { FloatArray, FloatTensors, Tensor } from '../engine/backend.ts'
import type { Device, DeviceTensor, DeviceTensors } from '../engine/device.ts'
import { totalsOf } from './backward.ts'
import { type FedLayer, type FedLayers, fedLayer, type Keeping, nextBackward, nextForward } from './forward.ts'
import type { Machine, PreparedRow } from './machine.ts'
import type { RowView } from './row-views.ts'

type Floats = Tensor<FloatArray>
type Feed = Floats | DeviceTensor

/** What is kept of a layer on the device. */
export interface DeviceState {
  readonly x: Feed
  /** query, key, value and what products gave; null where they are computed again. */
  readonly kept: DeviceTensors | null
}

/** What a row brings to the device once. */
interface RowFeeds {
  readonly zeros: DeviceTensor
  readonly views: ReadonlyMap<RowView, DeviceTensors>
}

/** What a forward pass on a device left behind there. */
export interface DevicePass {
  readonly device: Device
  readonly row: PreparedRow
  readonly layers: FedLayers
  readonly keeping: Keeping
  readonly feeds: RowFeeds
  readonly states: readonly DeviceState[]
}

const free = (tensors: DeviceTensors): void => {
  for (const tensor of Object.values(tensors)) tensor.free()
}

async function bringRow(machine: Machine, device: Device, row: PreparedRow): Promise<RowFeeds> {
  const { keyValueHeads, headSize } = machine.config
  const views = new Map<RowView, DeviceTensors>()
  for (const view of new Set(row.layers)) {
    const [{ mask }] = view.blocks
    const [cos, sin] = [view.angles?.cos, view.angles?.sin]
    views.set(view, {
      mask: await device.put(mask),
      ...(cos && { cos: await device.put(cos) }),
      ...(sin && { sin: await device.put(sin) }),
    })
  }
  const shape = [row.tokens, keyValueHeads * headSize]
  return { views, zeros: await device.put({ data: new Float32Array(shape[0] * shape[1]), shape }) }
}

function dropRow({ views, zeros }: RowFeeds): void {
  for (const view of views.values()) free(view)
  zeros.free()
}

/** A layer with what its row brought. */
interface Layer extends FedLayer {
  readonly view: DeviceTensors
}

function layerOf({ layers, row, feeds, keeping }: Omit<DevicePass, 'states'>, at: number, next?: number): Layer {
  const view = feeds.views.get(row.layers[at])
  if (view === undefined) throw new Error(`layer ${at} has no view of the row`)
  return { ...fedLayer(layers, at, { row, saving: keeping === 'products' }, next), view }
}

/** query, key, value, what the products before them gave, and attended. */
async function projectAndAttend(machine: Machine, device: Device, layer: Layer, x: Feed): Promise<DeviceTensors> {
  const { project } = layer.parts
  const graph = layer.saving ? project.forwardSaving : project.forward
  const projected = await device.run(graph, { x, ...layer.view, ...layer.masks, ...layer.tensors })
  const { attended } = await device.run(machine.attention.forward, { ...projected, ...layer.view })
  return { ...projected, attended }
}

/** As `forwardLayers`, on a device. The pass is undefined where nothing is kept. */
export async function forwardOnDevice(
  machine: Machine,
  device: Device,
  { row, layers, keeping }: Pick<DevicePass, 'row' | 'layers' | 'keeping'>,
): Promise<{ readonly pass?: DevicePass; readonly hidden: Floats }> {
  const hidden = machine.workspace.take('x 0', [row.tokens, machine.config.hiddenSize])
  machine.embed(row.row.ids, hidden)
  const begun = { device, row, layers, keeping, feeds: await bringRow(machine, device, row) }
  const states: DeviceState[] = []
  let x: Feed = keeping === 'nothing' ? hidden : await device.put(hidden)
  for (let at = 0; at < layers.layers.length; at++) {
    const layer = layerOf(begun, at, nextForward(layers, at, keeping))
    const own = await projectAndAttend(machine, device, layer, x)
    const graph = layer.saving ? layer.parts.mix.forwardSaving : layer.parts.mix.forward
    const isLast = at === layers.layers.length - 1
    const feeds = { x, attended: own['attended'], ...layer.masks, ...layer.tensors }
    const { y, ...saved } = await device.run(graph, feeds, isLast ? { y: hidden } : {})
    if (!layer.saving) free(own)
    if (keeping === 'nothing' && 'free' in x) x.free()
    states.push({ x, kept: layer.saving ? { ...own, ...saved } : null })
    x = y
  }
  if (keeping !== 'nothing') return { pass: { ...begun, states }, hidden }
  dropRow(begun.feeds)
  return { hidden }
}

/** As `backwardLayers`: `hidden` is d loss / d hidden, and then d loss / d embedded tokens. Frees what the pass kept. */
export async function backwardOnDevice(
  machine: Machine,
  pass: DevicePass,
  hidden: Floats,
  grads: readonly FloatTensors[],
): Promise<Floats> {
  let dy: Feed = hidden
  for (let at = pass.states.length - 1; at >= 0; at--) {
    const dx: DeviceTensors = await backThroughLayer(machine, pass, at, { dy, grads: grads[at], hidden })
    if ('free' in dy) dy.free()
    dy = dx['d x'] ?? hidden
  }
  dropRow(pass.feeds)
  return hidden
}

async function backThroughLayer(
  machine: Machine,
  pass: DevicePass,
  at: number,
  { dy, grads, hidden }: { readonly dy: Feed; readonly grads: FloatTensors; readonly hidden: Floats },
): Promise<DeviceTensors> {
  const { device, feeds, states } = pass
  const { x, kept } = states[at]
  const layer = layerOf(pass, at, nextBackward(at))
  const { project, mix } = layer.parts
  const own = kept ?? (await projectAndAttend(machine, device, { ...layer, saving: false }, x))
  const shared = { x, ...own, ...layer.view, ...layer.masks, ...layer.tensors }
  const mixTotals = totalsOf(mix, grads)
  const mixed = await device.run(
    kept === null ? mix.backward : mix.backwardSaved,
    { ...shared, 'd y': dy, ...mixTotals.fed },
    mixTotals.written,
  )
  const attended = await device.run(machine.attention.backward, {
    ...shared,
    'd attended': mixed['d attended'],
    'd key so far': feeds.zeros,
    'd value so far': feeds.zeros,
  })
  const totals = totalsOf(project, grads)
  const before = await device.run(
    kept === null ? project.backward : project.backwardSaved,
    { ...shared, ...attended, 'd rest': mixed['d x'], ...totals.fed },
    at === 0 ? { ...totals.written, 'd x': hidden } : totals.written,
  )
  for (const tensors of [own, mixed, attended]) free(tensors)
  if ('free' in x) x.free()
  return before
}
