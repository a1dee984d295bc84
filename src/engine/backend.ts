/** @file The port of the engine: what a graph is, what runs it, and how sizes are bound. */
import type { BlockTensor } from './block-tensor.ts'
import type { Device } from './device.ts'
import { type Dim, elementCount, namesOf, type Sizes, shapeOf, showShape, sizeOf } from './dims.ts'
import { type Forms, isStored, isWhole, type StoredTensor } from './stored.ts'
import { inOrder, isA, type Kind, type Value } from './value.ts'

/** What to compute: named outputs. Inputs are found from them. */
export interface Graph {
  readonly inputs: readonly Value<'input'>[]
  readonly outputs: ReadonlyMap<string, Value>
}

export type FloatArray = Float32Array | Float64Array
export type TensorData = FloatArray | Int32Array

/** Numbers with a shape, row-major. The data may be a view into a larger buffer. */
export interface Tensor<D extends TensorData = TensorData> {
  readonly data: D
  readonly shape: readonly number[]
}

export type Tensors = Readonly<Record<string, Tensor>>
/** What inputs are fed: numbers, or weights in the form in which they are kept. */
export type Feeds = Readonly<Record<string, Tensor | StoredTensor>>
export type FloatTensors = Readonly<Record<string, Tensor<FloatArray>>>

/** A compiled graph. */
export interface Program {
  readonly graph: Graph
  /** Runs once and writes every output into the caller's buffer of that name. */
  run(feeds: Feeds, into: Tensors): Promise<void>
  dispose(): Promise<void>
}

/** Inputs that never change: a program holds them in the form that is quickest for it, and they are not fed. */
export type Held = Readonly<Record<string, Tensor<Float32Array> | BlockTensor>>

/** Compiles and runs graphs: ONNX Runtime in float32, or the interpreter in float64. */
export interface Backend {
  readonly name: string
  /** Where passes over rows run, if not on the processor. */
  readonly device?: Device
  /** A zeroed buffer of the numbers that this backend computes with. */
  allocate(length: number): FloatArray
  /**
   * @param held inputs that are given now, once. They may be changed or dropped afterwards.
   * @param forms of the inputs that will be fed as they are kept; they become float32 inside.
   */
  compile(graph: Graph, held?: Held, forms?: Forms): Promise<Program>
}

/** What remains to be fed of a graph. */
export function withoutHeld(graph: Graph, held: Held): Graph {
  return { ...graph, inputs: graph.inputs.filter(({ attributes }) => !(attributes.name in held)) }
}

/** Runs a program into new buffers. */
export async function runOnce(backend: Backend, program: Program, feeds: Feeds): Promise<FloatTensors> {
  const into: Record<string, Tensor<FloatArray>> = {}
  for (const [name, shape] of outputShapes(program.graph, bindSizes(program.graph, feeds))) {
    into[name] = { data: backend.allocate(elementCount(shape)), shape }
  }
  await program.run(feeds, into)
  return into
}

export function makeGraph(outputs: Readonly<Record<string, Value>>): Graph {
  const named = new Map(Object.entries(outputs))
  const inputs: Value<'input'>[] = []
  const names = new Set<string>()
  for (const value of inOrder(named.values())) {
    if (!isA(value, 'input')) continue
    const { name } = value.attributes
    if (names.has(name) || (named.has(name) && named.get(name) !== value)) {
      throw new Error(`graph: two of its inputs and outputs are called '${name}'`)
    }
    names.add(name)
    inputs.push(value)
  }
  return { inputs, outputs: named }
}

export function isIntTensor(tensor: Tensor): tensor is Tensor<Int32Array> {
  return tensor.data instanceof Int32Array
}

/** A view of rows [start, end) of a tensor, which shares its numbers. */
export function rowsOf<D extends TensorData>(tensor: Tensor<D>, start: number, end: number): Tensor<D>
export function rowsOf(tensor: Tensor, start: number, end: number): Tensor {
  const width = elementCount(tensor.shape.slice(1))
  return { data: tensor.data.subarray(start * width, end * width), shape: [end - start, ...tensor.shape.slice(1)] }
}

function bindDim(dim: Dim, size: number, sizes: Map<string, number>): boolean {
  const names = namesOf(dim)
  if (names.length === 1 && names[0] === dim) {
    if (!sizes.has(dim)) sizes.set(dim, size)
    return sizes.get(dim) === size
  }
  return names.every((name) => sizes.has(name)) ? sizeOf(dim, sizes) === size : true
}

function kindOf(tensor: Tensor | StoredTensor): Kind {
  return !isStored(tensor) && isIntTensor(tensor) ? 'int' : 'float'
}

function numbersOf(tensor: Tensor | StoredTensor): number {
  if (!isStored(tensor)) return tensor.data.length
  return isWhole(tensor) ? elementCount(tensor.shape) : Number.NaN
}

/**
 * The named sizes that the feeds imply.
 * @throws Error naming the input and both shapes where a feed is missing or does not fit.
 */
export function bindSizes(graph: Graph, feeds: Feeds): Map<string, number> {
  const sizes = new Map<string, number>()
  for (const { attributes, shape, kind } of graph.inputs) {
    const feed = feeds[attributes.name]
    if (feed === undefined) throw new Error(`feed '${attributes.name}' ${showShape(shape)} is missing`)
    const fits = feed.shape.length === shape.length && shape.every((dim, axis) => bindDim(dim, feed.shape[axis], sizes))
    if (!fits || kindOf(feed) !== kind || numbersOf(feed) !== elementCount(feed.shape)) {
      const known = [...sizes].map(([name, size]) => `${name} = ${size}`).join(', ')
      throw new Error(
        `feed '${attributes.name}': expected ${kind} ${showShape(shape)}, found ${kindOf(feed)} ` +
          `${showShape(feed.shape)} with ${numbersOf(feed)} numbers${known === '' ? '' : ` where ${known}`}`,
      )
    }
  }
  return sizes
}

/** The shapes that the outputs will have. */
export function outputShapes(graph: Graph, sizes: Sizes): Map<string, number[]> {
  return new Map([...graph.outputs].map(([name, value]) => [name, shapeOf(value.shape, sizes)]))
}

/** The caller's buffer for an output, which must have its size: a runtime would write past a smaller one. */
export function targetOf(name: string, shape: readonly number[], into: Tensors): Tensor {
  const target = into[name]
  const size = elementCount(shape)
  if (target === undefined || target.data.length !== size || elementCount(target.shape) !== size) {
    const found = target === undefined ? 'none' : `${showShape(target.shape)} with ${target.data.length} numbers`
    throw new Error(`output '${name}': expected a buffer for ${showShape(shape)}, found ${found}`)
  }
  return { data: target.data, shape }
}
