/**
 * @file How much of the machine's rate of matrix products a training row reaches: npm run bench:engine.
 *
 * The same run times a row forward and backward (LoRA r16 on all linears, scored at a quarter of the positions) and,
 * alone, every product of it with its own shapes in ONNX Runtime. As in a row, where each layer brings its own weights,
 * a product alone meets other weights each time. The ratio is the time of the products alone to the
 * time of the row, medians both. Set ROWS=256,512,1024, THREADS, ROUNDS. The peak of memory is that before the products ran
 * alone; for one size by itself set ROWS to it.
 */
import { availableParallelism } from 'node:os'
import { bindSizes, type Graph, makeGraph, type Program, type Tensor, type Tensors } from '../src/engine/backend.ts'
import { elementCount, shapeOf } from '../src/engine/dims.ts'
import { input, matmul } from '../src/engine/ops.ts'
import { ortBackend } from '../src/engine/session.ts'
import { inOrder, isA, type Value } from '../src/engine/value.ts'
import { adapterLearner } from '../src/model/learner.ts'
import { createAdapter } from '../src/model/lora.ts'
import { type Machine, makeMachine } from '../src/model/machine.ts'
import { backwardRow, forwardRow } from '../src/model/pass.ts'
import { sequenceRow } from '../src/model/row.ts'
import { randomWeights, smollm2 } from './shapes.ts'

const THREADS = Number(process.env['THREADS'] ?? availableParallelism())
const ROUNDS = Number(process.env['ROUNDS'] ?? 4)
const ROWS = (process.env['ROWS'] ?? '256,512,1024').split(',').map(Number)

/** A product as it stands in a graph, with its sizes. */
interface Product {
  readonly value: Value<'matmul'>
  readonly shapes: readonly (readonly number[])[]
  count: number
}

function collect(products: Map<string, Product>, graph: Graph, feeds: Tensors): void {
  const sizes = bindSizes(graph, feeds)
  for (const value of inOrder(graph.outputs.values())) {
    if (!isA(value, 'matmul')) continue
    const shapes = value.inputs.map((part) => shapeOf(part.shape, sizes))
    const key = JSON.stringify([shapes, value.attributes])
    const product = products.get(key) ?? { value, shapes, count: 0 }
    product.count++
    products.set(key, product)
  }
}

function flopsOf({ value, shapes: [a, b] }: Product): number {
  const inner = a[a.length - (value.attributes.transposeA ? 2 : 1)]
  const [rows, columns] = [elementCount(a.slice(-2)) / inner, elementCount(b.slice(-2)) / inner]
  const batch = Math.max(elementCount(a.slice(0, -2)), elementCount(b.slice(0, -2)))
  return 2 * batch * rows * inner * columns
}

const random = (length: number): Float32Array => Float32Array.from({ length }, () => Math.random() - 0.5)

/** Weights in turn, more of them than the caches of a processor hold. */
const RING_BYTES = 96e6
const WEIGHT_BYTES = 400e3

/** The product alone, as a program with its feeds and its buffer. */
async function alone({ value, shapes }: Product): Promise<() => Promise<void>> {
  const isWeight = shapes[1].length === 2 && 4 * elementCount(shapes[1]) > WEIGHT_BYTES
  const copies = isWeight ? Math.ceil(RING_BYTES / 4 / elementCount(shapes[1])) : 1
  const [a, ...ring] = [shapes[0], ...Array.from({ length: copies }, () => shapes[1])].map(
    (shape): Tensor => ({ data: random(elementCount(shape)), shape }),
  )
  const operands = shapes.map((shape, at) => input('ab'[at], shape))
  const y = matmul(operands[0], operands[1], value.attributes)
  const program: Program = await ortBackend({ threads: THREADS }).compile(makeGraph({ y }))
  const shape = y.shape.map(Number)
  const into = { y: { data: new Float32Array(elementCount(shape)), shape } }
  let turn = 0
  return () => program.run({ a, b: ring[turn++ % ring.length] }, into)
}

/** Milliseconds of several runs. */
async function timesOf(repeats: number, work: () => Promise<unknown>): Promise<number[]> {
  const times: number[] = []
  for (let repeat = 0; repeat < repeats; repeat++) {
    const started = performance.now()
    await work()
    times.push(performance.now() - started)
  }
  return times
}

function median(times: readonly number[]): number {
  const sorted = times.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)]
}

/** A row forward and backward, telling `watch` each graph that runs. */
function rowOf(machine: Machine, tokens: number): () => Promise<void> {
  const adapter = createAdapter(smollm2, { rank: 16, alpha: 32, dropout: 0, rslora: false, targets: 'all-linear' }, 0)
  const learner = adapterLearner(machine, adapter)
  const ids = Int32Array.from({ length: tokens }, (_, at) => (at * 7919 + 13) % smollm2.vocabularySize)
  const row = sequenceRow(ids, tokens - tokens / 4)
  const dLogps = new Float32Array(row.scored.length).fill(0.01)
  return async () => {
    const pass = await forwardRow(machine, row, learner.layers(''), 'products')
    await backwardRow(machine, pass, dLogps, learner.gradients)
  }
}

/** The products that a row is made of. */
async function productsOf(watched: Map<string, Product>, work: () => Promise<void>) {
  watched.clear()
  watching.on = true
  await work()
  watching.on = false
  return Promise.all([...watched.values()].map(async (product) => ({ product, run: await alone(product) })))
}

const watching = { on: false }

async function main(): Promise<void> {
  const products = new Map<string, Product>()
  const plain = makeMachine(ortBackend({ threads: THREADS }), smollm2, randomWeights(smollm2))
  const machine: Machine = {
    ...plain,
    run: (graph, feeds, into) => {
      if (watching.on) collect(products, graph, feeds)
      return plain.run(graph, feeds, into)
    },
  }
  console.log(`SmolLM2-135M shapes, LoRA r16 on all linears, float32, ${THREADS} threads`)
  for (const tokens of ROWS) {
    const work = rowOf(machine, tokens)
    await work()
    const peak = process.resourceUsage().maxRSS / 1e6
    const parts = await productsOf(products, work)
    const rowTimes: number[] = []
    const partTimes = new Map<Product, number[]>(parts.map(({ product }) => [product, []]))
    // In turns, so that a slow minute of the machine falls on both sides.
    for (let round = 0; round < ROUNDS; round++) {
      rowTimes.push(...(await timesOf(2, work)))
      for (const { product, run } of parts) {
        const repeats = Math.max(3, Math.min(20, 1e9 / flopsOf(product)))
        partTimes.get(product)?.push(...(await timesOf(repeats, run)))
      }
    }
    const rowMs = median(rowTimes)
    let productsMs = 0
    let flops = 0
    for (const [product, times] of partTimes) {
      productsMs += product.count * median(times)
      flops += product.count * flopsOf(product)
    }
    const figures = [
      `${tokens} tokens`,
      `${rowMs.toFixed(0)} ms`,
      `${((1000 * tokens) / rowMs).toFixed(0)} tok/s`,
      `${(flops / rowMs / 1e6).toFixed(0)} GFLOPS of ${(flops / productsMs / 1e6).toFixed(0)} by the products alone`,
      `${((100 * productsMs) / rowMs).toFixed(1)} % of the rate`,
      `peak memory ${peak.toFixed(2)} GB`,
    ]
    console.log(figures.join('   '))
  }
  await machine.dispose()
}

await main()
