/** @file Runs a graph in plain JavaScript and float64: slow, and right. The oracle of the other backends. */
import {
  type Backend,
  bindSizes,
  type Feeds,
  type FloatArray,
  type FloatTensors,
  type Graph,
  type Held,
  type Program,
  type Tensor,
  type TensorData,
  targetOf,
  withoutHeld,
} from './backend.ts'
import { elementCount, shapeOf } from './dims.ts'
import { type Kernel, kernels } from './kernels.ts'
import { float32Of, isStored } from './stored.ts'
import { inOrder, isA, type Primitive, type Value } from './value.ts'

function runKernel<P extends Primitive>(value: Value<P>, inputs: readonly Tensor[], shape: number[]): Float64Array {
  const kernel: Kernel<P> = kernels[value.op]
  const out = new Float64Array(elementCount(shape))
  kernel({ attributes: value.attributes, inputs, out, shape })
  return out
}

function isFloat(data: TensorData): data is FloatArray {
  return !(data instanceof Int32Array)
}

/** Computes every output of a graph in float64. */
export function interpret(graph: Graph, feeds: Feeds): FloatTensors {
  const sizes = bindSizes(graph, feeds)
  const results = new Map<Value, Tensor>()
  for (const value of inOrder(graph.outputs.values())) {
    if (isA(value, 'input')) {
      const feed = feeds[value.attributes.name]
      results.set(value, isStored(feed) ? float32Of(feed) : feed)
      continue
    }
    const shape = shapeOf(value.shape, sizes)
    const inputs = value.inputs.map((part) => tensorOf(results, part))
    results.set(value, { data: runKernel(value, inputs, shape), shape })
  }
  const outputs: Record<string, Tensor<FloatArray>> = {}
  for (const [name, value] of graph.outputs) {
    const { data, shape } = tensorOf(results, value)
    if (!isFloat(data)) throw new Error(`output '${name}' is a list of integers`)
    outputs[name] = { data, shape }
  }
  return outputs
}

function tensorOf(results: ReadonlyMap<Value, Tensor>, value: Value): Tensor {
  const tensor = results.get(value)
  if (tensor === undefined) throw new Error(`${value.op} was used before it was computed`)
  return tensor
}

function copyOf({ data, shape }: Tensor<Float32Array>): Tensor {
  return { data: data.slice(), shape }
}

/** The interpreter as a backend. */
export const interpreter: Backend = {
  name: 'interpreter',
  allocate: (length) => new Float64Array(length),
  compile: (graph, held = {}) => Promise.resolve(interpretedProgram(graph, held)),
}

function interpretedProgram(graph: Graph, held: Held): Program {
  const plain = Object.fromEntries(
    Object.entries(held).map(([name, tensor]) => [name, isStored(tensor) ? float32Of(tensor) : copyOf(tensor)]),
  )
  return {
    graph: withoutHeld(graph, held),
    run: (feeds, into) => {
      for (const [name, { data, shape }] of Object.entries(interpret(graph, { ...feeds, ...plain }))) {
        targetOf(name, shape, into).data.set(data)
      }
      return Promise.resolve()
    },
    dispose: () => Promise.resolve(),
  }
}
