import { describe, expect, test } from 'vitest'
import { bindSizes, makeGraph, runOnce } from './backend.ts'
import { product, sizeOf } from './dims.ts'
import { gradients, substitute } from './grad.ts'
import { interpret, interpreter } from './interpret.ts'
import { toOnnx } from './onnx.ts'
import * as ops from './ops.ts'
import { ortBackend } from './session.ts'

const floats = (...numbers: number[]) => Float32Array.from(numbers)

describe('sizes', () => {
  test('a product of sizes has one spelling, whatever the order', () => {
    expect(product(['T', 3, 'Q'])).toBe('3*Q*T')
    expect(product([3, product(['Q', 'T'])])).toBe('3*Q*T')
    expect(product([2, 3])).toBe(6)
    expect(product([1, 'T'])).toBe('T')
    expect(
      sizeOf(
        '3*Q*T',
        new Map([
          ['Q', 2],
          ['T', 5],
        ]),
      ),
    ).toBe(30)
  })
})

describe('shape errors name both sides', () => {
  const x = ops.input('x', ['T', 576])
  test.each([
    [
      'matmul',
      () => ops.matmul(x, ops.input('q_proj', [64, 48]), { transposeB: true }),
      /matmul.*576 and 48.*'x' \[T, 576\] and 'q_proj' \[64, 48\]/,
    ],
    ['add', () => ops.add(x, ops.input('y', ['S', 576])), /add: .*'x' \[T, 576\] and 'y' \[S, 576\]/],
    ['reshape', () => ops.reshape(x, ['T', 9, 63]), /reshape.*\[T, 9, 63\].*'x' \[T, 576\]/],
    ['gather', () => ops.gather(x, ops.input('index', ['S'])), /integers.*'index' \[S\]/],
    ['concat', () => ops.concat([x, ops.input('y', ['S', 4])], 1), /'x' \[T, 576\] and 'y' \[S, 4\]/],
  ])('%s', (_, build, message) => {
    expect(build).toThrow(message)
  })

  test('a feed that does not fit names the size that another feed fixed', () => {
    const graph = makeGraph({ z: ops.add(x, ops.input('y', ['T', 1])) })
    const feed = (rows: number, columns: number) => ({ data: new Float32Array(rows * columns), shape: [rows, columns] })
    expect(() => bindSizes(graph, { x: feed(3, 576), y: feed(4, 1) })).toThrow(/'y'.*\[T, 1\].*\[4, 1\].*T = 3/)
    expect(() => bindSizes(graph, { x: feed(3, 576) })).toThrow(/'y'.*missing/)
    expect(() => bindSizes(graph, { x: feed(3, 575), y: feed(3, 1) })).toThrow(/\[T, 576\].*\[3, 575\]/)
  })

  test('two inputs of one name, and an output called like an input, are refused', () => {
    expect(() => makeGraph({ y: ops.add(x, ops.input('x', [1])) })).toThrow(/'x'/)
    expect(() => makeGraph({ x: ops.neg(x) })).toThrow(/'x'/)
  })
})

test('a value that is used twice gets the sum of both gradients', () => {
  const x = ops.input('x', [2])
  const y = ops.add(ops.mul(x, x), ops.exp(x)) // dy/dx = 2x + eˣ
  const [dx] = gradients([{ value: y, cotangent: ops.input('dy', [2]) }], [x])
  const { d } = interpret(makeGraph({ d: dx }), {
    x: { data: floats(0, 1), shape: [2] },
    dy: { data: floats(1, 10), shape: [2] },
  })
  expect(d.data[0]).toBeCloseTo(1, 12)
  expect(d.data[1]).toBeCloseTo(10 * (2 + Math.E), 12)
})

test('a gradient with respect to something unused is zero', () => {
  const x = ops.input('x', [1])
  const unused = ops.input('unused', [2])
  const [d] = gradients([{ value: ops.neg(x), cotangent: ops.input('dy', [1]) }], [unused])
  expect([...interpret(makeGraph({ d }), {}).d.data]).toEqual([0, 0])
})

test('a rotary table has no gradient, and asking for one is an error', () => {
  const x = ops.input('x', ['T', 1, 8])
  const cos = ops.input('cos', ['T', 4])
  const y = ops.rotary(x, cos, ops.input('sin', ['T', 4]))
  expect(() => gradients([{ value: y, cotangent: x }], [cos])).toThrow(/rotary.*'cos'/)
})

test('substituting a saved value leaves out what led to it', () => {
  const x = ops.input('x', [1])
  const middle = ops.exp(x)
  const [y] = substitute([ops.mul(middle, middle)], new Map([[middle, ops.input('saved', [1])]]))
  const graph = makeGraph({ y })
  expect(graph.inputs.map((value) => value.attributes.name)).toEqual(['saved'])
  expect(interpret(graph, { saved: { data: floats(3), shape: [1] } }).y.data[0]).toBe(9)
})

describe('ONNX Runtime', () => {
  const backend = ortBackend({ threads: 1 })

  test('writes into the buffers it is given, and refuses one of the wrong size', async () => {
    const program = await backend.compile(makeGraph({ y: ops.exp(ops.input('x', ['T'])) }))
    const buffer = new Float32Array(5)
    const feed = { x: { data: floats(0, 1), shape: [2] } }
    await program.run(feed, { y: { data: buffer.subarray(2, 4), shape: [2] } })
    expect([...buffer]).toEqual([0, 0, 1, Math.fround(Math.E), 0])
    await expect(program.run(feed, { y: { data: buffer, shape: [5] } })).rejects.toThrow(/'y'.*\[2\].*\[5\]/)
    await expect(program.run(feed, {})).rejects.toThrow(/'y'.*none/)
    await program.dispose()
  })

  test('reads a view into a larger buffer', async () => {
    const program = await backend.compile(makeGraph({ y: ops.neg(ops.input('x', ['T'])) }))
    const { y } = await runOnce(backend, program, { x: { data: floats(1, 2, 3, 4).subarray(1, 3), shape: [2] } })
    expect([...y.data]).toEqual([-2, -3])
    await program.dispose()
  })

  test.each([backend, interpreter])('what is held is taken once, and not fed: $name', async (backend) => {
    const y = ops.matmul(ops.input('x', ['T', 3]), ops.input('weight', [2, 3]), { transposeB: true })
    const data = floats(1, 2, 3, 4, 5, 6)
    const program = await backend.compile(makeGraph({ y }), { weight: { data, shape: [2, 3] } })
    data.fill(0)
    const { y: found } = await runOnce(backend, program, { x: { data: floats(1, 0, 2), shape: [1, 3] } })
    expect([...found.data]).toEqual([7, 16])
    await program.dispose()
  })

  test('a cache that is fed and written in one buffer gets the new tokens at their ends', async () => {
    const ends = ops.input('ends', ['B'], 'int')
    const appended = (name: string) =>
      ops.append(ops.input(name, ['B', 1, 'C', 8]), ops.input(`new ${name}`, ['B', 8]), ends)
    const [keys, values] = [appended('keys'), appended('values')]
    const attended = ops.attend(ops.input('query', ['B', 8]), keys, values, { scale: 1, window: null })
    const program = await backend.compile(makeGraph({ attended, 'keys after': keys, 'values after': values }))
    const cache = { data: new Float32Array(2 * 3 * 8).fill(1), shape: [2, 1, 3, 8] }
    const other = { data: new Float32Array(2 * 3 * 8), shape: [2, 1, 3, 8] }
    const row = (...numbers: number[]) => ({ data: floats(...numbers.flatMap((x) => Array(8).fill(x))), shape: [2, 8] })
    const feeds = { query: row(1, 1), 'new keys': row(5, 6), 'new values': row(7, 8), keys: cache, values: other }
    const into = { attended: row(0, 0), 'keys after': cache, 'values after': other }
    await program.run({ ...feeds, ends: { data: Int32Array.of(1, 3), shape: [2] } }, into)
    const firstColumns = (data: Float32Array) => [...data].filter((_, at) => at % 8 === 0)
    expect(firstColumns(cache.data)).toEqual([5, 1, 1, 1, 1, 6])
    expect(firstColumns(other.data)).toEqual([7, 0, 0, 0, 0, 8])
    // Scores 8, 8 and 48: the last token sees itself alone.
    expect(firstColumns(into.attended.data)).toEqual([7, 8])
    await program.dispose()
  })

  test('an output may be an input, or another output again', async () => {
    const x = ops.input('x', [1])
    const y = ops.neg(x)
    const program = await backend.compile(makeGraph({ same: x, y, again: y }))
    const out = await runOnce(backend, program, { x: { data: floats(2), shape: [1] } })
    expect([out.same.data[0], out.y.data[0], out.again.data[0]]).toEqual([2, -2, -2])
    await program.dispose()
  })

  test('outputs are not copied: 64 MB of them leave no new memory behind', async () => {
    const program = await backend.compile(makeGraph({ y: ops.neg(ops.input('x', ['T'])) }))
    const count = 1 << 24
    const [x, y] = [new Float32Array(count).fill(2), new Float32Array(count)]
    const before = process.memoryUsage().arrayBuffers
    await program.run({ x: { data: x, shape: [count] } }, { y: { data: y, shape: [count] } })
    expect(y[count - 1]).toBe(-2)
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1e6)
    await program.dispose()
  })

  test('an error of the runtime comes through', async () => {
    const program = await backend.compile(
      makeGraph({ y: ops.gather(ops.input('x', ['T', 1]), ops.input('at', ['S'], 'int')) }),
    )
    const feeds = { x: { data: floats(1, 2), shape: [2, 1] }, at: { data: Int32Array.of(7), shape: [1] } }
    await expect(program.run(feeds, { y: { data: floats(0), shape: [1, 1] } })).rejects.toThrow(/out of.*bounds/)
    await program.dispose()
  })

  test('a model holds no weights: a 2048 × 2048 product is written in less than 1 kB', () => {
    const y = ops.matmul(ops.input('x', ['T', 2048]), ops.input('weight', [2048, 2048]), { transposeB: true })
    expect(toOnnx(makeGraph({ y })).length).toBeLessThan(1000)
  })
})
