/** @file `object.name` and `object[key]`, with the methods that jinja2's immutable sandbox lets a template see. */
import { bind, intOf } from './calls.ts'
import { OTHER_STRING_NAMES, STRING_METHODS } from './string-methods.ts'
import {
  type Arguments,
  type Callable,
  type Dict,
  isEqual,
  isKind,
  type Kind,
  keyOf,
  kindOf,
  missing,
  type Sequence,
  tuple,
  type Value,
  type View,
} from './values.ts'

/** Names that Python's values have but are not supported here. Those that change a value are not: jinja2 hides them. */
const OTHER_NAMES: { readonly [K in Kind]?: ReadonlySet<string> } = {
  str: OTHER_STRING_NAMES,
  int: new Set(
    'as_integer_ratio bit_count bit_length conjugate denominator from_bytes imag numerator real to_bytes'.split(' '),
  ),
  bool: new Set(
    'as_integer_ratio bit_count bit_length conjugate denominator from_bytes imag numerator real to_bytes'.split(' '),
  ),
  float: new Set('as_integer_ratio conjugate fromhex hex imag is_integer real'.split(' ')),
  dict: new Set(['fromkeys']),
  range: new Set('count index start step stop'.split(' ')),
  view: new Set('isdisjoint mapping'.split(' ')),
  generator: new Set('close send throw'.split(' ')),
  function: new Set('arguments caller catch_kwargs catch_varargs explicit_caller name'.split(' ')),
}

type Members<T> = ReadonlyMap<string, (object: T, args: Arguments) => Value>

const DICT_METHODS: Members<Dict> = new Map<string, (object: Dict, args: Arguments) => Value>([
  ['copy', (object, args) => plain(args, object)],
  [
    'get',
    (object, args) => {
      const { key, fallback } = bind('get', args, ['key', 'fallback'])
      if (key === undefined) throw new Error('get needs a key')
      const found = object.entries.get(keyOf(key))
      return found !== undefined ? found[1] : (fallback ?? null)
    },
  ],
  ['items', (object, args) => plain(args, viewOf(object, 'dict_items'))],
  ['keys', (object, args) => plain(args, viewOf(object, 'dict_keys'))],
  ['values', (object, args) => plain(args, viewOf(object, 'dict_values'))],
])

const SEQUENCE_METHODS: Members<Sequence> = new Map<string, (object: Sequence, args: Arguments) => Value>([
  ['copy', (object, args) => plain(args, object)],
  [
    'count',
    (object, args) => {
      const { value } = bind('count', args, ['value'])
      if (value === undefined) throw new Error('count needs a value')
      return object.items.filter((item) => isEqual(item, value)).length
    },
  ],
  [
    'index',
    (object, args) => {
      const { value } = bind('index', args, ['value'])
      const at = object.items.findIndex((item) => value !== undefined && isEqual(item, value))
      if (at < 0) throw new Error('index: the value is not in the list')
      return at
    },
  ],
])

function plain(args: Arguments, result: Value): Value {
  bind('the method', args, [])
  return result
}

export function viewOf({ entries }: Dict, name: View['name']): View {
  const part = { dict_keys: 0, dict_values: 1 }
  const items = Array.from(entries.values(), (entry) => (name === 'dict_items' ? tuple(entry) : entry[part[name]]))
  return { kind: 'view', name, items }
}

/** `object.name`: an attribute of Python first, and a key of a dict after that. */
export function getAttribute(object: Value, name: string): Value {
  refuseMissing(object, name)
  const found = ownAttribute(object, name)
  if (found !== undefined) return found
  const item = isKind(object, 'dict') ? object.entries.get(keyOf(name))?.[1] : undefined
  return item === undefined ? undefinedMember(object, name) : item
}

/** `object[key]`: an item first, and an attribute of Python where there is none. */
export function getItem(object: Value, key: Value): Value {
  refuseMissing(object, typeof key === 'string' ? key : kindOf(key))
  const item = ownItem(object, key)
  if (item !== undefined) return item
  const found = typeof key === 'string' ? ownAttribute(object, key) : undefined
  return found === undefined ? undefinedMember(object, key) : found
}

function refuseMissing(object: Value, name: string): void {
  if (isKind(object, 'undefined')) throw new Error(`${object.reason}, so it has no '${name.slice(0, 40)}'`)
}

function undefinedMember(object: Value, key: Value): Value {
  const name = typeof key === 'string' ? key.slice(0, 40) : String(typeof key === 'number' ? key : kindOf(key))
  return missing(`the ${kindOf(object)} has no element or attribute '${name}'`)
}

function ownItem(object: Value, key: Value): Value | undefined {
  if (isKind(object, 'dict')) {
    const isHashable = !isKind(key, 'list') && !isKind(key, 'dict')
    return isHashable ? object.entries.get(keyOf(key))?.[1] : undefined
  }
  if (typeof key !== 'number' && typeof key !== 'boolean') return undefined
  if (isKind(object, 'markup')) throw new Error('items of a text marked by safe or escape are not supported')
  const items = typeof object === 'string' ? Array.from(object) : indexed(object)
  return items?.at(intOf(key, 'an index'))
}

function indexed(object: Value): readonly Value[] | undefined {
  return isKind(object, 'list') || isKind(object, 'tuple') || isKind(object, 'range') ? object.items : undefined
}

/** What Python's getattr finds, as far as jinja2 lets templates see it. */
function ownAttribute(object: Value, name: string): Value | undefined {
  if (name.startsWith('_')) return undefined
  if (isKind(object, 'namespace')) return object.values.get(name)
  if (isKind(object, 'loop')) return object.read(name)
  if (isKind(object, 'markup')) throw new Error('methods of a text marked by safe or escape are not supported')
  if (OTHER_NAMES[kindOf(object)]?.has(name)) throw new Error(`'${name}' of a ${kindOf(object)} is not supported`)
  if (typeof object === 'string') return method(STRING_METHODS, object, name)
  if (isKind(object, 'dict')) return method(DICT_METHODS, object, name)
  if (isKind(object, 'tuple') && name === 'copy') return undefined
  return isKind(object, 'list') || isKind(object, 'tuple') ? method(SEQUENCE_METHODS, object, name) : undefined
}

function method<T>(methods: Members<T>, object: T, name: string): Callable | undefined {
  const work = methods.get(name)
  return work === undefined ? undefined : { kind: 'function', name, call: (args) => work(object, args) }
}

/** The member at a path such as `function.name` or `parts.0`, as filters take it; None is the object itself. */
export function memberAt(path: Value): (object: Value) => Value {
  if (path === null) return (object) => object
  const parts: Value[] =
    typeof path === 'string' ? path.split('.').map((part) => (/^\d+$/.test(part) ? Number(part) : part)) : [path]
  return (object) => parts.reduce(getItem, object)
}
