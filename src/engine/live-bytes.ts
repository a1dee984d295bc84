/** @file The most memory that the values between the inputs and outputs of a graph take at once. */
import type { Graph } from './backend.ts'
import { elementCount, type Sizes, shapeOf } from './dims.ts'
import { inOrder, isA, type Primitive, type Value } from './value.ts'

/** These give another view of their input, or write over it. */
const IN_PLACE: ReadonlySet<Primitive> = new Set([
  'reshape',
  'neg',
  'exp',
  'log',
  'sqrt',
  'sigmoid',
  'tanh',
  'softmax',
  'logSoftmax',
])

const BYTES = 4

/**
 * Each value is computed in order, and freed after its last use; inputs and outputs belong to the caller. Where the only
 * use of an operand is an operation element by element, the result takes its place.
 */
export function liveBytes(graph: Graph, sizes: Sizes): number {
  const order = inOrder(graph.outputs.values())
  const outputs = new Set(graph.outputs.values())
  const uses = new Map<Value, number>()
  for (const { inputs } of order) for (const value of inputs) uses.set(value, (uses.get(value) ?? 0) + 1)
  const sizeOf = (value: Value): number =>
    isA(value, 'input') || outputs.has(value) ? 0 : BYTES * elementCount(shapeOf(value.shape, sizes))
  let live = 0
  let most = 0
  for (const value of order) {
    if (isA(value, 'input')) continue
    const isOver = IN_PLACE.has(value.op) && uses.get(value.inputs[0]) === 1
    live += sizeOf(value)
    most = Math.max(most, isOver ? live - sizeOf(value.inputs[0]) : live)
    for (const part of new Set(value.inputs)) {
      const left = (uses.get(part) ?? 0) - value.inputs.filter((one) => one === part).length
      uses.set(part, left)
      if (left === 0) live -= sizeOf(part)
    }
  }
  return most
}
