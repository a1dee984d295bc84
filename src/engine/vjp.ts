/**
 * @file Gradient rules, one per primitive: the cotangent of a value → the cotangents of its inputs. Null where an
 * input has no gradient (indices, rotary tables, what only decoding does).
 */
import type { Shape } from './dims.ts'
import * as ops from './ops.ts'
import type { Primitive, Value } from './value.ts'

type Rule<P extends Primitive> = (grad: Value, value: Value<P>) => readonly (Value | null)[]

/** Sums a cotangent over the axes along which its value was repeated. */
function unbroadcast(grad: Value, shape: Shape): Value {
  let result = grad
  const missing = grad.shape.length - shape.length
  for (let axis = 0; axis < grad.shape.length; axis++) {
    const own = axis < missing ? 1 : shape[axis - missing]
    if (own === 1 && grad.shape[axis] !== 1) result = ops.sum(result, axis)
  }
  return ops.reshape(result, shape)
}

/** da and db of a matrix product, from the four cases of y = op(a) · op(b). */
function matmulRule(grad: Value, value: Value<'matmul'>): readonly Value[] {
  const [a, b] = value.inputs
  const { transposeA, transposeB, scale } = value.attributes
  const da = transposeA
    ? ops.matmul(b, grad, { transposeA: transposeB, transposeB: true, scale })
    : ops.matmul(grad, b, { transposeB: !transposeB, scale })
  const db = transposeB
    ? ops.matmul(grad, a, { transposeA: true, transposeB: transposeA, scale })
    : ops.matmul(a, grad, { transposeA: !transposeA, scale })
  return [unbroadcast(da, a.shape), unbroadcast(db, b.shape)]
}

/** y = x r w with r = (mean x² + ε)^−½:  dx = r (dy w − x r² mean(dy w x)),  dw = Σ dy x r. */
function rmsNormRule(grad: Value, value: Value<'rmsNorm'>): readonly Value[] {
  const [x, weight] = value.inputs
  const square = ops.add(ops.mean(ops.mul(x, x)), ops.constant(value.attributes.epsilon))
  const inverse = ops.div(ops.constant(1), ops.sqrt(square))
  const weighted = ops.mul(grad, weight)
  const shrink = ops.div(ops.mean(ops.mul(weighted, x)), square)
  const dx = ops.mul(ops.sub(weighted, ops.mul(x, shrink)), inverse)
  return [dx, unbroadcast(ops.mul(grad, ops.mul(x, inverse)), weight.shape)]
}

/**
 * y = n w + b with n = (x − mean) r, r = (variance + ε)^−½:  dx = r (dy w − mean(dy w) − n mean(dy w n)),  dw = Σ dy n,
 * db = Σ dy.
 */
function layerNormRule(grad: Value, value: Value<'layerNorm'>): readonly Value[] {
  const [x, weight, bias] = value.inputs
  const centred = ops.sub(x, ops.mean(x))
  const variance = ops.add(ops.mean(ops.mul(centred, centred)), ops.constant(value.attributes.epsilon))
  const inverse = ops.div(ops.constant(1), ops.sqrt(variance))
  const normal = ops.mul(centred, inverse)
  const weighted = ops.mul(grad, weight)
  const level = ops.sub(weighted, ops.mean(weighted))
  const dx = ops.mul(ops.sub(level, ops.mul(normal, ops.mean(ops.mul(weighted, normal)))), inverse)
  return [dx, unbroadcast(ops.mul(grad, normal), weight.shape), unbroadcast(grad, bias.shape)]
}

function concatRule(grad: Value, value: Value<'concat'>): readonly Value[] {
  const { axis } = value.attributes
  let start = 0
  return value.inputs.map((part) => {
    const end = start + Number(part.shape[axis])
    const own = ops.slice(grad, axis, start, end)
    start = end
    return own
  })
}

/** Zeros around the cotangent, so that it has the size from which the slice was taken. */
function sliceRule(grad: Value, value: Value<'slice'>): readonly Value[] {
  const { axis, start, end } = value.attributes
  const whole = value.inputs[0].shape
  const size = Number(whole[axis])
  // Made of the cotangent itself, whose unknown sizes a runtime then need not look up.
  const zero = ops.mul(ops.slice(grad, axis, 0, 1), ops.constant(0))
  const zeros = (count: number): Value[] => (count === 0 ? [] : [ops.broadcast(zero, whole.with(axis, count))])
  return [ops.concat([...zeros(start), grad, ...zeros(size - end)], axis)]
}

const { add, broadcast, constant, div, mul, neg, sub, sum } = ops

/** d ½ x (1 + t) = ½ (1 + t) + ½ x (1 − t²) u′ with t = tanh u, u = c (x + 0.044715 x³), c = √(2/π). */
function geluSlope(x: Value): Value {
  const scale = Math.sqrt(2 / Math.PI)
  const square = mul(x, x)
  const t = ops.tanh(mul(x, add(constant(scale), mul(constant(0.044715 * scale), square))))
  const du = add(constant(scale), mul(constant(3 * 0.044715 * scale), square))
  const steep = mul(mul(x, sub(constant(1), mul(t, t))), du)
  return mul(constant(0.5), add(add(constant(1), t), steep))
}

export const vjpRules: { readonly [P in Primitive]: Rule<P> } = {
  input: () => [],
  constant: () => [],
  add: (grad, { inputs: [a, b] }) => [unbroadcast(grad, a.shape), unbroadcast(grad, b.shape)],
  sub: (grad, { inputs: [a, b] }) => [unbroadcast(grad, a.shape), unbroadcast(neg(grad), b.shape)],
  mul: (grad, { inputs: [a, b] }) => [unbroadcast(mul(grad, b), a.shape), unbroadcast(mul(grad, a), b.shape)],
  div: (grad, value) => {
    const [a, b] = value.inputs
    return [unbroadcast(div(grad, b), a.shape), unbroadcast(neg(div(mul(grad, value), b)), b.shape)]
  },
  neg: (grad) => [neg(grad)],
  exp: (grad, value) => [mul(grad, value)],
  log: (grad, { inputs: [x] }) => [div(grad, x)],
  sqrt: (grad, value) => [div(mul(grad, constant(0.5)), value)],
  sigmoid: (grad, value) => [mul(grad, mul(value, sub(constant(1), value)))],
  tanh: (grad, value) => [mul(grad, sub(constant(1), mul(value, value)))],
  // d xσ(x) = σ + xσ(1 − σ) = y + σ (1 − y)
  silu: (grad, value) => {
    const gate = ops.sigmoid(value.inputs[0])
    return [mul(grad, add(value, mul(gate, sub(constant(1), value))))]
  },
  gelu: (grad, { inputs: [x] }) => [mul(grad, geluSlope(x))],
  matmul: matmulRule,
  softmax: (grad, value) => {
    const weighted = mul(grad, value)
    return [sub(weighted, mul(value, sum(weighted, -1)))]
  },
  logSoftmax: (grad, value) => [sub(grad, mul(ops.exp(value), sum(grad, -1)))],
  rmsNorm: rmsNormRule,
  layerNorm: layerNormRule,
  rotary: (grad, { inputs: [, cos, sin] }) => [ops.rotary(grad, cos, neg(sin)), null, null], // back by the same angle
  sum: (grad, { inputs: [x] }) => [broadcast(grad, x.shape)],
  // All of it to the largest; equal ones share it.
  largest: (grad, { inputs: [x] }) => [mul(grad, ops.softmax(mul(x, constant(1e30))))],
  broadcast: (grad, { inputs: [x] }) => [unbroadcast(grad, x.shape)],
  reshape: (grad, { inputs: [x] }) => [ops.reshape(grad, x.shape)],
  transpose: (grad, { attributes: { permutation } }) => [
    ops.transpose(
      grad,
      permutation.map((_, axis) => permutation.indexOf(axis)),
    ),
  ],
  concat: concatRule,
  slice: sliceRule,
  gather: (grad, { inputs: [x, index] }) => [ops.scatterAdd(grad, index, x.shape[0]), null],
  scatterAdd: (grad, { inputs: [, index] }) => [ops.gather(grad, index), null],
  pick: (grad, { inputs: [x, index] }) => [ops.place(grad, index, x.shape[1]), null],
  place: (grad, { inputs: [, index] }) => [ops.pick(grad, index), null],
  // Decoding is not differentiated.
  append: () => [null, null, null],
  attend: () => [null, null, null],
}
