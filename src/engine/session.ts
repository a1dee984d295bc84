/** @file Runs graphs in ONNX Runtime, in float32. Owns its sessions; feeds and results are the caller's own buffers. */
import * as ort from 'onnxruntime-node'
import { messageOf } from '../base/errors.ts'
import {
  type Backend,
  bindSizes,
  type Feeds,
  type Held,
  isIntTensor,
  outputShapes,
  type Program,
  type Tensor,
  targetOf,
  withoutHeld,
} from './backend.ts'
import { heldConstants, toOnnx } from './onnx.ts'
import { bytesOf, DONE } from './onnx-model.ts'
import { partName } from './onnx-stored.ts'
import { isStored, partsOf, type StoredPart } from './stored.ts'

export interface OrtOptions {
  /** Threads of one product. Results are bit-identical for equal numbers only. */
  readonly threads: number
}

function sessionOptions(threads: number, held: Held): ort.InferenceSession.SessionOptions {
  return {
    externalData: heldConstants(held).map((constant) => ({ path: constant.name, data: bytesOf(constant) })),
    executionProviders: ['cpu'],
    intraOpNumThreads: threads,
    enableMemPattern: false, // sizes change from run to run
    logSeverityLevel: 3,
    // Each session has threads of its own. Idle ones must not spin while another session computes.
    extra: { session: { force_spinning_stop: '1' } },
  }
}

function toOrt(name: string, tensor: Tensor): ort.Tensor {
  if (isIntTensor(tensor)) return new ort.Tensor('int32', tensor.data, tensor.shape)
  if (tensor.data instanceof Float32Array) return new ort.Tensor('float32', tensor.data, tensor.shape)
  throw new Error(`feed '${name}' is in float64, ONNX Runtime computes in float32`)
}

function partToOrt({ data, shape }: StoredPart): ort.Tensor {
  if (data instanceof Uint16Array) return new ort.Tensor('uint16', data, shape)
  return data instanceof Uint8Array ? new ort.Tensor('uint8', data, shape) : new ort.Tensor('float32', data, shape)
}

/** What an input is fed: one tensor, or each part of a stored one. */
function feedsOf(name: string, feeds: Feeds): (readonly [string, ort.Tensor])[] {
  const feed = feeds[name]
  if (!isStored(feed)) return [[name, toOrt(name, feed)]]
  return partsOf(feed).map((part) => [partName(name, part.part), partToOrt(part)])
}

/** What onnxruntime-node says when it comes to convert the marker. Everything is computed and written by then. */
const MARKER_REACHED = 'Non tensor type is temporarily not supported.'

async function runSession(session: ort.InferenceSession, feeds: NamedTensors, into: NamedTensors): Promise<void> {
  try {
    await session.run(feeds, { ...into, [DONE]: null })
  } catch (error) {
    if (messageOf(error) === MARKER_REACHED) return
    throw error
  }
  throw new Error('this version of onnxruntime-node converts sequences: outputs would be copied')
}

type NamedTensors = Record<string, ort.Tensor>

/** ONNX Runtime on the processor. */
export function ortBackend({ threads }: OrtOptions): Backend {
  return {
    name: `onnxruntime cpu(${threads})`,
    allocate: (length) => new Float32Array(length),
    compile: async (whole, held = {}, forms = {}): Promise<Program> => {
      const session = await ort.InferenceSession.create(toOnnx(whole, held, forms), sessionOptions(threads, held))
      const graph = withoutHeld(whole, held)
      return {
        graph,
        run: async (feeds, into) => {
          const named: NamedTensors = {}
          for (const [name, shape] of outputShapes(graph, bindSizes(graph, feeds))) {
            named[name] = toOrt(name, targetOf(name, shape, into))
          }
          const fed = graph.inputs.flatMap(({ attributes: { name } }) => feedsOf(name, feeds))
          await runSession(session, Object.fromEntries(fed), named)
        },
        dispose: () => session.release(),
      }
    },
  }
}
