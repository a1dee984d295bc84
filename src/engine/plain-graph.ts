/** @file Rewrites a graph into the operators that graphics devices have: no fused products of stacks, no logSoftmax. */
import { type Graph, makeGraph } from './backend.ts'
import { constant, exp, largest, log, matmul, mul, sub, sum, transpose } from './ops.ts'
import { inOrder, isA, type Value } from './value.ts'

/** The same graph in plainer operators. Its numbers differ by rounding only. */
export function plainGraph(graph: Graph): Graph {
  const made = new Map<Value, Value>()
  const plainOf = (value: Value): Value => made.get(value) ?? value
  for (const value of inOrder(graph.outputs.values()))
    made.set(value, plain({ ...value, inputs: value.inputs.map(plainOf) }))
  return makeGraph(Object.fromEntries([...graph.outputs].map(([name, value]) => [name, plainOf(value)])))
}

function plain(value: Value): Value {
  if (isA(value, 'logSoftmax')) return plainLogSoftmax(value.inputs[0])
  return isA(value, 'matmul') && value.shape.length > 2 ? plainStacks(value) : value
}

/** x − max − log Σ exp(x − max). */
function plainLogSoftmax(x: Value): Value {
  const lowered = sub(x, largest(x))
  return sub(lowered, log(sum(exp(lowered), -1)))
}

/** A product of stacks of matrices that are neither turned nor scaled in it. */
function plainStacks({ inputs: [a, b], attributes }: Value<'matmul'>): Value {
  const { transposeA, transposeB, scale } = attributes
  const left = transposeA ? turned(a) : a
  return matmul(scale === 1 ? left : mul(left, constant(scale)), transposeB ? turned(b) : b)
}

/** With the last two axes changed. */
function turned(x: Value): Value {
  const axes = x.shape.map((_, axis) => axis)
  return transpose(x, [...axes.slice(0, -2), axes.length - 1, axes.length - 2])
}
