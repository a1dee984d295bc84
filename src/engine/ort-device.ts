/** @file A device of ONNX Runtime: sessions that compute wholly on it, or are refused. */
import * as ort from 'onnxruntime-node'
import { UserError } from '../base/errors.ts'
import { type Backend, type Graph, isIntTensor, makeGraph, type Tensor, type Tensors, targetOf } from './backend.ts'
import { type Device, type DeviceFeeds, type DeviceTensor, isOnDevice } from './device.ts'
import { heldConstants, toOnnx } from './onnx.ts'
import { bytesOf } from './onnx-model.ts'
import { input } from './ops.ts'
import { isOutOfMemory, ortMessage } from './ort-message.ts'
import { plainGraph } from './plain-graph.ts'
import { float32Of, isStored, type StoredTensor } from './stored.ts'

/** Where sessions compute. `cpu` takes the processor for a device: with it everything but a driver can be tried. */
export type Provider = 'cpu' | 'webgpu' | 'cuda'

/** Whether the Node binding leaves outputs on the device: of those with memory of their own, it does for WebGPU only. */
const STAYS: Readonly<Record<Provider, boolean>> = { cpu: true, webgpu: true, cuda: false }

/** Settings that the binding has no names for. What an operator is missing for is refused, not computed elsewhere. */
const EXTRA: Readonly<Record<Provider, Record<string, unknown>>> = {
  cpu: {},
  webgpu: { session: { disable_cpu_ep_fallback: '1' } },
  cuda: {
    // Weights take what they are, where the arena would round up to a power of two.
    session: { disable_cpu_ep_fallback: '1', use_device_allocator_for_initializers: '1' },
    // What is computed twice to be kept not so long would become one again.
    optimization: { disable_specified_optimizers: 'CommonSubexpressionElimination' },
  },
}

function toOrt(tensor: Tensor | StoredTensor): ort.Tensor {
  if (!isStored(tensor) && isIntTensor(tensor)) return new ort.Tensor('int32', tensor.data, tensor.shape)
  const { data, shape } = isStored(tensor) ? float32Of(tensor) : tensor
  if (data instanceof Float32Array) return new ort.Tensor('float32', data, shape)
  throw new Error('a device computes in float32, found float64')
}

function toDevice(tensor: ort.Tensor): DeviceTensor {
  return { shape: tensor.dims, onDevice: tensor, free: () => tensor.dispose() }
}

function float32Feed(feed: DeviceFeeds[string]): Tensor<Float32Array> {
  if (!isOnDevice(feed)) {
    if (isStored(feed)) return float32Of(feed)
    const { data, shape } = feed
    if (data instanceof Float32Array) return { data, shape }
  }
  throw new Error('a device holds float32 only')
}

/** What is fed, as it comes back: a copy on the device. */
const COPIES: readonly Graph[] = [[], ['A'], ['A', 'B']].map((shape) => makeGraph({ copy: input('own', shape) }))

type Constants = Readonly<Record<string, Tensor<Float32Array>>>

async function open(
  provider: Provider,
  graph: Graph,
  back: ReadonlySet<string>,
  held: Constants,
): Promise<ort.InferenceSession> {
  const places = [...graph.outputs.keys()].map((name) => [name, back.has(name) ? 'cpu' : 'gpu-buffer'] as const)
  const model = toOnnx(plainGraph(graph), held, {}, { marked: false })
  try {
    return await ort.InferenceSession.create(model, {
      executionProviders: [provider],
      externalData: heldConstants(held).map((constant) => ({ path: constant.name, data: bytesOf(constant) })),
      ...(provider === 'webgpu' && { preferredOutputLocation: Object.fromEntries(places) }),
      enableMemPattern: false,
      logSeverityLevel: 4, // what goes wrong is thrown
      extra: EXTRA[provider],
    })
  } catch (error) {
    throw (
      memoryProblem(provider, error) ??
      new UserError(
        `${provider} cannot compute ${[...graph.outputs.keys()].join(', ')} of this model: ${ortMessage(error)} Use --device cpu`,
      )
    )
  }
}

/** Where it is one: how much memory there is cannot be asked beforehand. */
function memoryProblem(provider: Provider, error: unknown): UserError | undefined {
  if (!isOutOfMemory(error)) return undefined
  return new UserError(
    `--device ${provider} has too little memory: ${ortMessage(error)}. A smaller --max_row_tokens takes less; or --device cpu`,
  )
}

type Fed = ort.InferenceSession.FeedsType

async function compute(provider: Provider, session: ort.InferenceSession, given: Fed) {
  try {
    return await session.run(given)
  } catch (error) {
    throw memoryProblem(provider, error) ?? error
  }
}

/** Sessions of graphs, each opened once for the outputs that come back. */
function openSessions(provider: Provider) {
  const sessions = new Map<Graph, Map<string, Promise<ort.InferenceSession>>>()
  return {
    of: (graph: Graph, back: readonly string[], held: () => Constants = () => ({})): Promise<ort.InferenceSession> => {
      const ofGraph = sessions.get(graph) ?? new Map<string, Promise<ort.InferenceSession>>()
      const key = back.join()
      const session = ofGraph.get(key) ?? open(provider, graph, new Set(back), held())
      sessions.set(graph, ofGraph.set(key, session))
      return session
    },
    close: async () => {
      // Those that were refused are not there to be released.
      const opened = await Promise.allSettled([...sessions.values()].flatMap((ofGraph) => [...ofGraph.values()]))
      for (const session of opened) if (session.status === 'fulfilled') await session.value.release()
      sessions.clear()
    },
  }
}

/** A device of a provider that is known to be there. */
export function ortDevice(provider: Provider, keepsOutputs = STAYS[provider]): Device {
  // Products of float32 by tensor cores have 10 bits of mantissa. The binding hands no option of the provider on; NVIDIA's
  // libraries read this when they start.
  if (provider === 'cuda') process.env['NVIDIA_TF32_OVERRIDE'] ??= '0'
  return keepsOutputs ? keepingDevice(provider) : returningDevice(provider)
}

/** Constants are brought once, and shared by all graphs. */
function keepingDevice(provider: Provider): Device {
  const sessions = openSessions(provider)
  const constant = new WeakSet<object>()
  const resident = new Map<object, DeviceTensor>()
  const bring = async (tensor: Tensor | StoredTensor): Promise<DeviceTensor> => {
    const session = await sessions.of(COPIES[tensor.shape.length], [])
    return toDevice((await compute(provider, session, { own: toOrt(tensor) }))['copy'])
  }
  const fed = async (name: string, feeds: DeviceFeeds): Promise<ort.Tensor> => {
    const feed = feedOf(name, feeds)
    if (isOnDevice(feed)) return feed.onDevice
    if (!constant.has(feed)) return toOrt(feed)
    const known = resident.get(feed) ?? (await bring(feed))
    resident.set(feed, known)
    return known.onDevice
  }
  return {
    name: provider,
    keepsOutputs: true,
    keep: (tensor) => {
      constant.add(tensor)
    },
    put: bring,
    run: async (graph, feeds, into = {}) => {
      const session = await sessions.of(graph, Object.keys(into))
      const given: Record<string, ort.Tensor> = {}
      for (const { attributes } of graph.inputs) given[attributes.name] = await fed(attributes.name, feeds)
      return sortOut(await compute(provider, session, given), into)
    },
    dispose: async () => {
      for (const tensor of resident.values()) tensor.free()
      resident.clear()
      await sessions.close()
    },
  }
}

/** Every output comes back. Constants lie in the sessions: those of a graph are the ones of its first run. */
function returningDevice(provider: Provider): Device {
  const sessions = openSessions(provider)
  const constant = new WeakSet<object>()
  const heldBy = new Map<Graph, ReadonlyMap<string, object>>()
  const holdFor = (graph: Graph, feeds: DeviceFeeds): ReadonlyMap<string, object> => {
    const names = graph.inputs.map(({ attributes: { name } }) => name)
    const held = new Map(
      names.map((name) => [name, feedOf(name, feeds)] as const).filter(([, feed]) => constant.has(feed)),
    )
    const known = heldBy.get(graph) ?? held
    heldBy.set(graph, known)
    if (known.size === held.size && names.every((name) => known.get(name) === held.get(name))) return known
    throw new Error(`${provider}: a graph that holds the weights of one layer was fed those of another`)
  }
  return {
    name: provider,
    keepsOutputs: false,
    keep: (tensor) => {
      constant.add(tensor)
    },
    put: async (tensor) => toDevice(toOrt({ ...tensor, data: tensor.data.slice() })),
    run: async (graph, feeds, into = {}) => {
      const held = holdFor(graph, feeds)
      const constants = (): Constants =>
        Object.fromEntries([...held.keys()].map((name) => [name, float32Feed(feedOf(name, feeds))]))
      const session = await sessions.of(graph, Object.keys(into), constants)
      const fed = graph.inputs.map(({ attributes: { name } }) => name).filter((name) => !held.has(name))
      const given = Object.fromEntries(fed.map((name) => [name, ortFeed(feedOf(name, feeds))]))
      return sortOut(await compute(provider, session, given), into)
    },
    dispose: sessions.close,
  }
}

function feedOf(name: string, feeds: DeviceFeeds): DeviceFeeds[string] {
  const feed = feeds[name]
  if (feed === undefined) throw new Error(`feed '${name}' is missing`)
  return feed
}

function ortFeed(feed: DeviceFeeds[string]): ort.Tensor {
  return isOnDevice(feed) ? feed.onDevice : toOrt(feed)
}

/** Writes what is asked for into the caller's buffers, and gives the rest. */
function sortOut(results: ort.InferenceSession.OnnxValueMapType, into: Tensors): Record<string, DeviceTensor> {
  const stays: Record<string, DeviceTensor> = {}
  for (const [name, result] of Object.entries(results)) {
    if (!(name in into)) stays[name] = toDevice(result)
    else if (result.data instanceof Float32Array) targetOf(name, result.dims, into).data.set(result.data)
    else throw new Error(`output '${name}': expected float32, found ${result.type}`)
  }
  return stays
}

/** A backend whose passes over rows run on a device. What decodes runs on the processor. */
export function withDevice(host: Backend, device: Device): Backend {
  return { ...host, name: `onnxruntime ${device.name}`, device }
}
