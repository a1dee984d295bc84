/** @file The matrix products of a piece of work: which they are, and how long each takes alone in ONNX Runtime. */
import { bindSizes, type Feeds, type Graph, makeGraph, type Tensor } from '../src/engine/backend.ts'
import { elementCount, shapeOf } from '../src/engine/dims.ts'
import { input, matmul } from '../src/engine/ops.ts'
import { ortBackend } from '../src/engine/session.ts'
import { inOrder, isA, type Value } from '../src/engine/value.ts'
import type { Machine } from '../src/model/machine.ts'

export interface Product {
  /** As it stands in a graph. */
  readonly value: Value<'matmul'>
  /** Of both sides. */
  readonly shapes: readonly (readonly number[])[]
  /** Floating-point operations of one. */
  readonly flops: number
  /** How often the work does it. */
  readonly count: number
}

/** The products that `work` does on the machine it is given, which is `machine` under watch. */
export async function productsOf(machine: Machine, work: (watched: Machine) => Promise<void>): Promise<Product[]> {
  const products = new Map<string, Product>()
  const watched: Machine = {
    ...machine,
    run: (graph, feeds, into) => {
      collect(products, graph, feeds)
      return machine.run(graph, feeds, into)
    },
  }
  await work(watched)
  return [...products.values()]
}

function collect(products: Map<string, Product>, graph: Graph, feeds: Feeds): void {
  const sizes = bindSizes(graph, feeds)
  for (const value of inOrder(graph.outputs.values())) {
    if (!isA(value, 'matmul')) continue
    const shapes = value.inputs.map((part) => shapeOf(part.shape, sizes))
    const key = JSON.stringify([shapes, value.attributes])
    const flops = flopsOf(shapes, value.attributes.transposeA)
    products.set(key, { value, shapes, flops, count: 1 + (products.get(key)?.count ?? 0) })
  }
}

function flopsOf([a, b]: readonly (readonly number[])[], transposeA: boolean): number {
  const inner = a[a.length - (transposeA ? 2 : 1)]
  const [rows, columns] = [elementCount(a.slice(-2)) / inner, elementCount(b.slice(-2)) / inner]
  const batch = Math.max(elementCount(a.slice(0, -2)), elementCount(b.slice(0, -2)))
  return 2 * batch * rows * inner * columns
}

/** Weights of which a row meets another one in each layer; smaller tensors stay in the caches of a processor. */
const WEIGHT_BYTES = 400e3
/** Copies of such a weight that are fed in turn take more than those caches hold. */
const RING_BYTES = 96e6

const randomTensor = (shape: readonly number[]): Tensor => ({
  data: Float32Array.from({ length: elementCount(shape) }, () => Math.random() - 0.5),
  shape,
})

/** The product as a program of its own, which meets its weights as in a row: another one each time. */
export async function aloneProgram({ value, shapes }: Product, threads: number): Promise<() => Promise<void>> {
  const [left, right] = shapes
  const isWeight = right.length === 2 && 4 * elementCount(right) > WEIGHT_BYTES
  const copies = isWeight ? Math.ceil(RING_BYTES / 4 / elementCount(right)) : 1
  const a = randomTensor(left)
  const ring = Array.from({ length: copies }, () => randomTensor(right))
  const y = matmul(input('a', left), input('b', right), value.attributes)
  const program = await ortBackend({ threads }).compile(makeGraph({ y }))
  const shape = y.shape.map(Number)
  const into = { y: { data: new Float32Array(elementCount(shape)), shape } }
  let turn = 0
  return () => program.run({ a, b: ring[turn++ % ring.length] }, into)
}
