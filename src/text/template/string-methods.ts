/** @file The methods of Python's str that chat templates may call. */
import { checkProduct, checkSize } from './bounds.ts'
import { bind, intOf, optionalText, textOf } from './calls.ts'
import { capitalize, isAlphanumeric, isDigits, isLower, isNumeric, isUpper, swapCase, titleCase } from './letters.ts'
import { print } from './print.ts'
import { sliceBounds } from './slices.ts'
import {
  charactersOf,
  countCharacters,
  joinTexts,
  replace,
  split,
  splitLines,
  strip,
  stripEnd,
  stripStart,
  WHITESPACE,
} from './strings.ts'
import { type Arguments, isKind, itemsOf, list, tuple, type Value } from './values.ts'

type Method = (text: string, args: Arguments) => Value

const ONLY_SPACE = new RegExp(`^[${WHITESPACE}]+$`)

export const STRING_METHODS: ReadonlyMap<string, Method> = new Map<string, Method>([
  ['capitalize', plain(capitalize)],
  [
    'center',
    padded('center', (text, gap, fill) => {
      const width = gap + countCharacters(text)
      const left = Math.floor(gap / 2) + (gap & width & 1) // Python's rounding
      return fill.repeat(left) + text + fill.repeat(gap - left)
    }),
  ],
  [
    'count',
    (text, args) => {
      const { part, inside } = searched('count', text, args)
      if (inside === undefined) return 0
      return part === '' ? countCharacters(inside) + 1 : inside.split(part).length - 1
    },
  ],
  ['endswith', (text, args) => affixes('endswith', args).some((affix) => text.endsWith(affix))],
  ['find', (text, args) => find('find', text, args, false)],
  ['index', (text, args) => found(find('index', text, args, false))],
  ['isalnum', plain(isAlphanumeric)],
  ['isalpha', plain((text) => /^\p{L}+$/u.test(text))],
  ['isascii', plain((text) => /^\p{ASCII}*$/u.test(text))],
  ['isdecimal', plain((text) => /^\p{Nd}+$/u.test(text))],
  ['isdigit', plain(isDigits)],
  ['islower', plain(isLower)],
  ['isnumeric', plain(isNumeric)],
  ['isspace', plain((text) => ONLY_SPACE.test(text))],
  ['isupper', plain(isUpper)],
  [
    'join',
    (text, args) =>
      joinTexts(
        text,
        itemsOf(one('join', args)).map((item) => textOf(item, 'join')),
      ),
  ],
  ['ljust', padded('ljust', (text, gap, fill) => text + fill.repeat(gap))],
  ['lower', plain((text) => text.toLowerCase())],
  ['lstrip', stripping('lstrip', stripStart)],
  ['partition', (text, args) => partition(text, args, false)],
  [
    'removeprefix',
    (text, args) => {
      const prefix = textOf(one('removeprefix', args), 'removeprefix')
      return text.startsWith(prefix) ? text.slice(prefix.length) : text
    },
  ],
  [
    'removesuffix',
    (text, args) => {
      const suffix = textOf(one('removesuffix', args), 'removesuffix')
      return text.endsWith(suffix) ? text.slice(0, text.length - suffix.length) : text
    },
  ],
  [
    'replace',
    (text, args) => {
      const { old, new: replacement, count } = bind('replace', args, ['old', 'new', 'count'])
      return replace(text, textOf(old, 'replace'), textOf(replacement, 'replace'), intOf(count, 'replace', -1))
    },
  ],
  ['rfind', (text, args) => find('rfind', text, args, true)],
  ['rindex', (text, args) => found(find('rindex', text, args, true))],
  ['rjust', padded('rjust', (text, gap, fill) => fill.repeat(gap) + text)],
  ['rpartition', (text, args) => partition(text, args, true)],
  ['rsplit', (text, args) => splitBy('rsplit', text, args, true)],
  ['rstrip', stripping('rstrip', stripEnd)],
  ['split', (text, args) => splitBy('split', text, args, false)],
  [
    'splitlines',
    (text, args) =>
      list(splitLines(text, intOf(bind('splitlines', args, ['keepends']).keepends, 'splitlines', 0) !== 0)),
  ],
  ['startswith', (text, args) => affixes('startswith', args).some((affix) => text.startsWith(affix))],
  ['strip', stripping('strip', strip)],
  ['swapcase', plain(swapCase)],
  ['title', plain(titleCase)],
  ['upper', plain((text) => text.toUpperCase())],
  [
    'zfill',
    padded('zfill', (text, gap) => {
      const sign = /^[+-]/.exec(text)?.[0] ?? ''
      return sign + '0'.repeat(gap) + text.slice(sign.length)
    }),
  ],
])

/** Of Python's str, but not here. */
export const OTHER_STRING_NAMES = new Set(
  'casefold encode expandtabs format format_map isidentifier isprintable istitle maketrans translate'.split(' '),
)

function plain(work: (text: string) => Value): Method {
  return (text, args) => {
    bind('the method', args, [])
    return work(text)
  }
}

function one(method: string, args: Arguments): Value {
  const { value } = bind(method, args, ['value'])
  if (value === undefined) throw new Error(`${method} needs an argument`)
  return value
}

function stripping(method: string, work: (text: string, characters?: string) => string): Method {
  return (text, args) => work(text, optionalText(bind(method, args, ['chars']).chars, method))
}

function padded(method: string, work: (text: string, gap: number, fill: string) => string): Method {
  return (text, args) => {
    const { width, fillchar } = bind(method, args, method === 'zfill' ? ['width'] : ['width', 'fillchar'])
    const fill = textOf(fillchar ?? ' ', method)
    const wanted = intOf(width, method)
    checkSize(wanted)
    if (countCharacters(fill) !== 1) throw new Error(`${method} fills with one character`)
    return work(text, Math.max(0, wanted - countCharacters(text)), fill)
  }
}

/** What startswith and endswith look for. */
function affixes(method: string, args: Arguments): readonly string[] {
  const value = one(method, args)
  return isKind(value, 'tuple') ? value.items.map((item) => textOf(item, method)) : [textOf(value, method)]
}

function splitBy(method: string, text: string, args: Arguments, fromRight: boolean): Value {
  const { sep, maxsplit } = bind(method, args, ['sep', 'maxsplit'])
  return list(split(text, optionalText(sep, method), intOf(maxsplit, method, -1), fromRight))
}

function partition(text: string, args: Arguments, fromRight: boolean): Value {
  const separator = textOf(one('partition', args), 'partition')
  const [first, ...others] = split(text, separator, 1, fromRight)
  if (others.length > 0) return tuple([first, separator, others[0]])
  return tuple(fromRight ? ['', '', text] : [text, '', ''])
}

/** What is looked for, and the part of the text to look in; undefined where it starts behind the end. */
function searched(
  method: string,
  text: string,
  args: Arguments,
): { part: string; inside: string | undefined; offset: number } {
  const { sub, start, end } = bind(method, args, ['sub', 'start', 'end'])
  const part = textOf(sub, method)
  checkProduct(text.length, part.length)
  if (start === undefined && end === undefined) return { part, inside: text, offset: 0 }
  const characters = Array.from(charactersOf(text))
  const from = intOf(start ?? 0, method)
  const [first, stop] = sliceBounds(from, end ?? null, 1, characters.length)
  const inside = from > characters.length || first > stop ? undefined : characters.slice(first, stop).join('')
  return { part, inside, offset: first }
}

/** In code points; -1 where there is none. */
function find(method: string, text: string, args: Arguments, fromRight: boolean): number {
  const { part, inside, offset } = searched(method, text, args)
  if (inside === undefined) return -1
  const at = fromRight ? inside.lastIndexOf(part) : inside.indexOf(part)
  return at < 0 ? -1 : offset + countCharacters(inside.slice(0, at))
}

function found(at: number): number {
  if (at < 0) throw new Error('substring not found')
  return at
}

/** jinja2's join: anything may be joined, as it prints. */
export function joinValues(separator: string, values: readonly Value[]): string {
  checkProduct(separator.length, values.length)
  let size = 0
  const texts = values.map((value) => {
    if (isKind(value, 'markup')) throw new Error('join of texts marked by safe or escape is not supported')
    const text = print(value)
    size += text.length
    checkSize(size)
    return text
  })
  return joinTexts(separator, texts)
}
