/**
 * Every primitive and its gradient rule, on random shapes with sizes of 1 among them: the rule against central
 * differences in float64, and ONNX Runtime against the interpreter.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Random, random } from '../base/random.ts'
import { type Graph, makeGraph, runOnce, type Tensor, type Tensors } from './backend.ts'
import { broadcastShapes, elementCount, type Shape, shapeOf } from './dims.ts'
import { gradients } from './grad.ts'
import { interpret } from './interpret.ts'
import * as ops from './ops.ts'
import { ortBackend } from './session.ts'
import { isA, type Primitive, type Value } from './value.ts'

const SHAPES_A_PRIMITIVE = 12
const cpu = ortBackend({ threads: 2 })

interface Drawn {
  readonly value: Value
  /** Values of the named sizes. */
  readonly sizes: Readonly<Record<string, number>>
  /** Numbers of integer inputs, and of float inputs that must not be drawn around 0. */
  readonly fixed?: Tensors
  /** Inputs that have no gradient. */
  readonly frozen?: readonly string[]
}

type Case = (draw: Random) => Drawn

/** A size from 1 to `most`; 1 comes often. */
const size = (draw: Random, most = 6): number => (draw.below(4) === 0 ? 1 : 1 + draw.below(most))

const indices = (draw: Random, count: number, below: number): Tensor => ({
  data: Int32Array.from({ length: count }, () => draw.below(below)),
  shape: [count],
})

const positive = (draw: Random, shape: readonly number[]): Tensor => ({
  data: Float64Array.from({ length: elementCount(shape) }, () => 0.3 + 2 * draw.uniform()),
  shape,
})

/** x [T, columns] through a function of one operand. */
const unary =
  (op: (x: Value) => Value, above0 = false): Case =>
  (draw) => {
    const sizes = { T: size(draw) }
    const columns = size(draw)
    const value = op(ops.input('x', ['T', columns]))
    return { value, sizes, ...(above0 && { fixed: { x: positive(draw, [sizes.T, columns]) } }) }
  }

/** Two operands, each axis of either one perhaps repeated, perhaps missing in front. */
const binary =
  (op: (a: Value, b: Value) => Value, above0 = false): Case =>
  (draw) => {
    const sizes = { T: size(draw), S: size(draw) }
    const whole: Shape = [size(draw), 'T', 'S']
    const part = (): Shape => whole.map((dim) => (draw.below(3) === 0 ? 1 : dim)).slice(draw.below(3))
    const shapes = draw.below(2) === 0 ? [whole, part()] : [part(), whole]
    const [a, b] = shapes.map((shape, at) => ops.input('ab'[at], shape))
    const known = new Map(Object.entries(sizes))
    return { value: op(a, b), sizes, ...(above0 && { fixed: { b: positive(draw, shapeOf(shapes[1], known)) } }) }
  }

const matmulCase: Case = (draw) => {
  const sizes = { M: size(draw), K: size(draw), N: size(draw), B: size(draw, 3) }
  const batches: Shape[] = [[], ['B'], ['B', 2], [1, 2], ['B', 1]]
  const pick = (): Shape => batches[draw.below(batches.length)]
  const batchA = pick()
  const transposeA = draw.below(2) === 0
  const transposeB = draw.below(2) === 0
  const a = ops.input('a', [...batchA, ...(transposeA ? ['K', 'M'] : ['M', 'K'])])
  const b = ops.input('b', [...(draw.below(3) === 0 ? batchA : pick()), ...(transposeB ? ['N', 'K'] : ['K', 'N'])])
  const batch = broadcastShapes(batchA, b.shape.slice(0, -2))
  if (batch === undefined) return matmulCase(draw)
  return { value: ops.matmul(a, b, { transposeA, transposeB, scale: draw.below(2) === 0 ? 1 : 0.7 }), sizes }
}

const rotaryCase: Case = (draw) => {
  const sizes = { T: size(draw) }
  const half = 2 * size(draw, 4) // the fused operator wants sizes that divide by 8
  const heads = size(draw, 3)
  const cos = ops.input('cos', ['T', 2 * half])
  const sin = ops.input('sin', ['T', 2 * half])
  return { value: ops.rotary(ops.input('x', ['T', heads, 4 * half]), cos, sin), sizes, frozen: ['cos', 'sin'] }
}

const concatCase: Case = (draw) => {
  const sizes = { T: size(draw) }
  const axis = draw.below(2)
  const parts = Array.from({ length: 2 + draw.below(2) }, (_, at) => {
    const own = size(draw)
    return ops.input(`x${at}`, axis === 0 ? [own, 'T', 2] : ['T', own, 2])
  })
  return { value: ops.concat(parts, axis), sizes }
}

const sliceCase: Case = (draw) => {
  const sizes = { T: size(draw) }
  const whole = size(draw, 8)
  const start = draw.below(whole)
  const end = start + 1 + draw.below(whole - start)
  return { value: ops.slice(ops.input('x', ['T', whole, 3]), 1, start, end), sizes }
}

const rowCase =
  (op: (rows: Value, index: Value) => Value, count: 'T' | 'S', below: 'T' | 'S', columns: Shape): Case =>
  (draw) => {
    const sizes = { T: size(draw), S: draw.below(5) === 0 ? 0 : size(draw) } // no rows at all come too
    // A graph knows a size only by an input that has it.
    const value = ops.add(
      op(ops.input('x', columns), ops.input('index', [count], 'int')),
      ops.input('one', ['T', 'S', 1]),
    )
    return {
      value: ops.reshape(value, value.shape),
      sizes,
      fixed: { index: indices(draw, sizes[count], sizes[below]) },
    }
  }

/** Several sequences that get a token each, or one that gets several, after tokens of any number. */
const cacheCase: Case = (draw) => {
  const batch = size(draw, 4)
  const own = batch === 1 ? size(draw) : 1
  const ends = Int32Array.from({ length: batch }, () => own + draw.below(5))
  const sizes = { N: batch * own, B: batch, C: Math.max(...ends) + draw.below(3) }
  const [groups, repeats, headSize] = [size(draw, 3), size(draw, 3), 8 * size(draw, 2)] // see rotary
  const endInput = ops.input('ends', ['B'], 'int')
  const appended = (name: string): Value =>
    ops.append(
      ops.input(name, ['B', groups, 'C', headSize]),
      ops.input(`new ${name}`, ['N', groups * headSize]),
      endInput,
    )
  const query = ops.input('query', ['N', groups * repeats * headSize])
  const attributes = { scale: 0.3, window: draw.below(2) === 0 ? null : size(draw) }
  return {
    value: ops.attend(query, appended('keys'), appended('values'), attributes),
    sizes,
    fixed: { ends: { data: ends, shape: [batch] } },
    frozen: ['query', 'keys', 'new keys', 'values', 'new values'],
  }
}

const cases: { readonly [P in Exclude<Primitive, 'input' | 'constant'>]: Case } = {
  add: binary(ops.add),
  sub: binary(ops.sub),
  mul: binary(ops.mul),
  div: binary(ops.div, true),
  neg: unary(ops.neg),
  exp: unary(ops.exp),
  log: unary(ops.log, true),
  sqrt: unary(ops.sqrt, true),
  sigmoid: unary(ops.sigmoid),
  tanh: unary(ops.tanh),
  silu: unary(ops.silu),
  gelu: unary(ops.gelu),
  softmax: unary(ops.softmax),
  logSoftmax: unary(ops.logSoftmax),
  matmul: matmulCase,
  rmsNorm: (draw) => {
    const columns = size(draw)
    const value = ops.rmsNorm(ops.input('x', ['T', columns]), ops.input('weight', [columns]), 1e-2)
    return { value, sizes: { T: size(draw) } }
  },
  layerNorm: (draw) => {
    const columns = size(draw)
    const weights = [ops.input('weight', [columns]), ops.input('bias', [columns])] as const
    return { value: ops.layerNorm(ops.input('x', ['T', columns]), ...weights, 1e-2), sizes: { T: size(draw) } }
  },
  rotary: rotaryCase,
  sum: unary((x) => ops.sum(x, -1)),
  largest: unary(ops.largest),
  broadcast: (draw) => {
    const value = ops.mul(ops.broadcast(ops.input('x', ['T', 1]), ['T', 'S']), ops.input('z', ['T', 'S']))
    return { value: ops.broadcast(value, [3, 'T', 'S']), sizes: { T: size(draw), S: size(draw) } }
  },
  reshape: (draw) => {
    const x = ops.input('x', ['T', 2, 'S'])
    return {
      value: ops.reshape(x, draw.below(2) === 0 ? ['S', 'T', 2] : ['2*S*T']),
      sizes: { T: size(draw), S: size(draw) },
    }
  },
  transpose: (draw) => {
    const permutation = [
      [0, 2, 1],
      [1, 0, 2],
      [1, 2, 0],
      [2, 0, 1],
      [2, 1, 0],
    ][draw.below(5)]
    return { value: ops.transpose(ops.input('x', ['T', 3, 'S']), permutation), sizes: { T: size(draw), S: size(draw) } }
  },
  concat: concatCase,
  slice: sliceCase,
  gather: rowCase((x, index) => ops.reshape(ops.sum(ops.gather(x, index), 1), [1, 'S', 1]), 'S', 'T', ['T', 3]),
  scatterAdd: rowCase((x, index) => ops.reshape(ops.sum(ops.scatterAdd(x, index, 'T'), 1), ['T', 1, 1]), 'S', 'T', [
    'S',
    3,
  ]),
  pick: rowCase((x, index) => ops.reshape(ops.pick(x, index), [1, 'S', 1]), 'S', 'T', ['S', 'T']),
  place: rowCase((x, index) => ops.reshape(ops.transpose(ops.place(x, index, 'T'), [1, 0]), ['T', 'S', 1]), 'S', 'T', [
    'S',
    1,
  ]),
  append: cacheCase, // done by the attention, in ONNX Runtime
  attend: cacheCase,
}

interface Prepared {
  readonly graph: Graph
  /** The outputs again, with the gradients of Σ output · weights. */
  readonly backward: Graph
  readonly feeds: Record<string, Tensor>
}

function prepare(draw: Random, { value, sizes, fixed = {}, frozen = [] }: Drawn): Prepared {
  const graph = makeGraph({ y: value })
  const floats = graph.inputs.filter((item) => item.kind === 'float' && !frozen.includes(item.attributes.name))
  const weights = ops.input('weights', value.shape)
  const grads = gradients([{ value, cotangent: weights }], floats)
  const named = Object.fromEntries(floats.map((item, at) => [`d ${item.attributes.name}`, grads[at]]))
  const backward = makeGraph({ y: value, ...named, keep: ops.add(value, weights) })
  const known = new Map(Object.entries(sizes))
  const feeds: Record<string, Tensor> = {}
  for (const item of backward.inputs) {
    const { name } = item.attributes
    const shape = shapeOf(item.shape, known)
    const data = Float64Array.from({ length: elementCount(shape) }, () => 4 * draw.uniform() - 2)
    feeds[name] = fixed[name] ?? { data, shape }
  }
  return { graph, backward, feeds }
}

const largest = (data: ArrayLike<number>): number => Math.max(0, ...Array.from(data, Math.abs))

/** The largest difference, as a part of the largest magnitude (of 0.001 where all are smaller). */
function relativeError(found: ArrayLike<number>, expected: ArrayLike<number>): number {
  expect(found.length).toBe(expected.length)
  return largest(Array.from(found, (value, at) => value - expected[at])) / Math.max(1e-3, largest(expected))
}

function centralDifferences({ graph, feeds }: Prepared, name: string): Float64Array {
  const { data, shape } = feeds[name]
  const step = 1e-5
  const loss = (at: number, change: number): number => {
    const moved = Float64Array.from(data)
    moved[at] += change
    const y = interpret(graph, { ...feeds, [name]: { data: moved, shape } }).y.data
    let total = 0
    for (let index = 0; index < y.length; index++) total += y[index] * feeds.weights.data[index]
    return total
  }
  return Float64Array.from(data, (_, at) => (loss(at, step) - loss(at, -step)) / (2 * step))
}

const single = (tensor: Tensor): Tensor =>
  tensor.data instanceof Int32Array ? tensor : { data: Float32Array.from(tensor.data), shape: tensor.shape }

describe.each(Object.entries(cases))('%s', (name, makeCase) => {
  const prepared: Prepared[] = []
  beforeAll(() => {
    for (let shape = 0; shape < SHAPES_A_PRIMITIVE; shape++) {
      const draw = random(1, name, shape)
      prepared.push(prepare(draw, makeCase(draw)))
    }
  })

  test('its gradients equal central differences to 1e-6 in float64', () => {
    for (const item of prepared) {
      const grads = interpret(item.backward, item.feeds)
      for (const [output, { data }] of Object.entries(grads)) {
        if (!output.startsWith('d ')) continue
        expect(relativeError(data, centralDifferences(item, output.slice(2)))).toBeLessThan(1e-6)
      }
    }
  })

  test('ONNX Runtime computes it and its gradients as the interpreter does, to 2e-5 in float32', async () => {
    for (const { backward, feeds } of prepared) {
      const rounded = Object.fromEntries(Object.entries(feeds).map(([key, tensor]) => [key, single(tensor)]))
      const expected = interpret(backward, rounded)
      const program = await cpu.compile(backward)
      const found = await runOnce(cpu, program, rounded)
      await program.dispose()
      for (const output of Object.keys(expected)) {
        expect(found[output].shape).toEqual(expected[output].shape)
        expect(relativeError(found[output].data, expected[output].data)).toBeLessThan(2e-5)
      }
    }
  })
})

let shapeCount = 0
afterAll(() => {
  expect(shapeCount).toBeGreaterThanOrEqual(200)
})

test('the cases make at least 200 random shapes and cover every primitive', () => {
  shapeCount = Object.keys(cases).length * SHAPES_A_PRIMITIVE
  expect(shapeCount).toBeGreaterThanOrEqual(200)
  for (const [name, makeCase] of Object.entries(cases)) {
    const { value } = makeCase(random(1, name, 0))
    const ops: string[] = []
    const visit = (item: Value): void => {
      ops.push(item.op)
      item.inputs.forEach(visit)
    }
    visit(value)
    expect(ops).toContain(name)
    expect(isA(value, 'input')).toBe(false)
  }
})
