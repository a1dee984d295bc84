/** @file The ONNX file format (onnx.proto, IR version 8): nodes, constants, inputs and outputs → bytes. */
import { namesOf, type Shape } from './dims.ts'
import { type Message, message } from './protobuf.ts'
import type { Kind } from './value.ts'

/** What stands in a tensor: numbers of a graph, or the arrays that stored weights are fed as. */
export type Element = Kind | 'byte' | 'word'

export type AttributeValue = number | string | readonly number[] | { readonly float: number }

export interface Node {
  readonly op: string
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly attributes?: Readonly<Record<string, AttributeValue>>
  readonly domain?: string
}

export interface Constant {
  readonly name: string
  readonly shape: readonly number[]
  readonly data: Float32Array | BigInt64Array | Uint8Array
}

export interface Port {
  readonly name: string
  readonly shape: Shape
  readonly kind: Element
}

/**
 * The name of an output that is no tensor and comes first: an empty sequence. onnxruntime-node 1.30 copies every
 * output into new memory even where the caller has given buffers; at an output that is no tensor it stops converting.
 * By then the caller's buffers are written (see docs/decisions/zero-copy-outputs.md).
 */
export const DONE = '#done'

export interface OnnxModel {
  readonly nodes: readonly Node[]
  readonly constants: readonly Constant[]
  /** Constants whose bytes do not stand in the model: the session is given them, each as a file of its name. */
  readonly external: readonly Constant[]
  readonly inputs: readonly Port[]
  readonly outputs: readonly Port[]
  /** Whether DONE is an output. */
  readonly marked: boolean
}

const IR_VERSION = 8
const OPSET = 18
/** BitCast came with it. */
const OPSET_OF_WORDS = 26
export const DATA_TYPE = { float: 1, byte: 2, word: 4, int: 6, int64: 7, float16: 10, bfloat16: 16 }
const EXTERNAL = 1
const ATTRIBUTE_TYPE = { float: 1, int: 2, string: 3, ints: 7 }

function attribute(name: string, value: AttributeValue): Message {
  const own = message().text(1, name)
  if (typeof value === 'number') return own.int(3, value).int(20, ATTRIBUTE_TYPE.int)
  if (typeof value === 'string') return own.text(4, value).int(20, ATTRIBUTE_TYPE.string)
  if ('float' in value) return own.float(2, value.float).int(20, ATTRIBUTE_TYPE.float)
  for (const item of value) own.int(8, item)
  return own.int(20, ATTRIBUTE_TYPE.ints)
}

function node({ op, inputs, outputs, attributes = {}, domain = '' }: Node): Message {
  const own = message()
  for (const name of inputs) own.text(1, name)
  for (const name of outputs) own.text(2, name)
  own.text(4, op)
  for (const [name, value] of Object.entries(attributes)) own.message(5, attribute(name, value))
  return own.text(7, domain)
}

function dataType(data: Constant['data']): number {
  if (data instanceof Float32Array) return DATA_TYPE.float
  return data instanceof Uint8Array ? DATA_TYPE.byte : DATA_TYPE.int64
}

function constantHead({ name, shape, data }: Constant): Message {
  const own = message()
  for (const size of shape) own.int(1, size)
  return own.int(2, dataType(data)).text(8, name)
}

export function bytesOf({ data }: Constant): Buffer {
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength)
}

function externalConstant(constant: Constant): Message {
  const own = constantHead(constant)
  const entries = { location: constant.name, offset: '0', length: String(constant.data.byteLength) }
  for (const [key, value] of Object.entries(entries)) own.message(13, message().text(1, key).text(2, value))
  return own.int(14, EXTERNAL)
}

/** A product of names has no spelling in ONNX: it is left open. */
function port({ name, shape, kind }: Port): Message {
  const dims = message()
  for (const dim of shape) {
    const own = message()
    if (typeof dim === 'number') own.int(1, dim)
    else if (namesOf(dim)[0] === dim) own.text(2, dim)
    dims.message(1, own)
  }
  const tensor = message().int(1, DATA_TYPE[kind]).message(2, dims)
  return message().text(1, name).message(2, message().message(1, tensor))
}

function doneMarker(): { node: Message; port: Message } {
  const floats = message().message(1, message().int(1, DATA_TYPE.float))
  return {
    node: node({ op: 'SequenceEmpty', inputs: [], outputs: [DONE] }),
    port: message()
      .text(1, DONE)
      .message(2, message().message(4, message().message(1, floats))),
  }
}

export function encodeModel(model: OnnxModel): Uint8Array {
  const done = model.marked ? doneMarker() : undefined
  const graph = message()
  if (done !== undefined) graph.message(1, done.node)
  for (const item of model.nodes) graph.message(1, node(item))
  graph.text(2, 'stepdpo')
  for (const item of model.constants) graph.message(5, constantHead(item).bytes(9, bytesOf(item)))
  for (const item of model.external) graph.message(5, externalConstant(item))
  for (const item of model.inputs) graph.message(11, port(item))
  if (done !== undefined) graph.message(12, done.port)
  for (const item of model.outputs) graph.message(12, port(item))
  const opset = (domain: string, version: number): Message => message().text(1, domain).int(2, version)
  return message()
    .int(1, IR_VERSION)
    .text(2, 'stepdpo')
    .message(7, graph)
    .message(8, opset('', model.inputs.some(({ kind }) => kind === 'word') ? OPSET_OF_WORDS : OPSET))
    .message(8, opset('com.microsoft', 1))
    .encode()
}
