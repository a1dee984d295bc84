/** @file The filters of jinja2 that walk over the items of a value. */
import { bind, intOf } from './calls.ts'
import { memberAt } from './members.ts'
import { applyBinary, compare } from './operators.ts'
import { print } from './print.ts'
import { joinValues } from './string-methods.ts'
import { applyTest } from './tests.ts'
import {
  type Arguments,
  generator,
  isKind,
  isTrue,
  itemsOf,
  keyOf,
  kindOf,
  list,
  missing,
  tuple,
  type Value,
} from './values.ts'

/** What is done with each item, which counts as work. */
interface PerItem {
  readonly apply: (filter: string, item: Value, args: Arguments) => Value
  /** A value that was made of an item. */
  readonly count: (made: Value) => Value
  readonly spend: () => void
}
type ListFilter = (value: Value, args: Arguments, each: PerItem) => Value

export const LIST_FILTERS: ReadonlyMap<string, ListFilter> = new Map<string, ListFilter>([
  ['dictsort', dictSort],
  [
    'first',
    (value, args) => {
      bind('first', args, [])
      const first = isKind(value, 'generator') ? value.items.shift() : itemsOf(value)[0]
      return first === undefined ? missing('the list has no first item') : first
    },
  ],
  [
    'join',
    (value, args) => {
      const { d: separator = '', attribute } = bind('join', args, ['d', 'attribute'])
      const items = itemsOf(value)
      return joinValues(print(separator), attribute === undefined ? items : items.map(memberAt(attribute)))
    },
  ],
  [
    'last',
    (value, args) => {
      bind('last', args, [])
      if (isKind(value, 'generator')) throw new Error(`last of a ${value.kind}`)
      const last = itemsOf(value).at(-1)
      return last === undefined ? missing('the list has no last item') : last
    },
  ],
  [
    'list',
    (value, args) => {
      bind('list', args, [])
      return list([...itemsOf(value)])
    },
  ],
  ['map', map],
  ['max', (value, args, each) => extreme(value, args, each, 1)],
  ['min', (value, args, each) => extreme(value, args, each, -1)],
  ['reject', (value, args, each) => select(value, args, each, { wanted: false, byMember: false })],
  ['rejectattr', (value, args, each) => select(value, args, each, { wanted: false, byMember: true })],
  [
    'reverse',
    (value, args) => {
      bind('reverse', args, [])
      if (typeof value === 'string') return Array.from(value).reverse().join('')
      return generator([...itemsOf(value)].reverse())
    },
  ],
  ['select', (value, args, each) => select(value, args, each, { wanted: true, byMember: false })],
  ['selectattr', (value, args, each) => select(value, args, each, { wanted: true, byMember: true })],
  ['sort', sort],
  [
    'sum',
    (value, args) => {
      const { attribute, start = 0 } = bind('sum', args, ['attribute', 'start'])
      if (typeof start === 'string') throw new Error('sum of texts')
      const items = itemsOf(value)
      const members = attribute === undefined ? items : items.map(memberAt(attribute))
      if (members.some((item) => isKind(item, 'float'))) throw new Error('sum of floats is not supported')
      return members.reduce((total, item) => applyBinary('+', total, item), start)
    },
  ],
  ['unique', unique],
])

function map(value: Value, args: Arguments, each: PerItem): Value {
  if (!isTrue(value)) return generator([])
  const [name, ...positional] = args.positional
  if (name !== undefined) {
    if (typeof name !== 'string') throw new Error('map needs the name of a filter')
    const given = { positional, keywords: args.keywords }
    return generator(
      itemsOf(value).map((item) => {
        each.spend()
        return each.count(each.apply(name, item, given))
      }),
    )
  }
  const { attribute, default: fallback = null } = bind('map', args, ['attribute', 'default'])
  if (attribute === undefined) throw new Error('map needs a filter or an attribute')
  const member = fallback === null ? memberAt(attribute) : withDefault(attribute, fallback)
  return generator(itemsOf(value).map(member))
}

/** The fallback takes the place of every part of the path that is missing. */
function withDefault(path: Value, fallback: Value): (object: Value) => Value {
  const steps = typeof path === 'string' ? path.split('.').map((part) => memberAt(part)) : [memberAt(path)]
  return (object) =>
    steps.reduce((found, step) => {
      const next = step(found)
      return isKind(next, 'undefined') ? fallback : next
    }, object)
}

interface Wish {
  readonly wanted: boolean
  readonly byMember: boolean
}

function select(value: Value, args: Arguments, each: PerItem, { wanted, byMember }: Wish): Value {
  if (!isTrue(value)) return generator([])
  const [path = null, ...afterPath] = byMember ? args.positional : [null, ...args.positional]
  if (byMember && args.positional.length === 0) throw new Error('selectattr needs an attribute')
  const [name, ...positional] = afterPath
  if (name !== undefined && typeof name !== 'string') throw new Error('select needs the name of a test')
  const member = memberAt(path)
  const test = (item: Value): boolean => {
    each.spend()
    return name === undefined ? isTrue(item) : applyTest(name, item, { positional, keywords: args.keywords })
  }
  return generator(itemsOf(value).filter((item) => test(member(item)) === wanted))
}

/** Texts of different case are the same in `sort`, `unique`, `min` and `max`, unless asked otherwise. */
function foldCase(caseSensitive: Value | undefined, { count, spend }: PerItem): (value: Value) => Value {
  const isFolded = !isTrue(caseSensitive ?? false)
  return (value) => {
    spend()
    return isFolded && typeof value === 'string' ? count(value.toLowerCase()) : value
  }
}

/** Keeps the order of equals, also in reverse, as Python's sorted. */
function sorted<T>(items: readonly T[], key: (item: T) => Value, isReverse: boolean): T[] {
  const keyed = items.map((item) => ({ item, key: key(item) }))
  keyed.sort((a, b) => (isReverse ? compare(b.key, a.key) : compare(a.key, b.key)))
  return keyed.map(({ item }) => item)
}

function sort(value: Value, args: Arguments, each: PerItem): Value {
  const given = bind('sort', args, ['reverse', 'case_sensitive', 'attribute'])
  const fold = foldCase(given.case_sensitive, each)
  const paths: Value[] = typeof given.attribute === 'string' ? given.attribute.split(',') : [given.attribute ?? null]
  const members = paths.map(memberAt)
  const key = (item: Value): Value => tuple(members.map((member) => fold(member(item))))
  return list(sorted(itemsOf(value), key, intOf(given.reverse, 'sort', 0) !== 0))
}

function dictSort(value: Value, args: Arguments, each: PerItem): Value {
  const { case_sensitive, by = 'key', reverse = false } = bind('dictsort', args, ['case_sensitive', 'by', 'reverse'])
  if (!isKind(value, 'dict')) throw new Error(`dictsort of a ${kindOf(value)}`)
  if (by !== 'key' && by !== 'value') throw new Error("dictsort sorts by 'key' or by 'value'")
  const fold = foldCase(case_sensitive, each)
  const part = by === 'key' ? 0 : 1
  const entries = [...value.entries.values()]
  return list(sorted(entries, (entry) => fold(entry[part]), isTrue(reverse)).map((entry) => tuple(entry)))
}

function unique(value: Value, args: Arguments, each: PerItem): Value {
  const { case_sensitive, attribute = null } = bind('unique', args, ['case_sensitive', 'attribute'])
  const fold = foldCase(case_sensitive, each)
  const member = memberAt(attribute)
  const seen = new Set<string>()
  return generator(
    itemsOf(value).filter((item) => {
      const key = keyOf(fold(member(item)))
      const isNew = !seen.has(key)
      seen.add(key)
      return isNew
    }),
  )
}

function extreme(value: Value, args: Arguments, each: PerItem, sign: 1 | -1): Value {
  const { case_sensitive, attribute = null } = bind('min or max', args, ['case_sensitive', 'attribute'])
  const fold = foldCase(case_sensitive, each)
  const member = memberAt(attribute)
  const key = (item: Value): Value => fold(member(item))
  const [first, ...others] = itemsOf(value)
  if (first === undefined) return missing('no item of an empty list')
  return others.reduce((best, item) => (sign * compare(key(item), key(best)) > 0 ? item : best), first)
}
