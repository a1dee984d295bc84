/** @file A Value is a symbol: an operation, its inputs and its shape. The list of primitives is closed. */
import type { Shape } from './dims.ts'

/** Every primitive with its attributes. A table typed by this list misses no case, or does not compile. */
export interface Attributes {
  /** A tensor that is fed. */
  input: { readonly name: string }
  /** One number, of shape []. */
  constant: { readonly number: number }
  add: object
  sub: object
  mul: object
  div: object
  neg: object
  exp: object
  log: object
  sqrt: object
  sigmoid: object
  tanh: object
  /** x · σ(x). */
  silu: object
  /** ½ x (1 + tanh(√(2/π) (x + 0.044715 x³))): the usual approximation of x Φ(x). */
  gelu: object
  /** a · b over the last two axes, times scale. Batch axes in front broadcast. */
  matmul: { readonly transposeA: boolean; readonly transposeB: boolean; readonly scale: number }
  /** Over the last axis. */
  softmax: object
  /** Over the last axis. */
  logSoftmax: object
  /** x / √(mean of x² over the last axis + epsilon) · weight. */
  rmsNorm: { readonly epsilon: number }
  /** (x − mean) / √(variance + epsilon) · weight + bias, both over the last axis. */
  layerNorm: { readonly epsilon: number }
  /** Rotates the halves of the last axis of x [.., N, heads, size] by angles [N, size / 2] given as cos and sin. */
  rotary: object
  /** Sum over one axis, which stays with size 1. */
  sum: { readonly axis: number }
  /** The largest number of the last axis, which stays with size 1. */
  largest: object
  /** Repeats axes of size 1 (or missing in front) up to the shape. */
  broadcast: object
  reshape: object
  transpose: { readonly permutation: readonly number[] }
  concat: { readonly axis: number }
  /** start ≤ index < end on one axis of a fixed size. */
  slice: { readonly axis: number; readonly start: number; readonly end: number }
  /** Rows of x [N, ..] by index [S]. */
  gather: object
  /** Zeros [N, ..] to which rows [S, ..] are added at index [S]. */
  scatterAdd: object
  /** x[s, index[s]] of x [S, V], as [S, 1]. */
  pick: object
  /** Zeros [S, V] with x [S, 1] at index [S]. */
  place: object
  /**
   * A cache [B, heads, C, size] to which rows [N, heads · size] are added, N / B to each of B sequences, so that they are
   * `ends` [B] long. What lies beyond the end means nothing.
   */
  append: object
  /**
   * Attention of query rows [N, heads · size], N / B for the last tokens of each of B sequences, on the keys and values
   * that were appended for them, [B, keyValueHeads, C, size] each: softmax(scale · q kᵀ) v over the tokens up to their
   * own, or the last `window` of these.
   */
  attend: { readonly scale: number; readonly window: number | null }
}

export type Primitive = keyof Attributes

export type Kind = 'float' | 'int'

export interface Value<P extends Primitive = Primitive> {
  readonly op: P
  readonly inputs: readonly Value[]
  readonly attributes: Attributes[P]
  readonly shape: Shape
  readonly kind: Kind
}

/** Whether a value is of one primitive. */
export function isA<P extends Primitive>(value: Value, op: P): value is Value<P> {
  return value.op === op
}

/** How a value is called in messages: its name where it is fed, else its operation. */
export function nameOf(value: Value): string {
  return isA(value, 'input') ? `'${value.attributes.name}'` : value.op
}

/** Every value that the given ones are made of, inputs first. */
export function inOrder(outputs: Iterable<Value>): Value[] {
  const order: Value[] = []
  const seen = new Set<Value>()
  const pending: { value: Value; next: number }[] = []
  for (const output of outputs) {
    if (seen.has(output)) continue
    seen.add(output)
    pending.push({ value: output, next: 0 })
    while (pending.length > 0) {
      const top = pending[pending.length - 1]
      if (top.next === top.value.inputs.length) {
        order.push(top.value)
        pending.pop()
        continue
      }
      const input = top.value.inputs[top.next++]
      if (seen.has(input)) continue
      seen.add(input)
      pending.push({ value: input, next: 0 })
    }
  }
  return order
}
