/** @file Reverse-mode differentiation of a graph, and the substitution of saved values. */
import { sameShape, showShape } from './dims.ts'
import { add, broadcast, constant } from './ops.ts'
import { inOrder, nameOf, type Primitive, type Value } from './value.ts'
import { vjpRules } from './vjp.ts'

/** A value and d loss / d value. */
export interface Seed {
  readonly value: Value
  readonly cotangent: Value
}

function applyRule<P extends Primitive>(grad: Value, value: Value<P>): readonly (Value | null)[] {
  return vjpRules[value.op](grad, value)
}

/** d loss / d each of `wrt`, given d loss / d some values. Zeros for what the seeds do not depend on. */
export function gradients(seeds: readonly Seed[], wrt: readonly Value[]): Value[] {
  const grads = new Map<Value, Value>()
  const accumulate = (value: Value, grad: Value): void => {
    if (!sameShape(value.shape, grad.shape)) {
      throw new Error(
        `gradient of ${nameOf(value)}: expected ${showShape(value.shape)}, found ${showShape(grad.shape)}`,
      )
    }
    const before = grads.get(value)
    grads.set(value, before === undefined ? grad : add(before, grad))
  }
  for (const { value, cotangent } of seeds) accumulate(value, cotangent)
  const order = inOrder(seeds.map((seed) => seed.value))
  const needed = new Set(wrt)
  for (const value of order) if (value.inputs.some((part) => needed.has(part))) needed.add(value)
  for (const value of order.reverse()) {
    const grad = grads.get(value)
    if (grad === undefined || !value.inputs.some((part) => needed.has(part))) continue
    const parts = applyRule(grad, value)
    value.inputs.forEach((part, index) => {
      if (!needed.has(part)) return
      const own = parts[index]
      if (own === null) throw new Error(`${value.op}: no gradient for its operand ${nameOf(part)}`)
      accumulate(part, own)
    })
  }
  return wrt.map((value) => grads.get(value) ?? broadcast(constant(0), value.shape))
}

/** The same values with some of their parts replaced, e.g. by inputs that bring what a forward pass saved. */
export function substitute(values: readonly Value[], replacements: ReadonlyMap<Value, Value>): Value[] {
  const made = new Map<Value, Value>(replacements)
  for (const value of inOrder(values)) {
    if (made.has(value)) continue
    const inputs = value.inputs.map((part) => made.get(part) ?? part)
    const changed = inputs.some((part, index) => part !== value.inputs[index])
    made.set(value, changed ? { ...value, inputs } : value)
  }
  return values.map((value) => made.get(value) ?? value)
}
