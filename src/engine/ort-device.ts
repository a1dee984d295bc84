/** @file A device of ONNX Runtime: sessions that compute wholly on it, or are refused. */
import * as ort from 'onnxruntime-node'
import { messageOf, UserError } from '../base/errors.ts'
import { type Backend, type Graph, isIntTensor, makeGraph, type Tensor, type Tensors, targetOf } from './backend.ts'
import { type Device, type DeviceFeeds, type DeviceTensor, isOnDevice } from './device.ts'
import { toOnnx } from './onnx.ts'
import { input } from './ops.ts'
import { plainGraph } from './plain-graph.ts'
import { float32Of, isStored, type StoredTensor } from './stored.ts'

/** Where sessions compute. `cpu` takes the processor for a device: with it everything but a driver can be tried. */
export type Provider = 'cpu' | 'webgpu' | 'cuda'

/** Whether the Node binding leaves outputs on the device: it does for buffers of WebGPU only. */
const STAYS: Readonly<Record<Provider, boolean>> = { cpu: false, webgpu: true, cuda: false }

function toOrt(tensor: Tensor | StoredTensor): ort.Tensor {
  if (!isStored(tensor) && isIntTensor(tensor)) return new ort.Tensor('int32', tensor.data, tensor.shape)
  const { data, shape } = isStored(tensor) ? float32Of(tensor) : tensor
  if (data instanceof Float32Array) return new ort.Tensor('float32', data, shape)
  throw new Error('a device computes in float32, found float64')
}

function toDevice(tensor: ort.Tensor): DeviceTensor {
  return { shape: tensor.dims, onDevice: tensor, free: () => tensor.dispose() }
}

/** What is fed, as it comes back: a copy on the device. */
const COPIES: readonly Graph[] = [[], ['A'], ['A', 'B']].map((shape) => makeGraph({ copy: input('own', shape) }))

async function open(provider: Provider, graph: Graph, back: ReadonlySet<string>): Promise<ort.InferenceSession> {
  const places = [...graph.outputs.keys()].map((name) => [name, back.has(name) ? 'cpu' : 'gpu-buffer'] as const)
  const model = toOnnx(plainGraph(graph), {}, {}, { marked: false })
  try {
    return await ort.InferenceSession.create(model, {
      executionProviders: [provider],
      ...(STAYS[provider] && { preferredOutputLocation: Object.fromEntries(places) }),
      enableMemPattern: false,
      logSeverityLevel: 4, // what goes wrong is thrown
      extra: provider === 'cpu' ? {} : { session: { disable_cpu_ep_fallback: '1' } },
    })
  } catch (error) {
    throw new UserError(
      `${provider} cannot compute ${[...graph.outputs.keys()].join(', ')} of this model: ${messageOf(error)} Use --device cpu`,
    )
  }
}

/** A device of a provider that is known to be there. */
export function ortDevice(provider: Provider): Device {
  const sessions = new Map<Graph, Map<string, Promise<ort.InferenceSession>>>()
  const constant = new WeakSet<object>()
  const resident = new Map<object, DeviceTensor>()
  const sessionFor = (graph: Graph, back: readonly string[]): Promise<ort.InferenceSession> => {
    const ofGraph = sessions.get(graph) ?? new Map<string, Promise<ort.InferenceSession>>()
    const key = back.join()
    const session = ofGraph.get(key) ?? open(provider, graph, new Set(back))
    sessions.set(graph, ofGraph.set(key, session))
    return session
  }
  const bring = async (tensor: Tensor | StoredTensor): Promise<DeviceTensor> => {
    if (!STAYS[provider]) return toDevice(toOrt(tensor)) // brought anew with every run
    const session = await sessionFor(COPIES[tensor.shape.length], [])
    return toDevice((await session.run({ own: toOrt(tensor) }))['copy'])
  }
  const fed = async (name: string, feeds: DeviceFeeds): Promise<ort.Tensor> => {
    const feed = feeds[name]
    if (feed === undefined) throw new Error(`feed '${name}' is missing`)
    if (isOnDevice(feed)) return feed.onDevice
    if (!constant.has(feed)) return toOrt(feed)
    const known = resident.get(feed) ?? (await bring(feed))
    resident.set(feed, known)
    return known.onDevice
  }
  return {
    name: provider,
    keep: (tensor) => {
      constant.add(tensor)
    },
    put: ({ data, shape }) => bring({ data: STAYS[provider] ? data : data.slice(), shape }),
    run: async (graph, feeds, into = {}) => {
      const session = await sessionFor(graph, Object.keys(into))
      const given: Record<string, ort.Tensor> = {}
      for (const { attributes } of graph.inputs) given[attributes.name] = await fed(attributes.name, feeds)
      return sortOut(await session.run(given), into)
    },
    dispose: async () => {
      for (const tensor of resident.values()) tensor.free()
      resident.clear()
      // Those that were refused are not there to be released.
      const opened = await Promise.allSettled([...sessions.values()].flatMap((ofGraph) => [...ofGraph.values()]))
      for (const session of opened) if (session.status === 'fulfilled') await session.value.release()
      sessions.clear()
    },
  }
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
