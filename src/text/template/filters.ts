/** @file The filters of jinja2 that work on one value. Those that walk lists are in list-filters.ts. */
import { type Budget, checkProduct, checkSize, countMade, spend } from './bounds.ts'
import { bind, intOf, optionalText, softText, textOf } from './calls.ts'
import { formatPercent } from './format.ts'
import { capitalize, titleWords } from './letters.ts'
import { LIST_FILTERS } from './list-filters.ts'
import { print, printJson } from './print.ts'
import { replace, splitLines, strip } from './strings.ts'
import {
  type Arguments,
  float,
  generator,
  integer,
  isKind,
  isTrue,
  kindOf,
  lengthOf,
  numberOf,
  tuple,
  type Value,
} from './values.ts'

export type Filter = (value: Value, args: Arguments) => Value

const FILTERS: ReadonlyMap<string, Filter> = new Map<string, Filter>([
  ['abs', (value) => absolute(value)],
  ['capitalize', (value) => capitalize(softText(value, 'capitalize'))],
  ['count', lengthOf],
  ['d', orDefault],
  ['default', orDefault],
  ['e', escapeHtml],
  ['escape', escapeHtml],
  ['float', (value, args) => toFloat(value, args)],
  ['format', (value, args) => formatPercent(softText(value, 'format'), tuple(positionalOnly('format', args)))],
  ['indent', indent],
  ['int', toInt],
  ['items', (value) => items(value)],
  ['length', lengthOf],
  ['lower', (value) => softText(value, 'lower').toLowerCase()],
  [
    'replace',
    (value, args) => {
      const { old, new: replacement, count } = bind('replace', args, ['old', 'new', 'count'])
      if (old === undefined || replacement === undefined) throw new Error('replace needs two arguments')
      return replace(print(value), print(old), print(replacement), intOf(count ?? undefined, 'replace', -1))
    },
  ],
  ['round', round],
  ['safe', (value) => ({ kind: 'markup', text: print(value) })],
  ['string', (value) => (isKind(value, 'markup') ? value : print(value))],
  ['title', (value) => titleWords(softText(value, 'title'))],
  ['tojson', toJson],
  ['trim', (value, args) => strip(softText(value, 'trim'), optionalText(bind('trim', args, ['chars']).chars, 'trim'))],
  ['upper', (value) => softText(value, 'upper').toUpperCase()],
])

const WITH_ARGUMENTS = new Set('d default float format indent int replace round tojson trim'.split(' '))

/** @throws Error for filters that are not supported. */
export function applyFilter(name: string, value: Value, args: Arguments, budget: Budget): Value {
  const filter = FILTERS.get(name)
  if (filter === undefined) {
    const ofLists = LIST_FILTERS.get(name)
    if (ofLists === undefined) throw new Error(`the filter '${name.slice(0, 40)}' is not supported`)
    const apply = (own: string, item: Value, given: Arguments): Value => applyFilter(own, item, given, budget)
    return ofLists(value, args, { apply, count: (made) => countMade(budget, made), spend: () => spend(budget, 1) })
  }
  if (!WITH_ARGUMENTS.has(name)) bind(`the filter '${name}'`, args, [])
  return filter(value, args)
}

function positionalOnly(name: string, args: Arguments): readonly Value[] {
  if (args.keywords.size > 0) throw new Error(`${name} with arguments by name is not supported`)
  return args.positional
}

function orDefault(value: Value, args: Arguments): Value {
  const { default_value: fallback, boolean } = bind('default', args, ['default_value', 'boolean'])
  const isMissing = isKind(value, 'undefined') || (isTrue(boolean ?? false) && !isTrue(value))
  return isMissing ? (fallback === undefined ? '' : fallback) : value
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&#34;',
  "'": '&#39;',
}

function escapeHtml(value: Value): Value {
  if (isKind(value, 'markup')) return value
  return { kind: 'markup', text: print(value).replace(/[&<>"']/g, (character) => ENTITIES[character]) }
}

function absolute(value: Value): Value {
  const number = numberOf(value)
  if (number === undefined) throw new Error(`abs of a ${kindOf(value)}`)
  return isKind(value, 'float') ? float(Math.abs(number)) : Math.abs(number)
}

const FLOAT = /^[+-]?(?:\d+(?:_\d+)*\.?(?:\d+(?:_\d+)*)?|\.\d+(?:_\d+)*)(?:e[+-]?\d+(?:_\d+)*)?$/i
const SPECIAL_FLOAT = /^[+-]?(?:inf|infinity|nan)$/i
const INTEGER = /^[+-]?\d+(?:_\d+)*$/

/** Python's float() of a value, or undefined where it has an error. */
function parseFloatText(value: Value): number | undefined {
  if (isKind(value, 'markup')) return parseFloatText(value.text)
  if (typeof value !== 'string') {
    if (isKind(value, 'undefined')) throw new Error(value.reason)
    return numberOf(value)
  }
  const text = strip(value)
  if (SPECIAL_FLOAT.test(text)) throw new Error('infinite numbers are not supported')
  if (/(?![0-9])\p{Nd}/u.test(text)) throw new Error('digits beyond ASCII are not supported')
  return FLOAT.test(text) ? Number(text.replaceAll('_', '')) : undefined
}

function toFloat(value: Value, args: Arguments): Value {
  const { default: fallback = float(0) } = bind('float', args, ['default'])
  const parsed = parseFloatText(value)
  return parsed === undefined ? fallback : float(parsed)
}

function toInt(value: Value, args: Arguments): Value {
  const { default: fallback = 0, base = 10 } = bind('int', args, ['default', 'base'])
  if (base !== 10) throw new Error('int with a base is not supported')
  const parsed = parseFloatText(value)
  if (parsed === undefined) return fallback
  if (typeof value === 'string' && INTEGER.test(strip(value))) return integer(parsed)
  return integer(Math.trunc(parsed))
}

function round(value: Value, args: Arguments): Value {
  const { precision = 0, method = 'common' } = bind('round', args, ['precision', 'method'])
  const number = numberOf(value)
  if (number === undefined) throw new Error(`round of a ${kindOf(value)}`)
  if (precision !== 0 || typeof method !== 'string') throw new Error('round with a precision is not supported')
  if (method === 'ceil' || method === 'floor') return float(Math[method](number) + 0) // whole numbers of Python: no -0
  if (method !== 'common') throw new Error(`round has no method '${method.slice(0, 40)}'`)
  if (!isKind(value, 'float')) return number
  const below = Math.floor(number)
  const isHalf = number - below === 0.5
  const rounded = isHalf ? below + (below % 2 === 0 ? 0 : 1) : Math.round(number)
  return float(rounded === 0 && number < 0 ? -0 : rounded)
}

function items(value: Value): Value {
  if (isKind(value, 'undefined')) return generator([])
  if (!isKind(value, 'dict')) throw new Error(`items of a ${kindOf(value)}`)
  return generator(Array.from(value.entries.values(), (entry) => tuple(entry)))
}

function indent(value: Value, args: Arguments): Value {
  const { width = 4, first = false, blank = false } = bind('indent', args, ['width', 'first', 'blank'])
  const text = textOf(value, 'indent')
  const isText = typeof width === 'string'
  checkProduct(isText ? width.length : Math.max(0, intOf(width, 'indent')), text.length + 1)
  const indention = isText ? width : ' '.repeat(Math.max(0, intOf(width, 'indent')))
  const [head, ...lines] = splitLines(`${text}\n`)
  const rest = lines.map((line) => (isTrue(blank) || line !== '' ? indention + line : line))
  const indented = [head, ...rest].join('\n')
  checkSize(indented.length)
  return isTrue(first) ? indention + indented : indented
}

function toJson(value: Value, args: Arguments): Value {
  const given = bind('tojson', args, ['ensure_ascii', 'indent', 'separators', 'sort_keys'])
  const { indent: width = null, separators = null } = given
  const parts = separators === null ? undefined : pairOf(separators)
  checkProduct(typeof width === 'number' ? width : 0, 1024)
  const indention = typeof width === 'string' ? width : ' '.repeat(Math.max(0, intOf(width ?? 0, 'tojson')))
  return printJson(value, {
    ensureAscii: isTrue(given.ensure_ascii ?? false),
    indent: width === null ? undefined : indention,
    separators: parts,
    sortKeys: isTrue(given.sort_keys ?? false),
  })
}

function pairOf(separators: Value): readonly [string, string] {
  const parts = isKind(separators, 'tuple') || isKind(separators, 'list') ? separators.items : []
  if (parts.length !== 2) throw new Error('tojson takes two separators')
  return [textOf(parts[0], 'tojson'), textOf(parts[1], 'tojson')]
}
