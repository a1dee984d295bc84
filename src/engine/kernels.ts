/** @file The interpreter's kernels, one per primitive, in float64. */
import type { Tensor, TensorData } from './backend.ts'
import { elementCount } from './dims.ts'
import { layerNorm, rmsNorm } from './norm-kernels.ts'
import type { Attributes, Primitive } from './value.ts'

export interface Call<P extends Primitive> {
  readonly attributes: Attributes[P]
  readonly inputs: readonly Tensor[]
  /** Zeroed, in row-major order. */
  readonly out: Float64Array
  readonly shape: readonly number[]
}

export type Kernel<P extends Primitive> = (call: Call<P>) => void

/** Steps between neighbours on each axis of `shape`; 0 where the operand is repeated up to `rank` axes. */
function strides(shape: readonly number[], rank: number): number[] {
  const steps: number[] = new Array(rank).fill(0)
  let step = 1
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] !== 1) steps[axis + rank - shape.length] = step
    step *= shape[axis]
  }
  return steps
}

/** Calls `visit(position in out, position in an operand)` for every element of `shape`, in order. */
function eachElement(
  shape: readonly number[],
  steps: readonly number[],
  visit: (to: number, from: number) => void,
): void {
  const count = elementCount(shape)
  const index: number[] = new Array(shape.length).fill(0)
  let from = 0
  for (let to = 0; to < count; to++) {
    visit(to, from)
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index[axis]++
      from += steps[axis]
      if (index[axis] < shape[axis]) break
      from -= index[axis] * steps[axis]
      index[axis] = 0
    }
  }
}

function unary(f: (x: number) => number): Kernel<Primitive> {
  return ({ inputs: [x], out }) => {
    for (let at = 0; at < out.length; at++) out[at] = f(x.data[at])
  }
}

function binary(f: (a: number, b: number) => number): Kernel<Primitive> {
  return ({ inputs: [a, b], out, shape }) => {
    eachElement(shape, strides(a.shape, shape.length), (to, from) => {
      out[to] = a.data[from]
    })
    eachElement(shape, strides(b.shape, shape.length), (to, from) => {
      out[to] = f(out[to], b.data[from])
    })
  }
}

const sigmoid = (x: number): number => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x)))

/** Calls `row(x, out, start, width)` for every row of the last axis. */
function rowwise(row: (x: TensorData, out: Float64Array, start: number, width: number) => void): Kernel<Primitive> {
  return ({ inputs: [x], out, shape }) => {
    const width = shape[shape.length - 1]
    for (let start = 0; start < out.length; start += width) row(x.data, out, start, width)
  }
}

/** log Σ exp of x[start .. start + width). */
function logSumExp(x: TensorData, start: number, width: number): number {
  let most = Number.NEGATIVE_INFINITY
  for (let at = start; at < start + width; at++) most = Math.max(most, x[at])
  let total = 0
  for (let at = start; at < start + width; at++) total += Math.exp(x[at] - most)
  return most + Math.log(total)
}

const matmul: Kernel<'matmul'> = ({ attributes, inputs: [a, b], out, shape }) => {
  const { transposeA, transposeB, scale } = attributes
  const [rows, columns] = shape.slice(-2)
  const inner = a.shape[a.shape.length - (transposeA ? 2 : 1)]
  const [stepRow, stepInnerA] = transposeA ? [1, rows] : [inner, 1]
  const [stepInnerB, stepColumn] = transposeB ? [1, inner] : [columns, 1]
  const batchShape = shape.slice(0, -2)
  const startsOf = (operand: Tensor): number[] => {
    const starts: number[] = []
    const own = operand.shape.slice(0, -2)
    eachElement(batchShape, strides(own, batchShape.length), (_, from) => starts.push(from))
    return starts
  }
  const [startsA, startsB] = [startsOf(a), startsOf(b)]
  for (let batch = 0; batch < startsA.length; batch++) {
    const startA = startsA[batch] * rows * inner
    const startB = startsB[batch] * inner * columns
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        let total = 0
        let atA = startA + row * stepRow
        let atB = startB + column * stepColumn
        for (let k = 0; k < inner; k++, atA += stepInnerA, atB += stepInnerB) total += a.data[atA] * b.data[atB]
        out[(batch * rows + row) * columns + column] = total * scale
      }
    }
  }
}

const rotary: Kernel<'rotary'> = ({ inputs: [x, cos, sin], out, shape: [rows, heads, size] }) => {
  const half = size / 2
  for (let row = 0; row < rows; row++) {
    for (let head = 0; head < heads; head++) {
      const start = (row * heads + head) * size
      for (let at = 0; at < half; at++) {
        const first = x.data[start + at]
        const second = x.data[start + half + at]
        const c = cos.data[row * half + at]
        const s = sin.data[row * half + at]
        out[start + at] = first * c - second * s
        out[start + half + at] = second * c + first * s
      }
    }
  }
}

const sum: Kernel<'sum'> = ({ inputs: [x], out, shape }) => {
  eachElement(x.shape, strides(shape, shape.length), (from, to) => {
    out[to] += x.data[from]
  })
}

const largest: Kernel<'largest'> = ({ inputs: [x], out }) => {
  const width = x.shape[x.shape.length - 1]
  for (let row = 0; row < out.length; row++) {
    out[row] = Number.NEGATIVE_INFINITY
    for (let at = row * width; at < (row + 1) * width; at++) out[row] = Math.max(out[row], x.data[at])
  }
}

const concat: Kernel<'concat'> = ({ attributes: { axis }, inputs, out, shape }) => {
  const width = elementCount(shape.slice(axis))
  let offset = 0
  for (const part of inputs) {
    const own = elementCount(part.shape.slice(axis))
    for (let at = 0; at < part.data.length; at++)
      out[Math.floor(at / own) * width + offset + (at % own)] = part.data[at]
    offset += own
  }
}

const slice: Kernel<'slice'> = ({ attributes: { axis, start }, inputs: [x], out, shape }) => {
  const step = elementCount(x.shape.slice(axis + 1))
  const width = elementCount(x.shape.slice(axis))
  const own = elementCount(shape.slice(axis))
  for (let at = 0; at < out.length; at++) out[at] = x.data[Math.floor(at / own) * width + start * step + (at % own)]
}

const transpose: Kernel<'transpose'> = ({ attributes: { permutation }, inputs: [x], out, shape }) => {
  // Positions differ only where an axis has size 1, which strides() marks as repeated: its index is always 0.
  const own = strides(x.shape, x.shape.length)
  eachElement(
    shape,
    permutation.map((axis) => own[axis]),
    (to, from) => {
      out[to] = x.data[from]
    },
  )
}

const gather: Kernel<'gather'> = ({ inputs: [x, index], out }) => {
  const width = elementCount(x.shape.slice(1))
  for (let row = 0; row < index.data.length; row++) {
    for (let at = 0; at < width; at++) out[row * width + at] = x.data[index.data[row] * width + at]
  }
}

const scatterAdd: Kernel<'scatterAdd'> = ({ inputs: [rows, index], out }) => {
  const width = elementCount(rows.shape.slice(1))
  for (let row = 0; row < index.data.length; row++) {
    for (let at = 0; at < width; at++) out[index.data[row] * width + at] += rows.data[row * width + at]
  }
}

const append: Kernel<'append'> = ({ inputs: [cache, rows, ends], out, shape: [batch, heads, capacity, size] }) => {
  const own = rows.shape[0] / batch
  for (let chunk = 0; chunk < batch * heads; chunk++) {
    const sequence = Math.floor(chunk / heads)
    const end = ends.data[sequence]
    for (let at = 0; at < end; at++) {
      const to = (chunk * capacity + at) * size
      const row = sequence * own + at - (end - own)
      const from = at < end - own ? to : (row * heads + (chunk % heads)) * size
      const source = at < end - own ? cache : rows
      for (let column = 0; column < size; column++) out[to + column] = source.data[from + column]
    }
  }
}

const attend: Kernel<'attend'> = ({ attributes: { scale, window }, inputs: [query, keys, values, ends], out }) => {
  const [batch, groups, capacity, size] = keys.shape
  const heads = query.shape[1] / size
  const own = query.shape[0] / batch
  for (let row = 0; row < query.shape[0]; row++) {
    const sequence = Math.floor(row / own)
    const end = ends.data[sequence] - own + (row % own) + 1
    const first = Math.max(0, end - (window ?? end))
    for (let head = 0; head < heads; head++) {
      const start = (row * heads + head) * size
      const chunk = (sequence * groups + Math.floor((head * groups) / heads)) * capacity
      const scores = new Float64Array(end - first)
      for (let key = first; key < end; key++) {
        let dot = 0
        for (let at = 0; at < size; at++) dot += query.data[start + at] * keys.data[(chunk + key) * size + at]
        scores[key - first] = dot * scale
      }
      const total = logSumExp(scores, 0, scores.length)
      for (let key = first; key < end; key++) {
        const weight = Math.exp(scores[key - first] - total)
        for (let at = 0; at < size; at++) out[start + at] += weight * values.data[(chunk + key) * size + at]
      }
    }
  }
}

const copy = unary((x) => x)

export const kernels: { readonly [P in Primitive]: Kernel<P> } = {
  input: () => {
    throw new Error('an input is fed, not computed')
  },
  constant: ({ attributes, out }) => {
    out[0] = attributes.number
  },
  add: binary((a, b) => a + b),
  sub: binary((a, b) => a - b),
  mul: binary((a, b) => a * b),
  div: binary((a, b) => a / b),
  neg: unary((x) => -x),
  exp: unary(Math.exp),
  log: unary(Math.log),
  sqrt: unary(Math.sqrt),
  sigmoid: unary(sigmoid),
  tanh: unary(Math.tanh),
  silu: unary((x) => x * sigmoid(x)),
  gelu: unary((x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)))),
  matmul,
  softmax: rowwise((x, out, start, width) => {
    const total = logSumExp(x, start, width)
    for (let at = start; at < start + width; at++) out[at] = Math.exp(x[at] - total)
  }),
  logSoftmax: rowwise((x, out, start, width) => {
    const total = logSumExp(x, start, width)
    for (let at = start; at < start + width; at++) out[at] = x[at] - total
  }),
  rmsNorm,
  layerNorm,
  rotary,
  sum,
  largest,
  broadcast: ({ inputs: [x], out, shape }) =>
    eachElement(shape, strides(x.shape, shape.length), (to, from) => {
      out[to] = x.data[from]
    }),
  reshape: copy,
  transpose,
  concat,
  slice,
  gather,
  scatterAdd,
  pick: ({ inputs: [x, index], out }) => {
    for (let row = 0; row < out.length; row++) out[row] = x.data[row * x.shape[1] + index.data[row]]
  },
  place: ({ inputs: [x, index], out, shape }) => {
    for (let row = 0; row < index.data.length; row++) out[row * shape[1] + index.data[row]] = x.data[row]
  },
  append,
  attend,
}
