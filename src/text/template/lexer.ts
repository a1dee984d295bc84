/**
 * @file The words of a template, as jinja2's lexer finds them with trim_blocks and lstrip_blocks: which white space
 * belongs to the text is decided here.
 */
import { unescapeString } from './escapes.ts'
import { stripEnd, WHITESPACE } from './strings.ts'

export type TokenType = 'data' | 'open' | 'close' | 'name' | 'string' | 'integer' | 'float' | 'operator' | 'end'

/** `open` and `close` have the value `{{`, `{%`, `}}` or `%}`. */
export interface Token {
  readonly type: TokenType
  readonly value: string
}

const S = `[${WHITESPACE}]*`
const BEGIN = new RegExp(`\\{%(?<raw>[-+]?)${S}raw${S}(?:-%\\}${S}|%\\})|(?<open>\\{[%{#])(?<sign>[-+]?)`, 'g')
const END_RAW = new RegExp(`\\{%(?<sign>[-+]?)${S}endraw${S}(?:\\+%\\}|-%\\}${S}|%\\}\\n?)`, 'g')
const END_COMMENT = new RegExp(`\\+#\\}|-#\\}${S}|#\\}\\n?`, 'g')
const CLOSE: Readonly<Record<string, RegExp>> = {
  '{%': new RegExp(`\\+%\\}|-%\\}${S}|%\\}\\n?`, 'y'),
  '{{': new RegExp(`-\\}\\}${S}|\\}\\}`, 'y'),
}
const SPACE = new RegExp(`[${WHITESPACE}]+`, 'y')
const ONLY_SPACE = new RegExp(`^[${WHITESPACE}]+$`)
const DIGITS = '(?:\\d+_)*\\d+'
const WORDS: readonly (readonly [TokenType, RegExp])[] = [
  ['float', new RegExp(`(?<!\\.)${DIGITS}(?:(?:\\.${DIGITS})?e[+-]?${DIGITS}|\\.${DIGITS})`, 'iy')],
  ['integer', /0b(?:_?[01])+|0o(?:_?[0-7])+|0x(?:_?[\da-f])+|[1-9](?:_?\d)*|0(?:_?0)*/iy],
  ['name', /[\p{L}\p{N}\p{M}_]+/uy],
  ['string', /'[^'\\]*(?:\\[\s\S][^'\\]*)*'|"[^"\\]*(?:\\[\s\S][^"\\]*)*"/y],
  ['operator', /\/\/|\*\*|==|!=|>=|<=|[-+/*%~[\](){}<>=.:|,;]/y],
]
const OPENING: Readonly<Record<string, string>> = { '(': ')', '[': ']', '{': '}' }

interface Reader {
  readonly text: string
  readonly tokens: Token[]
  position: number
  /** Whether the text so far ends a line, so that what comes next may be taken off as indentation. */
  lineStarts: boolean
}

/**
 * All tokens of a template.
 * @throws Error for what jinja2 cannot read either.
 */
export function lex(source: string): Token[] {
  const text = source.replace(/\r\n?/g, '\n').replace(/\n$/, '')
  const reader: Reader = { text, tokens: [], position: 0, lineStarts: true }
  for (let found = find(BEGIN, reader); found !== null; found = find(BEGIN, reader)) {
    const { raw, open = '', sign = '' } = found.groups ?? {}
    addData(reader, found, raw ?? sign, open === '{{')
    if (raw !== undefined) skipRaw(reader)
    else if (open === '{#') skipComment(reader)
    else lexCode(reader, open)
  }
  if (reader.position < text.length) reader.tokens.push({ type: 'data', value: text.slice(reader.position) })
  reader.tokens.push({ type: 'end', value: '' })
  return reader.tokens
}

function find(pattern: RegExp, { text, position }: Reader): RegExpExecArray | null {
  pattern.lastIndex = position
  return pattern.exec(text)
}

/** Adds the text before a tag, less what the tag takes off it, and goes behind the tag. */
function addData(reader: Reader, tag: RegExpExecArray, sign: string, keepsIndent: boolean): void {
  let value = reader.text.slice(reader.position, tag.index)
  const lineStart = value.lastIndexOf('\n') + 1
  if (sign === '-') value = stripEnd(value)
  else if (sign !== '+' && !keepsIndent && (lineStart > 0 || reader.lineStarts)) {
    if (ONLY_SPACE.test(value.slice(lineStart))) value = value.slice(0, lineStart)
  }
  if (value !== '') reader.tokens.push({ type: 'data', value })
  goBehind(reader, tag)
}

function goBehind(reader: Reader, found: RegExpExecArray): void {
  reader.position = found.index + found[0].length
  reader.lineStarts = found[0].endsWith('\n')
}

function skipRaw(reader: Reader): void {
  const end = find(END_RAW, reader)
  if (end === null) throw new Error('missing end of raw block')
  addData(reader, end, end.groups?.sign ?? '', false)
}

function skipComment(reader: Reader): void {
  const end = find(END_COMMENT, reader)
  if (end === null) throw new Error('missing end of comment tag')
  goBehind(reader, end)
}

function lexCode(reader: Reader, open: string): void {
  reader.tokens.push({ type: 'open', value: open })
  const brackets: string[] = []
  while (reader.position < reader.text.length) {
    const close = brackets.length === 0 ? find(CLOSE[open], reader) : null
    if (close !== null) {
      reader.tokens.push({ type: 'close', value: open === '{{' ? '}}' : '%}' })
      goBehind(reader, close)
      return
    }
    const space = find(SPACE, reader)
    if (space !== null) goBehind(reader, space)
    else lexWord(reader, brackets)
  }
  throw new Error(`'${open}' is never closed`)
}

function lexWord(reader: Reader, brackets: string[]): void {
  for (const [type, pattern] of WORDS) {
    const found = find(pattern, reader)
    if (found === null) continue
    goBehind(reader, found)
    const [word] = found
    if (type === 'name' && /^\p{N}/u.test(word)) throw new Error(`invalid name '${word.slice(0, 40)}'`)
    if (type === 'operator') matchBrackets(word, brackets)
    reader.tokens.push({ type, value: type === 'string' ? unescapeString(word.slice(1, -1)) : word })
    return
  }
  throw new Error(`unexpected character '${String.fromCodePoint(reader.text.codePointAt(reader.position) ?? 0)}'`)
}

function matchBrackets(word: string, brackets: string[]): void {
  if (Object.hasOwn(OPENING, word)) brackets.push(OPENING[word])
  else if (')]}'.includes(word) && brackets.pop() !== word) throw new Error(`unexpected '${word}'`)
}
