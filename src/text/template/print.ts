/** @file Values as Python prints them: str(), repr(), and the JSON of json.dumps. */
import { checkProduct, checkSize } from './bounds.ts'
import { compareTexts } from './strings.ts'
import { isKind, kindOf, type Value } from './values.ts'

/** Python's str(). @throws Error for values that print as an address, and for texts that are too large. */
export function print(value: Value): string {
  if (typeof value === 'string') return value
  if (isKind(value, 'undefined')) return ''
  if (isKind(value, 'markup')) return value.text
  return represent(value)
}

/** Python's repr(). */
export function represent(root: Value): string {
  const parts: string[] = []
  let size = 0
  const write = (text: string): void => {
    size += text.length
    checkSize(size)
    parts.push(text)
  }
  writeValue(root, write)
  return parts.join('')
}

type Write = (text: string) => void

function writeValue(value: Value, write: Write): void {
  if (typeof value === 'string') write(quote(value))
  else if (value === null) write('None')
  else if (typeof value === 'boolean') write(value ? 'True' : 'False')
  else if (typeof value === 'number') write(String(value))
  else if (value.kind === 'float') write(printFloat(value.value))
  else if (value.kind === 'undefined') write('Undefined')
  else if (value.kind === 'list') writeItems('[', value.items, ']', write)
  else if (value.kind === 'tuple') writeItems('(', value.items, value.items.length === 1 ? ',)' : ')', write)
  else if (value.kind === 'range') {
    const [start, stop, step] = value.bounds
    write(`range(${start}, ${stop}${step === 1 ? '' : `, ${step}`})`)
  } else if (value.kind === 'view') writeItems(`${value.name}([`, value.items, '])', write)
  else if (value.kind === 'dict') {
    write('{')
    let separator = ''
    for (const [key, item] of value.entries.values()) {
      write(separator)
      writeValue(key, write)
      write(': ')
      writeValue(item, write)
      separator = ', '
    }
    write('}')
  } else throw new Error(`printing a ${value.kind} is not supported`)
}

function writeItems(open: string, items: readonly Value[], close: string, write: Write): void {
  write(open)
  items.forEach((item, i) => {
    if (i > 0) write(', ')
    writeValue(item, write)
  })
  write(close)
}

/** Of a float: the shortest digits, with an exponent where Python writes one. */
export function printFloat(value: number): string {
  if (Number.isNaN(value)) return 'nan'
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf'
  const [digits, exponentText] = value.toExponential().split('e')
  const exponent = Number(exponentText)
  if (exponent < -4 || exponent >= 16) {
    const sign = exponent < 0 ? '-' : '+'
    return `${digits}e${sign}${String(Math.abs(exponent)).padStart(2, '0')}`
  }
  const text = exponent < 0 ? withoutExponent(value) : String(value)
  const signed = Object.is(value, -0) ? '-0' : text
  return signed.includes('.') ? signed : `${signed}.0`
}

function withoutExponent(value: number): string {
  const [digits, exponent] = Math.abs(value).toExponential().split('e')
  const zeros = '0'.repeat(-Number(exponent) - 1)
  return `${value < 0 ? '-' : ''}0.${zeros}${digits.replace('.', '')}`
}

const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['\\', '\\\\'],
  ['\n', '\\n'],
  ['\r', '\\r'],
  ['\t', '\\t'],
])

/** A text in quotes. What cannot be seen is escaped: Python's str.isprintable. */
function quote(text: string): string {
  const mark = text.includes("'") && !text.includes('"') ? '"' : "'"
  const inner = text.replace(/[\\'"\p{C}\p{Z}]/gu, (character) => {
    if (character === ' ') return character
    if (character === "'" || character === '"') return character === mark ? `\\${mark}` : character
    return ESCAPES.get(character) ?? escapeCode(character.codePointAt(0) ?? 0)
  })
  return mark + inner + mark
}

function escapeCode(code: number): string {
  const hex = code.toString(16)
  if (code <= 0xff) return `\\x${hex.padStart(2, '0')}`
  return code <= 0xffff ? `\\u${hex.padStart(4, '0')}` : `\\U${hex.padStart(8, '0')}`
}

export interface JsonOptions {
  readonly ensureAscii: boolean
  /** What a level is indented by; undefined for JSON on one line. */
  readonly indent: string | undefined
  readonly separators: readonly [item: string, key: string] | undefined
  readonly sortKeys: boolean
}

/** Python's json.dumps. @throws Error for what JSON does not have, such as a value that is not defined. */
export function printJson(root: Value, options: JsonOptions): string {
  const { indent } = options
  const [itemSeparator, keySeparator] = options.separators ?? [indent === undefined ? ', ' : ',', ': ']
  const parts: string[] = []
  let size = 0
  const write = (text: string): void => {
    size += text.length
    checkProduct(parts.length + 1, indent?.length ?? 0)
    checkSize(size)
    parts.push(text)
  }
  const newLine = (depth: number): void => {
    if (indent !== undefined) write(`\n${indent.repeat(depth)}`)
  }
  const writeAll = <T>(brackets: string, items: readonly T[], depth: number, writeItem: (item: T) => void): void => {
    write(brackets[0])
    items.forEach((item, i) => {
      if (i > 0) write(itemSeparator)
      newLine(depth + 1)
      writeItem(item)
    })
    if (items.length > 0) newLine(depth)
    write(brackets[1])
  }
  const writeJson = (value: Value, depth: number): void => {
    if (isKind(value, 'list') || isKind(value, 'tuple')) {
      writeAll('[]', value.items, depth, (item) => writeJson(item, depth + 1))
    } else if (isKind(value, 'dict')) {
      const entries = [...value.entries.values()]
      if (options.sortKeys) entries.sort(([a], [b]) => compareTexts(textKey(a), textKey(b)))
      writeAll('{}', entries, depth, ([key, item]) => {
        write(`${quoteJson(jsonKey(key), options.ensureAscii)}${keySeparator}`)
        writeJson(item, depth + 1)
      })
    } else write(typeof value === 'string' ? quoteJson(value, options.ensureAscii) : jsonScalar(value))
  }
  checkProduct(indent?.length ?? 0, 1024)
  writeJson(root, 0)
  return parts.join('')
}

function jsonScalar(value: Value): string {
  if (value === null) return 'null'
  if (typeof value === 'boolean' || typeof value === 'number') return String(value)
  if (!isKind(value, 'float')) throw new Error(`a value of type ${kindOf(value)} has no JSON`)
  if (Number.isFinite(value.value)) return printFloat(value.value)
  return Number.isNaN(value.value) ? 'NaN' : `${value.value < 0 ? '-' : ''}Infinity`
}

function jsonKey(key: Value): string {
  return typeof key === 'string' ? key : jsonScalar(key)
}

function textKey(key: Value): string {
  if (typeof key === 'string') return key
  throw new Error('tojson(sort_keys) is supported for keys that are texts')
}

function quoteJson(text: string, ensureAscii: boolean): string {
  // Unlike JSON.stringify, json.dumps leaves halves of surrogate pairs as they are.
  const quoted = text.replace(/["\\]|[^\P{Cc}\x7f-\x9f]/gu, (character) => JSON.stringify(character).slice(1, -1))
  if (!ensureAscii) return `"${quoted}"`
  return `"${quoted.replace(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)}"`
}
