/**
 * @file The values of Python that templates work with. Texts, whole numbers, truth values and None are those of
 * JavaScript; everything else says its kind.
 */

export interface Float {
  readonly kind: 'float'
  readonly value: number
}
export interface Sequence {
  readonly kind: 'list' | 'tuple'
  readonly items: readonly Value[]
}
export interface Range {
  readonly kind: 'range'
  readonly items: readonly number[]
  readonly bounds: readonly [start: number, stop: number, step: number]
}
/** What `items()`, `keys()` and `values()` of a dict give: it can be walked any number of times. */
export interface View {
  readonly kind: 'view'
  readonly name: 'dict_items' | 'dict_keys' | 'dict_values'
  readonly items: readonly Value[]
}
/** What filters such as `map` give: it can be walked once, is true even where it is empty, and has no length. */
export interface Generator {
  readonly kind: 'generator'
  readonly items: Value[]
}
export interface Dict {
  readonly kind: 'dict'
  /** By `keyOf` of the key. */
  readonly entries: ReadonlyMap<string, readonly [Value, Value]>
}
export interface Namespace {
  readonly kind: 'namespace'
  readonly values: Map<string, Value>
}
export interface Undefined {
  readonly kind: 'undefined'
  /** What was missing, for errors. */
  readonly reason: string
}
export interface Callable {
  readonly kind: 'function'
  readonly name: string
  readonly call: (args: Arguments) => Value
}
/** `loop` inside of a loop. */
export interface Loop {
  readonly kind: 'loop'
  /** The value of a name, or undefined for one that a loop does not have. */
  readonly read: (name: string) => Value | undefined
}
/** A text that `safe` or `escape` has marked: a class of its own in Python, of which only printing is supported. */
export interface Markup {
  readonly kind: 'markup'
  readonly text: string
}

export type Value =
  | string
  | number
  | boolean
  | null
  | Float
  | Sequence
  | Range
  | View
  | Generator
  | Dict
  | Namespace
  | Undefined
  | Callable
  | Loop
  | Markup

export interface Arguments {
  readonly positional: readonly Value[]
  readonly keywords: ReadonlyMap<string, Value>
}

export type Kind = Exclude<Value, string | number | boolean | null>['kind'] | 'str' | 'int' | 'bool' | 'NoneType'

/** The name of a value's type: Python's, where there is one. */
export function kindOf(value: Value): Kind {
  if (value === null) return 'NoneType'
  if (typeof value === 'object') return value.kind
  return typeof value === 'string' ? 'str' : typeof value === 'number' ? 'int' : 'bool'
}

export const list = (items: readonly Value[]): Sequence => ({ kind: 'list', items })
export const tuple = (items: readonly Value[]): Sequence => ({ kind: 'tuple', items })
export const float = (value: number): Float => ({ kind: 'float', value })
export const generator = (items: Iterable<Value>): Generator => ({ kind: 'generator', items: [...items] })
export const missing = (reason: string): Undefined => ({ kind: 'undefined', reason })

/** A dict with these entries; of two with the same key, the first key and the last value count. */
export function dict(pairs: Iterable<readonly [Value, Value]>): Dict {
  const entries = new Map<string, readonly [Value, Value]>()
  for (const [key, value] of pairs) {
    const id = keyOf(key)
    entries.set(id, [entries.get(id)?.[0] ?? key, value])
  }
  return { kind: 'dict', entries }
}

/** @throws Error where Python has more digits than a number here. */
export function integer(value: number): number {
  if (!Number.isSafeInteger(value)) throw new Error('whole numbers beyond 2**53 are not supported')
  return value + 0 // no negative zero
}

/** The number that a value stands for in arithmetic, or undefined where it is none. */
export function numberOf(value: Value): number | undefined {
  if (typeof value === 'number') return value
  if (typeof value === 'boolean') return Number(value)
  return isKind(value, 'float') ? value.value : undefined
}

export function isKind<K extends Exclude<Value, string | number | boolean | null>['kind']>(
  value: Value,
  kind: K,
): value is Extract<Value, object> & { readonly kind: K } {
  return typeof value === 'object' && value !== null && value.kind === kind
}

export function isSequence(value: Value): value is Sequence {
  return isKind(value, 'list') || isKind(value, 'tuple')
}

/** Python's bool(). */
export function isTrue(value: Value): boolean {
  if (typeof value !== 'object' || value === null) return Boolean(value)
  if (value.kind === 'float') return value.value !== 0
  if (value.kind === 'dict') return value.entries.size > 0
  if (value.kind === 'markup') return value.text !== ''
  if (isSequence(value) || value.kind === 'range' || value.kind === 'view') return value.items.length > 0
  return value.kind !== 'undefined'
}

/** One text for all keys that Python holds for the same: `1`, `1.0` and `True` are one key. */
export function keyOf(value: Value): string {
  if (typeof value === 'string') return `s${value}`
  const number = numberOf(value)
  if (number !== undefined) return `n${number + 0}`
  if (value === null) return 'N'
  if (isKind(value, 'tuple')) {
    const keys = value.items.map(keyOf)
    return `t${keys.map((key) => `${key.length}:${key}`).join('')}`
  }
  throw new Error(`unhashable type or key that is not supported: ${kindOf(value)}`)
}

/** Python's ==. */
export function isEqual(left: Value, right: Value): boolean {
  if (left === right) return true
  const [a, b] = [numberOf(left), numberOf(right)]
  if (a !== undefined || b !== undefined) return a === b
  if (typeof left !== 'object' || typeof right !== 'object' || left === null || right === null) {
    return !isKind(left, 'markup') && !isKind(right, 'markup') ? false : refuseEqual(left, right)
  }
  if (isSequence(left) && isSequence(right)) return left.kind === right.kind && areEqual(left.items, right.items)
  if (left.kind === 'range' && right.kind === 'range') return areEqual(left.items, right.items)
  if (left.kind === 'dict' && right.kind === 'dict') {
    if (left.entries.size !== right.entries.size) return false
    return [...left.entries].every(([id, [, value]]) => {
      const other = right.entries.get(id)
      return other !== undefined && isEqual(value, other[1])
    })
  }
  if (left.kind === right.kind && ['view', 'markup', 'function'].includes(left.kind)) return refuseEqual(left, right)
  return left.kind === 'undefined' && right.kind === 'undefined'
}

function refuseEqual(left: Value, right: Value): never {
  throw new Error(`comparing ${kindOf(left)} with ${kindOf(right)} is not supported`)
}

function areEqual(left: readonly Value[], right: readonly Value[]): boolean {
  return left.length === right.length && left.every((item, i) => isEqual(item, right[i]))
}

/**
 * The items that a loop over the value sees. Takes those of a generator away from it.
 * @throws Error for what cannot be walked.
 */
export function itemsOf(value: Value): readonly Value[] {
  if (typeof value === 'string') return Array.from(value)
  if (typeof value === 'object' && value !== null) {
    if (value.kind === 'generator') return value.items.splice(0)
    if ('items' in value) return value.items
    if (value.kind === 'dict') return Array.from(value.entries.values(), ([key]) => key)
    if (value.kind === 'undefined') return []
  }
  throw new Error(`${kindOf(value)} is not iterable`)
}

/** Python's len(). */
export function lengthOf(value: Value): number {
  if (isKind(value, 'generator')) throw new Error('a generator has no length')
  if (isKind(value, 'markup')) return Array.from(value.text).length
  return itemsOf(value).length
}

/** Of JSON, as transformers hands it to templates. */
export function fromJson(json: unknown): Value {
  if (json === undefined || json === null) return null
  if (typeof json === 'string' || typeof json === 'boolean') return json
  if (typeof json === 'number') return Number.isInteger(json) ? integer(json) : float(json)
  if (Array.isArray(json)) return list(json.map(fromJson))
  if (typeof json === 'object') return dict(Object.entries(json).map(([key, value]) => [key, fromJson(value)]))
  throw new Error(`a template cannot be given a ${typeof json}`)
}
