/** Graphs in plainer operators against the same graphs as they were, in float64. */
import { expect, test } from 'vitest'
import { relativeError } from '../../test/oracle.ts'
import { random } from '../base/random.ts'
import { makeGraph, type Tensor } from './backend.ts'
import { elementCount } from './dims.ts'
import { interpret } from './interpret.ts'
import { gather, input, logSoftmax, matmul } from './ops.ts'
import { plainGraph } from './plain-graph.ts'
import { inOrder, isA } from './value.ts'

function numbers(label: string, shape: readonly number[]): Tensor<Float64Array> {
  const draw = random(1, label)
  return { data: Float64Array.from({ length: elementCount(shape) }, () => 4 * draw.uniform() - 2), shape }
}

test.each([
  [false, false, 1],
  [true, false, 0.5],
  [false, true, 1],
  [true, true, 3],
])(
  'stacks with transposes %s and %s, scale %f, and logSoftmax give the same numbers',
  (transposeA, transposeB, scale) => {
    const a = input('a', transposeA ? [2, 3, 5, 4] : [2, 3, 4, 5])
    const b = input('b', transposeB ? [2, 1, 6, 5] : [2, 1, 5, 6])
    const product = matmul(a, b, { transposeA, transposeB, scale })
    const graph = makeGraph({ product, all: logSoftmax(product) })
    const plain = plainGraph(graph)
    for (const value of inOrder(plain.outputs.values())) {
      expect(value.op).not.toBe('logSoftmax')
      if (isA(value, 'matmul')) expect(value.attributes).toEqual({ transposeA: false, transposeB: false, scale: 1 })
    }
    const feeds = { a: numbers('a', a.shape.map(Number)), b: numbers('b', b.shape.map(Number)) }
    const [before, after] = [interpret(graph, feeds), interpret(plain, feeds)]
    for (const name of ['product', 'all']) {
      expect(relativeError(after[name].data, before[name].data), name).toBeLessThan(1e-14)
    }
  },
)

test('logSoftmax of numbers as large as 1e30 stays finite, and other operators are left as they are', () => {
  const x = input('x', ['T', 3])
  const graph = makeGraph({ all: logSoftmax(x), rows: gather(x, input('at', ['S'], 'int')) })
  const feeds = {
    x: { data: Float64Array.of(1e30, 0, -1e30, 5, 5, 5), shape: [2, 3] },
    at: { data: Int32Array.of(1), shape: [1] },
  }
  const plain = interpret(plainGraph(graph), feeds)
  expect([...plain['all'].data.slice(0, 3)]).toEqual([0, -1e30, -2e30])
  expect([...plain['rows'].data]).toEqual([5, 5, 5])
})
