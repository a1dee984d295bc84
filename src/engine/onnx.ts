/** @file Writes a graph as an ONNX model, one rule per primitive, with the fused operators of ONNX Runtime. */
import { type Graph, type Held, withoutHeld } from './backend.ts'
import type { BlockTensor } from './block-tensor.ts'
import { type Dim, namesOf, type Shape } from './dims.ts'
import { type AttributeValue, type Constant, encodeModel, type Node, type Port } from './onnx-model.ts'
import { blockConstants, type NodeWriter, partName, storedPorts, writeStored } from './onnx-stored.ts'
import { type Forms, isBlocks } from './stored.ts'
import { inOrder, isA, type Primitive, type Value } from './value.ts'

const MICROSOFT = 'com.microsoft'

/** Collects the nodes of one model. */
interface Emitter extends NodeWriter {
  /** The name under which a value's result is found. */
  name(value: Value): string
  /** The blocks of integers as which an input is held. */
  blocks(value: Value): BlockTensor | undefined
  /** The name of an int64 list with the sizes of a shape. */
  shape(shape: Shape): string
  /** Reads a value under another shape. */
  reshape(from: string, shape: Shape, name?: string): string
}

/** Emits what a value is; `target` is the name its result must have. */
type Rule<P extends Primitive> = (emit: Emitter, value: Value<P>, target: string) => void

function plain(op: string, attributes?: Readonly<Record<string, AttributeValue>>): Rule<Primitive> {
  return (emit, value, name) => {
    emit.node(op, value.inputs.map(emit.name), attributes, { name })
  }
}

/** Activations are rounded to 8 bits too, each block of a row for itself. */
const INT8_PRODUCTS = 4

function matmulBlocks(emit: Emitter, value: Value<'matmul'>, { bits, block, shape }: BlockTensor, name: string): void {
  const [x, weight] = value.inputs
  const { transposeA, transposeB, scale } = value.attributes
  if (transposeA || !transposeB || scale !== 1) throw new Error(`matmul: ${name} cannot use a weight in blocks`)
  const [packed, scales] = (['packed', 'scales'] as const).map((part) => partName(emit.name(weight), part))
  const attributes = { N: shape[0], K: shape[1], bits, block_size: block, accuracy_level: INT8_PRODUCTS }
  emit.node('MatMulNBits', [emit.name(x), packed, scales], attributes, { name, domain: MICROSOFT })
}

const matmul: Rule<'matmul'> = (emit, value, name) => {
  const blocks = emit.blocks(value.inputs[1])
  if (blocks !== undefined) return matmulBlocks(emit, value, blocks, name)
  const { transposeA, transposeB, scale } = value.attributes
  const attributes = { transA: Number(transposeA), transB: Number(transposeB), alpha: { float: scale } }
  const names = value.inputs.map(emit.name)
  if (value.inputs.every((operand) => operand.shape.length === 2)) emit.node('Gemm', names, attributes, { name })
  else if (!transposeA && !transposeB && scale === 1) emit.node('MatMul', names, {}, { name })
  else emit.node('FusedMatMul', names, attributes, { name, domain: MICROSOFT })
}

const rotary: Rule<'rotary'> = (emit, value, name) => {
  const [x, cos, sin] = value.inputs
  const [rows, heads, size] = value.shape
  const flat = emit.reshape(emit.name(x), [1, rows, Number(heads) * Number(size)])
  const inputs = [flat, emit.ints([0]), emit.name(cos), emit.name(sin)]
  const turned = emit.node('RotaryEmbedding', inputs, { num_heads: Number(heads) }, { domain: MICROSOFT })
  emit.reshape(turned, value.shape, name)
}

/** Index [S] as [S, 1]. */
function indexColumn(emit: Emitter, index: Value): string {
  return emit.node('Unsqueeze', [emit.name(index), emit.ints([1])])
}

function zeros(emit: Emitter, shape: Shape): string {
  return emit.node('Expand', [emit.float(0), emit.shape(shape)])
}

const INT32 = 6
const INT64 = 7

/**
 * Both `append` and the attention: where a cache is fed and written in the same buffer, only the new rows are written.
 * Each sequence and head is computed for itself, at its own length.
 */
const attend: Rule<'attend'> = (emit, value, name) => {
  const [query, keys, values, ends] = value.inputs
  const [, groups, , size] = keys.shape
  const { scale, window } = value.attributes
  const batch = emit.node('Shape', [emit.name(ends)])
  const perSequence = (rows: Value): string => {
    const shape = emit.node('Concat', [batch, emit.ints([-1, Number(rows.shape[1])])], { axis: 0 })
    return emit.node('Reshape', [emit.name(rows), shape])
  }
  const before = emit.node('Sub', [emit.name(ends), emit.node('Cast', [emit.ints([1])], { to: INT32 })])
  const longest = emit.node('ReduceMax', [emit.name(ends)], { keepdims: 1 })
  const [newKeys, newValues] = [keys, values].map(({ inputs: [, rows] }) => perSequence(rows))
  const caches = [keys, values].map(({ inputs: [cache] }) => emit.name(cache))
  const attributes = {
    num_heads: Number(query.shape[1]) / Number(size),
    kv_num_heads: Number(groups),
    scale: { float: scale },
    local_window_size: window ?? -1,
  }
  const inputs = [perSequence(query), newKeys, newValues, ...caches, before, longest]
  const target = { domain: MICROSOFT, more: [emit.name(keys), emit.name(values)] }
  emit.reshape(emit.node('GroupQueryAttention', inputs, attributes, target), value.shape, name)
}

const onnxRules: { readonly [P in Primitive]: Rule<P> } = {
  input: () => {},
  constant: (emit, { attributes }, name) => {
    emit.node('Identity', [emit.float(attributes.number)], {}, { name })
  },
  add: plain('Add'),
  sub: plain('Sub'),
  mul: plain('Mul'),
  div: plain('Div'),
  neg: plain('Neg'),
  exp: plain('Exp'),
  log: plain('Log'),
  sqrt: plain('Sqrt'),
  sigmoid: plain('Sigmoid'),
  tanh: plain('Tanh'),
  silu: (emit, { inputs: [x] }, name) => {
    emit.node('QuickGelu', [emit.name(x)], { alpha: { float: 1 } }, { domain: MICROSOFT, name })
  },
  gelu: (emit, { inputs: [x] }, name) => {
    emit.node('FastGelu', [emit.name(x)], {}, { domain: MICROSOFT, name })
  },
  matmul,
  softmax: plain('Softmax', { axis: -1 }),
  logSoftmax: plain('LogSoftmax', { axis: -1 }),
  rmsNorm: (emit, { inputs: [x, weight], attributes }, name) => {
    const options = { axis: -1, epsilon: { float: attributes.epsilon } }
    emit.node('SimplifiedLayerNormalization', [emit.name(x), emit.name(weight)], options, { name })
  },
  layerNorm: (emit, { inputs, attributes }, name) => {
    const options = { axis: -1, epsilon: { float: attributes.epsilon } }
    emit.node('LayerNormalization', inputs.map(emit.name), options, { name })
  },
  rotary,
  sum: (emit, { inputs: [x], attributes: { axis } }, name) => {
    emit.node('ReduceSum', [emit.name(x), emit.ints([axis])], { keepdims: 1 }, { name })
  },
  largest: (emit, { inputs: [x] }, name) => {
    emit.node('ReduceMax', [emit.name(x), emit.ints([-1])], { keepdims: 1 }, { name })
  },
  broadcast: (emit, { inputs: [x], shape }, name) => {
    // A size that is there already may be called 1: an unknown one need not be looked up.
    const own = (axis: number): Dim | undefined => x.shape[axis - shape.length + x.shape.length]
    const target = shape.map((dim, axis) => (dim === own(axis) ? 1 : dim))
    emit.node('Expand', [emit.name(x), emit.shape(target)], {}, { name })
  },
  reshape: (emit, { inputs: [x], shape }, name) => {
    emit.reshape(emit.name(x), shape, name)
  },
  transpose: (emit, { inputs: [x], attributes: { permutation } }, name) => {
    emit.node('Transpose', [emit.name(x)], { perm: permutation }, { name })
  },
  concat: (emit, value, name) => plain('Concat', { axis: value.attributes.axis })(emit, value, name),
  slice: (emit, { inputs: [x], attributes: { axis, start, end } }, name) => {
    emit.node('Slice', [emit.name(x), emit.ints([start]), emit.ints([end]), emit.ints([axis])], {}, { name })
  },
  gather: plain('Gather', { axis: 0 }),
  scatterAdd: (emit, { inputs: [rows, index], shape }, name) => {
    const at = emit.node('Cast', [indexColumn(emit, index)], { to: INT64 })
    emit.node('ScatterND', [zeros(emit, shape), at, emit.name(rows)], { reduction: 'add' }, { name })
  },
  pick: (emit, { inputs: [x, index] }, name) => {
    emit.node('GatherElements', [emit.name(x), indexColumn(emit, index)], { axis: 1 }, { name })
  },
  place: (emit, { inputs: [x, index], shape }, name) => {
    const inputs = [zeros(emit, shape), indexColumn(emit, index), emit.name(x)]
    emit.node('ScatterElements', inputs, { axis: 1 }, { name })
  },
  append: () => {}, // done by its attention
  attend,
}

function emitValue<P extends Primitive>(emit: Emitter, value: Value<P>, target: string): void {
  onnxRules[value.op](emit, value, target)
}

/** Names and constants of one model under construction. */
function makeEmitter(graph: Graph, held: Held, nodes: Node[], constants: Map<string, Constant>): Emitter {
  const names = new Map<Value, string>()
  for (const [name, value] of graph.outputs) if (!isA(value, 'input') && !names.has(value)) names.set(value, name)
  let count = 0
  const keep = (name: string, shape: readonly number[], data: Constant['data']): string => {
    if (!constants.has(name)) constants.set(name, { name, shape, data })
    return name
  }
  const emit: Emitter = {
    name: (value) => {
      const known = names.get(value) ?? (isA(value, 'input') ? value.attributes.name : undefined)
      if (known !== undefined) return known
      const made = `#${names.size} ${value.op}`
      names.set(value, made)
      return made
    },
    blocks: (value) => {
      const tensor = isA(value, 'input') ? held[value.attributes.name] : undefined
      return tensor !== undefined && isBlocks(tensor) ? tensor : undefined
    },
    node: (op, inputs, attributes, { domain = '', name = `#part ${count++}`, more = [] } = {}) => {
      nodes.push({ op, inputs, outputs: [name, ...more], attributes, domain })
      return name
    },
    ints: (numbers) => keep(`#ints ${numbers.join(' ')}`, [numbers.length], BigInt64Array.from(numbers, BigInt)),
    float: (number) => keep(`#float ${number}`, [], Float32Array.of(number)),
    byte: (number) => keep(`#byte ${number}`, [], Uint8Array.of(number)),
    shape: (shape) => emitShape(emit, graph, shape),
    // One unknown size is worked out by Reshape itself; where there are more, any of them may be 0.
    reshape: (from, shape, name) => {
      const unknown = shape.filter((dim) => typeof dim === 'string')
      const target = unknown.length === 1 ? shape.map((dim) => (typeof dim === 'string' ? -1 : dim)) : shape
      return emit.node('Reshape', [from, emit.shape(target)], { allowzero: Number(unknown.length !== 1) }, { name })
    },
  }
  return emit
}

/** Unknown sizes are taken from the shapes of the inputs. */
function emitShape(emit: Emitter, graph: Graph, shape: Shape): string {
  if (!shape.some((dim) => typeof dim === 'string')) return emit.ints(shape.map(Number))
  const parts = shape.map((dim) => (typeof dim === 'number' ? emit.ints([dim]) : emitSize(emit, graph, dim)))
  return emit.node('Concat', parts, { axis: 0 })
}

function emitSize(emit: Emitter, graph: Graph, dim: Dim): string {
  const sizes = namesOf(dim).map((name) => {
    const source = graph.inputs.find((value) => value.shape.includes(name))
    if (source === undefined) throw new Error(`onnx: no input has an axis of size ${name} for ${dim}`)
    const whole = emit.node('Shape', [source.attributes.name])
    return emit.node('Gather', [whole, emit.ints([source.shape.indexOf(name)])], { axis: 0 })
  })
  const [count] = String(dim).split('*').map(Number)
  if (!Number.isNaN(count)) sizes.push(emit.ints([count]))
  return sizes.reduce((left, right) => emit.node('Mul', [left, right]))
}

/** What a model that was written with `held` has to be given beside its bytes. */
export function heldConstants(held: Held): Constant[] {
  return Object.entries(held).flatMap(([name, tensor]): Constant[] =>
    isBlocks(tensor) ? blockConstants(name, tensor) : [{ name, shape: tensor.shape, data: tensor.data }],
  )
}

/**
 * The bytes of an ONNX model that computes a graph. Inputs that are held are constants outside the model; those with a
 * form are fed in its parts.
 */
export function toOnnx(graph: Graph, held: Held = {}, forms: Forms = {}, { marked } = { marked: true }): Uint8Array {
  const nodes: Node[] = []
  const constants = new Map<string, Constant>()
  const fed = withoutHeld(graph, held)
  const emit = makeEmitter(fed, held, nodes, constants)
  const inputs = fed.inputs.flatMap(({ attributes: { name }, shape, kind }): Port[] => {
    if (!(name in forms)) return [{ name, shape, kind }]
    const stored = { name, shape, form: forms[name] }
    writeStored(emit, stored)
    return storedPorts(stored)
  })
  for (const value of inOrder(graph.outputs.values())) emitValue(emit, value, emit.name(value))
  const outputs = [...graph.outputs].map(([name, value]) => {
    if (emit.name(value) !== name) emit.node('Identity', [emit.name(value)], {}, { name }) // an input, or given twice
    return { name, shape: value.shape, kind: value.kind }
  })
  return encodeModel({
    nodes,
    constants: [...constants.values()],
    external: heldConstants(held),
    inputs,
    outputs,
    marked,
  })
}
