/** @file Python's slices. */
import { intOf } from './calls.ts'
import { charactersOf } from './strings.ts'
import { isSequence, kindOf, type Value } from './values.ts'

/** The first and the last index (not included) of a slice of something `length` long. None counts as left out. */
export function sliceBounds(start: Value, stop: Value, step: number, length: number): [number, number] {
  const lowest = step > 0 ? 0 : -1
  const highest = step > 0 ? length : length - 1
  const clamp = (value: Value, fallback: number): number => {
    if (typeof value !== 'number' && typeof value !== 'boolean') return fallback
    const index = Number(value) < 0 ? Number(value) + length : Number(value)
    return Math.min(highest, Math.max(lowest, index))
  }
  return step > 0 ? [clamp(start, 0), clamp(stop, length)] : [clamp(start, length - 1), clamp(stop, -1)]
}

/** `value[start:stop:step]`. @throws Error for what Python refuses, unlike the other subscripts of jinja2. */
export function slice(value: Value, bounds: readonly Value[]): Value {
  const [start, stop, by] = [0, 1, 2].map((i) => optionalInt(bounds[i]))
  const step = by ?? 1
  if (typeof value !== 'string' && !isSequence(value)) throw new Error(`slices of a ${kindOf(value)} are not supported`)
  if (step === 0) throw new Error('slice step cannot be zero')
  const items = typeof value === 'string' ? charactersOf(value) : value.items
  const [first, end] = sliceBounds(start ?? null, stop ?? null, step, items.length)
  if (typeof value !== 'string') return { kind: value.kind, items: pick(value.items, first, end, step) }
  return typeof items === 'string' && step === 1
    ? items.slice(first, Math.max(first, end))
    : pick([...items].map(String), first, end, step).join('')
}

function pick<T>(items: readonly T[], first: number, end: number, step: number): T[] {
  const picked: T[] = []
  for (let i = first; step > 0 ? i < end : i > end; i += step) picked.push(items[i])
  return picked
}

function optionalInt(bound: Value | undefined): number | undefined {
  return bound === undefined || bound === null ? undefined : intOf(bound, 'a slice')
}
