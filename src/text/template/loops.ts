/** @file `loop`, which tells a loop where it is. */
import { bind } from './calls.ts'
import { isEqual, isKind, itemsOf, type Loop, missing, tuple, type Value } from './values.ts'

/** The items of a loop, one after the other. Takes from a generator only what is asked for. */
export interface Items {
  /** The next item, or undefined at the end. */
  next(): Value | undefined
}

export function walk(value: Value): Items {
  if (isKind(value, 'generator')) return { next: () => value.items.shift() }
  const items = itemsOf(value)
  let index = 0
  return { next: () => items[index++] }
}

/** The items that fulfil a condition, which is asked for each item when it is its turn. */
export function filterItems(items: Items, fulfils: (item: Value) => boolean): Items {
  return {
    next() {
      let item = items.next()
      while (item !== undefined && !fulfils(item)) item = items.next()
      return item
    },
  }
}

export interface LoopState {
  readonly loop: Loop
  /** The next item, or undefined at the end. */
  next(): Value | undefined
}

/** The `loop` of these items. */
export function createLoop(items: Items): LoopState {
  const ahead: Value[] = []
  let index0 = -1
  let previous: Value | undefined
  let current: Value | undefined
  let lastSeen: Value | undefined
  const peek = (): Value | undefined => {
    if (ahead.length > 0) return ahead[0]
    const item = items.next()
    if (item !== undefined) ahead.push(item)
    return item
  }
  const countAll = (): number => {
    for (let item = items.next(); item !== undefined; item = items.next()) ahead.push(item)
    return index0 + 1 + ahead.length
  }
  const members: ReadonlyMap<string, () => Value> = new Map<string, () => Value>([
    ['index', () => index0 + 1],
    ['index0', () => index0],
    ['first', () => index0 === 0],
    ['last', () => peek() === undefined],
    ['length', countAll],
    ['revindex', () => countAll() - index0],
    ['revindex0', () => countAll() - index0 - 1],
    ['depth', () => 1], // of a loop that calls itself, which is not supported
    ['depth0', () => 0],
    ['previtem', () => orMissing(previous, 'there is no previous item')],
    ['nextitem', () => orMissing(peek(), 'there is no next item')],
    ['cycle', () => ({ kind: 'function', name: 'cycle', call: ({ positional }) => cycle(positional, index0) })],
    [
      'changed',
      () => ({
        kind: 'function',
        name: 'changed',
        call: (args) => {
          bind('changed', { ...args, positional: [] }, [])
          const seen = tuple(args.positional)
          const isChanged = lastSeen === undefined || !isEqual(lastSeen, seen)
          lastSeen = seen
          return isChanged
        },
      }),
    ],
  ])
  const next = (): Value | undefined => {
    previous = current
    current = ahead.length > 0 ? ahead.shift() : items.next()
    index0 += 1
    return current
  }
  return { loop: { kind: 'loop', read: (name) => members.get(name)?.() }, next }
}

function orMissing(value: Value | undefined, reason: string): Value {
  return value === undefined ? missing(reason) : value
}

function cycle(values: readonly Value[], index: number): Value {
  if (values.length === 0) throw new Error('no items for cycling given')
  return values[index % values.length]
}
