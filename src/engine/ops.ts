/** @file One function per primitive: checks the shapes of its operands and gives the new Value. */
import { broadcastShapes, type Dim, product, type Shape, sameShape, showShape } from './dims.ts'
import { type Attributes, isA, type Kind, nameOf, type Primitive, type Value } from './value.ts'

function make<P extends Primitive>(op: P, inputs: readonly Value[], shape: Shape, attributes: Attributes[P]): Value<P> {
  return { op, inputs, attributes, shape, kind: 'float' }
}

function show(value: Value): string {
  return `${nameOf(value)} ${showShape(value.shape)}`
}

/** @throws Error: a shape that does not fit is a mistake of the program that builds the graph. */
function expectShape(fits: boolean, op: string, expected: string, ...found: readonly Value[]): void {
  if (!fits) throw new Error(`${op}: expected ${expected}, found ${found.map(show).join(' and ')}`)
}

export function input(name: string, shape: Shape, kind: Kind = 'float'): Value<'input'> {
  return { op: 'input', inputs: [], attributes: { name }, shape, kind }
}

export function constant(number: number): Value {
  return make('constant', [], [], { number })
}

/** Where one operand is only repeated to the other's shape, the repetition is left to the operation. */
function unrepeated(value: Value, other: Value): Value {
  if (!isA(value, 'broadcast')) return value
  const together = broadcastShapes(value.inputs[0].shape, other.shape)
  return together !== undefined && sameShape(together, value.shape) ? value.inputs[0] : value
}

function elementwise(op: 'add' | 'sub' | 'mul' | 'div', a: Value, b: Value): Value {
  const left = unrepeated(a, b)
  const right = unrepeated(b, left)
  const shape = broadcastShapes(left.shape, right.shape)
  expectShape(shape !== undefined, op, 'shapes that broadcast', left, right)
  return make(op, [left, right], shape ?? [], {})
}

export const add = (a: Value, b: Value): Value => elementwise('add', a, b)
export const sub = (a: Value, b: Value): Value => elementwise('sub', a, b)
export const mul = (a: Value, b: Value): Value => elementwise('mul', a, b)
export const div = (a: Value, b: Value): Value => elementwise('div', a, b)

export const neg = (x: Value): Value => make('neg', [x], x.shape, {})
export const exp = (x: Value): Value => make('exp', [x], x.shape, {})
export const log = (x: Value): Value => make('log', [x], x.shape, {})
export const sqrt = (x: Value): Value => make('sqrt', [x], x.shape, {})
export const sigmoid = (x: Value): Value => make('sigmoid', [x], x.shape, {})
export const tanh = (x: Value): Value => make('tanh', [x], x.shape, {})
export const silu = (x: Value): Value => make('silu', [x], x.shape, {})
export const gelu = (x: Value): Value => make('gelu', [x], x.shape, {})
export const softmax = (x: Value): Value => make('softmax', [x], x.shape, {})
export const logSoftmax = (x: Value): Value => make('logSoftmax', [x], x.shape, {})

export interface MatmulOptions {
  readonly transposeA?: boolean
  readonly transposeB?: boolean
  readonly scale?: number
}

export function matmul(a: Value, b: Value, options: MatmulOptions = {}): Value {
  const { transposeA = false, transposeB = false, scale = 1 } = options
  expectShape(a.shape.length >= 2 && b.shape.length >= 2, 'matmul', 'two operands of rank 2 or more', a, b)
  const batch = broadcastShapes(a.shape.slice(0, -2), b.shape.slice(0, -2))
  expectShape(batch !== undefined, 'matmul', 'batch axes that broadcast', a, b)
  const [rows, innerA] = transposeA ? a.shape.slice(-2).reverse() : a.shape.slice(-2)
  const [innerB, columns] = transposeB ? b.shape.slice(-2).reverse() : b.shape.slice(-2)
  const flags = `${transposeA ? ', first transposed' : ''}${transposeB ? ', second transposed' : ''}`
  expectShape(innerA === innerB, 'matmul', `equal inner sizes (${innerA} and ${innerB} are not${flags})`, a, b)
  return make('matmul', [a, b], [...(batch ?? []), rows, columns], { transposeA, transposeB, scale })
}

export function rmsNorm(x: Value, weight: Value, epsilon: number): Value {
  expectShape(sameShape(weight.shape, x.shape.slice(-1)), 'rmsNorm', 'a weight for each column', x, weight)
  return make('rmsNorm', [x, weight], x.shape, { epsilon })
}

export function layerNorm(x: Value, weight: Value, bias: Value, epsilon: number): Value {
  const columns = x.shape.slice(-1)
  const fits = sameShape(weight.shape, columns) && sameShape(bias.shape, columns)
  expectShape(fits, 'layerNorm', 'a weight and a bias for each column', x, weight, bias)
  return make('layerNorm', [x, weight, bias], x.shape, { epsilon })
}

/** x [N, heads, size], cos and sin [N, size / 2]. */
export function rotary(x: Value, cos: Value, sin: Value): Value {
  const [rows, , size] = x.shape
  const fits = x.shape.length === 3 && typeof size === 'number' && sameShape(cos.shape, [rows, size / 2])
  expectShape(
    fits && sameShape(cos.shape, sin.shape),
    'rotary',
    'x [N, heads, size], cos and sin [N, size/2]',
    x,
    cos,
    sin,
  )
  return make('rotary', [x, cos, sin], x.shape, {})
}

export function sum(x: Value, axis: number): Value {
  const at = axis < 0 ? axis + x.shape.length : axis
  expectShape(at >= 0 && at < x.shape.length, 'sum', `an axis ${axis}`, x)
  return make('sum', [x], x.shape.with(at, 1), { axis: at })
}

export function largest(x: Value): Value {
  return make('largest', [x], x.shape.with(-1, 1), {})
}

/** The mean over the last axis, whose size must be a number; it stays with size 1. */
export function mean(x: Value): Value {
  const size = x.shape[x.shape.length - 1]
  expectShape(typeof size === 'number', 'mean', 'a last axis of a fixed size', x)
  return mul(sum(x, -1), constant(1 / Number(size)))
}

export function broadcast(x: Value, shape: Shape): Value {
  if (sameShape(x.shape, shape)) return x
  const together = broadcastShapes(x.shape, shape)
  expectShape(together !== undefined && sameShape(together, shape), 'broadcast', `a part of ${showShape(shape)}`, x)
  return make('broadcast', [x], shape, {})
}

export function reshape(x: Value, shape: Shape): Value {
  if (sameShape(x.shape, shape)) return x
  expectShape(product(x.shape) === product(shape), 'reshape', `as many elements as ${showShape(shape)}`, x)
  return make('reshape', [x], shape, {})
}

export function transpose(x: Value, permutation: readonly number[]): Value {
  const whole = permutation.length === x.shape.length && new Set(permutation).size === permutation.length
  expectShape(whole && permutation.every((axis) => axis in x.shape), 'transpose', `axes ${permutation.join(' ')}`, x)
  const shape = permutation.map((axis) => x.shape[axis])
  return make('transpose', [x], shape, { permutation })
}

/** Joins values along an axis whose sizes are numbers. */
export function concat(values: readonly Value[], axis: number): Value {
  const [first] = values
  let size = 0
  for (const value of values) {
    const own = value.shape[axis]
    const fits = typeof own === 'number' && sameShape(value.shape.with(axis, 0), first.shape.with(axis, 0))
    expectShape(fits, 'concat', `equal sizes but on axis ${axis}, which is fixed`, first, value)
    size += Number(own)
  }
  return make('concat', values, first.shape.with(axis, size), { axis })
}

export function slice(x: Value, axis: number, start: number, end: number): Value {
  const size = x.shape[axis]
  const fits = typeof size === 'number' && 0 <= start && start < end && end <= size
  expectShape(fits, 'slice', `${start} to ${end} within axis ${axis}`, x)
  return make('slice', [x], x.shape.with(axis, end - start), { axis, start, end })
}

function expectIndex(op: string, index: Value): Dim {
  expectShape(index.kind === 'int' && index.shape.length === 1, op, 'a list of integers', index)
  return index.shape[0]
}

export function gather(x: Value, index: Value): Value {
  const count = expectIndex('gather', index)
  return make('gather', [x, index], [count, ...x.shape.slice(1)], {})
}

export function scatterAdd(rows: Value, index: Value, size: Dim): Value {
  expectShape(expectIndex('scatterAdd', index) === rows.shape[0], 'scatterAdd', 'an index for each row', rows, index)
  return make('scatterAdd', [rows, index], [size, ...rows.shape.slice(1)], {})
}

export function pick(x: Value, index: Value): Value {
  const fits = x.shape.length === 2 && expectIndex('pick', index) === x.shape[0]
  expectShape(fits, 'pick', 'rows, and an index for each', x, index)
  return make('pick', [x, index], [x.shape[0], 1], {})
}

export function place(x: Value, index: Value, size: Dim): Value {
  const fits = sameShape(x.shape, [expectIndex('place', index), 1])
  expectShape(fits, 'place', 'one number a row, and an index for each', x, index)
  return make('place', [x, index], [x.shape[0], size], {})
}

function expectCache(op: string, cache: Value, rows: Value, ends: Value): void {
  const [batch, heads, , size] = cache.shape
  const fits =
    cache.shape.length === 4 &&
    sameShape(rows.shape.slice(1), [product([heads, size])]) &&
    ends.kind === 'int' &&
    sameShape(ends.shape, [batch])
  expectShape(fits, op, 'a cache [B, heads, C, size], rows [N, heads · size], ends [B]', cache, rows, ends)
}

/** cache [B, heads, C, size], rows [N, heads · size], ends [B]. */
export function append(cache: Value, rows: Value, ends: Value): Value {
  expectCache('append', cache, rows, ends)
  return make('append', [cache, rows, ends], cache.shape, {})
}

/** query [N, heads · size]; keys and values were appended for the same tokens. */
export function attend(query: Value, keys: Value, values: Value, attributes: Attributes['attend']): Value<'attend'> {
  const [, groups, , size] = keys.shape
  const appended = isA(keys, 'append') && isA(values, 'append') && keys.inputs[2] === values.inputs[2]
  const fits = appended && sameShape(keys.shape, values.shape) && query.shape.length === 2
  const heads = Number(query.shape[1]) / Number(size)
  const expected = 'query [N, heads · size], keys and values that were appended together'
  expectShape(fits && heads % Number(groups) === 0, 'attend', expected, query, keys, values)
  return make('attend', [query, keys, values, keys.inputs[2]], query.shape, attributes)
}
