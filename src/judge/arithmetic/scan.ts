/** @file Text → tokens of arithmetic: plain text, Markdown and LaTeX alike, in one pass. */

import { fraction } from '../../text/number.ts'
import { COMMANDS, LAYOUTS, MATH_ENDS, MATH_STARTS, TEXT_COMMANDS } from './latex.ts'
import { PAIRS, POWERS, SIGNS } from './signs.ts'
import type { Mark, Token } from './token.ts'
import { GLUED_UNITS, MEASURES, SHORT_WORDS } from './words.ts'

const NUMBER = /(\d{1,3}(?:(?:,|\{,\}|\\,|,\\!)\d{3})+(?!\d)|\d+)(?:\.(\d+))?|\.(\d+)/y
const WORD = /\p{L}+(?:['’-]\p{L}+)*/uy
const SUBSCRIPT = /\s{0,2}_\s{0,2}(?:\{[^{}]{0,40}\}|[\p{L}\p{N}]+)/uy
const PRIMES = /'+(?!\p{L})|\d+/uy
const COMMAND = /\\(?:[a-zA-Z]+\*?|[\s\S])/y
const ARGUMENT = /\s{0,4}\{([^{}]{0,300})\}/y
const DEGREE = /\^\s{0,2}(?:\{\s{0,2}\\circ\s{0,2}\}|\\circ)|°/y
const BULLET = /[-*+•–][ \t]/y
const MAX_DIGITS = 100

/** A text that is read from `at` on, and the tokens found before it. */
interface Cursor {
  readonly text: string
  readonly tokens: Token[]
  at: number
  /** Whether nothing but blanks was read since the last line's end. */
  isLineStart: boolean
  /** Whether letters are variables here: between \\( and \\). */
  isMath: boolean
}

function match(cursor: Cursor, pattern: RegExp): RegExpExecArray | null {
  pattern.lastIndex = cursor.at
  return pattern.exec(cursor.text)
}

function push(cursor: Cursor, mark: Mark, length: number): void {
  const end = cursor.at + length
  cursor.tokens.push({ start: cursor.at, end, ...mark }) // in this order: V8 is ten times slower in the other
  cursor.at = end
}

/** Whether the last token ends where the next one starts. */
function isGlued({ tokens, at }: Cursor): boolean {
  return tokens.at(-1)?.end === at
}

function readNumber(cursor: Cursor): boolean {
  const found = /[\d.]/.test(cursor.text[cursor.at]) ? match(cursor, NUMBER) : null
  if (found === null) return false
  const [text, written = '', after, alone] = found
  const mark: Mark =
    text.length > MAX_DIGITS ? { kind: 'unknown', text } : numberMark(cursor, text, written, after ?? alone ?? '')
  push(cursor, mark, text.length)
  return true
}

/** @param digits Those behind the point. */
function numberMark(cursor: Cursor, text: string, written: string, digits: string): Mark {
  const whole = written.replace(/\D/g, '')
  const value = digits === '' ? fraction(BigInt(whole)) : fraction(BigInt(whole + digits), 10n ** BigInt(digits.length))
  const isNumeral = /^0\d/.test(whole) || (isGlued(cursor) && cursor.tokens.at(-1)?.kind === 'number')
  if (value === null || isNumeral) return { kind: 'unknown', text }
  const zeros = digits === '' && value.num !== 0n ? whole.length - whole.replace(/0+$/, '').length : 0
  return { kind: 'number', text, value, decimals: digits.length, zeros }
}

/** Letters right behind a number: a unit, an ordinal's ending, or variables. */
function gluedMark(text: string): Mark {
  if (text.length === 1) return { kind: 'name', text }
  return GLUED_UNITS.has(text.toLowerCase()) ? { kind: 'word', text: text.toLowerCase() } : { kind: 'unknown', text }
}

/** `x` between two numbers is a cross. */
function isCross({ text, tokens, at }: Cursor): boolean {
  const before = tokens.at(-1)
  if (before === undefined || (before.kind !== 'number' && before.kind !== 'word' && before.text !== ')')) return false
  if (before.kind === 'word' && before.end === at) return false
  return /^[xX]\s*[$(]?\d/.test(text.slice(at, at + 8))
}

function wordMark(cursor: Cursor, text: string): Mark {
  const next = cursor.text[cursor.at + text.length] ?? ' '
  const before = cursor.tokens.at(-1)
  if (isGlued(cursor) && (before?.kind === 'number' || before?.kind === 'unknown')) return gluedMark(text)
  if (text.length === 1) {
    const isArticle = /[aAI]/.test(text) && /^\s\p{L}{2}/u.test(cursor.text.slice(cursor.at + 1, cursor.at + 4))
    return isArticle ? { kind: 'word', text: text.toLowerCase() } : { kind: 'name', text }
  }
  const lower = text.toLowerCase()
  if (/\d/.test(next)) return { kind: 'name', text } // x2 is taken for x and 2, and that is no product
  if (lower === 'sqrt') return { kind: 'command', text: 'sqrt' }
  if (lower === 'pi') return { kind: 'pi', text: 'π' }
  if (lower === 'percent') return { kind: 'operator', text: '%' }
  const isVariables = cursor.isMath || (isGlued(cursor) && before?.kind === 'close') || /^\p{Lu}+$/u.test(text)
  const isWord = MEASURES.has(lower) || (text.length === 2 ? SHORT_WORDS.has(lower) : !isVariables)
  return isWord ? { kind: 'word', text: lower } : { kind: 'name', text }
}

function readWord(cursor: Cursor): boolean {
  const found = match(cursor, WORD)
  if (found === null) return false
  if (
    /^[xX]\d/.test(cursor.text.slice(cursor.at, cursor.at + 2))
      ? isCross(cursor)
      : found[0].length === 1 && isCross(cursor)
  ) {
    push(cursor, { kind: 'operator', text: '*' }, 1)
    return true
  }
  push(cursor, wordMark(cursor, found[0]), found[0].length)
  return true
}

/** A name takes its subscript and primes; a number with a subscript is a numeral of another base. */
function readSubscript(cursor: Cursor): boolean {
  if (!/[\s_'\d]/.test(cursor.text[cursor.at])) return false
  const before = cursor.tokens.at(-1)
  const isPrimed = before?.kind === 'name' && isGlued(cursor)
  const found = match(cursor, SUBSCRIPT) ?? (isPrimed ? match(cursor, PRIMES) : null)
  if (found === null) return false
  const end = cursor.at + found[0].length
  if (before === undefined) {
    push(cursor, { kind: 'unknown', text: found[0] }, found[0].length)
    return true
  }
  const text = cursor.text.slice(before.start, end)
  const isName = before.kind === 'name' || before.kind === 'word'
  cursor.tokens[cursor.tokens.length - 1] = { kind: isName ? 'name' : 'unknown', text, start: before.start, end }
  cursor.at = end
  return true
}

function textMark(content: string): Mark | null {
  const words = content.trim().toLowerCase()
  if (words === '') return null
  return /\p{L}/u.test(words) ? { kind: 'word', text: words } : { kind: 'stop', text: words }
}

/** `\text{…}`, `\begin{…}` and the like, with the length of what they take up; undefined: none of them. */
function argumentMark(cursor: Cursor, name: string, length: number): { mark: Mark | null; length: number } | undefined {
  const isEnvironment = name === 'begin' || name === 'end'
  if (!isEnvironment && !TEXT_COMMANDS.has(name)) return undefined
  ARGUMENT.lastIndex = cursor.at + length
  const argument = ARGUMENT.exec(cursor.text)
  if (argument === null) return { mark: { kind: 'unknown', text: name }, length }
  const isLayout = LAYOUTS.has(argument[1])
  const mark: Mark | null = !isEnvironment
    ? textMark(argument[1])
    : isLayout
      ? { kind: 'stop', text: '\n' }
      : { kind: 'unknown', text: argument[1] }
  return { mark, length: length + argument[0].length }
}

function readCommand(cursor: Cursor): boolean {
  const found = match(cursor, COMMAND)
  if (found === null) return false
  const name = found[0].slice(1)
  if (name === 'boxed' || name === 'bf' || name === 'mathbf') {
    cursor.at += found[0].length
    return true
  }
  if (MATH_STARTS.has(name)) cursor.isMath = true
  if (MATH_ENDS.has(name)) cursor.isMath = false
  const taken = argumentMark(cursor, name, found[0].length)
  const mark = taken === undefined ? COMMANDS.get(name) : taken.mark
  const length = taken?.length ?? found[0].length
  if (mark === null || name.trim() === '') cursor.at += length
  else push(cursor, mark ?? { kind: 'unknown', text: name }, length)
  return true
}

/** `**` is a power between two operands that it touches, else Markdown; a sign at a line's start is a bullet. */
function readStars(cursor: Cursor): boolean {
  const { text, at } = cursor
  if (cursor.isLineStart && match(cursor, BULLET) !== null) {
    push(cursor, { kind: 'stop', text: 'bullet' }, 1)
    return true
  }
  if (!text.startsWith('**', at)) return false
  const isPower = /[\d)]/.test(text[at - 1] ?? '') && /[\d(]/.test(text[at + 2] ?? '')
  if (isPower) push(cursor, { kind: 'operator', text: '^' }, 2)
  else cursor.at += 2
  return true
}

/** `&` beside a relation aligns; elsewhere it separates cells. */
function isAlignment({ text, tokens, at }: Cursor): boolean {
  const before = tokens.at(-1)
  if (before === undefined || before.kind === 'relation' || before.kind === 'stop') return true
  return /^&\s*(?:=|\\approx|\\quad|\\text)/.test(text.slice(at, at + 20))
}

function readSign(cursor: Cursor): void {
  const { text, at } = cursor
  const pair = PAIRS.get(text.slice(at, at + 2))
  const sign = String.fromCodePoint(text.codePointAt(at) ?? 0)
  const digit = POWERS.indexOf(sign)
  if ((sign === '^' || sign === '°') && match(cursor, DEGREE) !== null) {
    push(cursor, { kind: 'word', text: 'degrees' }, match(cursor, DEGREE)?.[0].length ?? 1)
  } else if (digit >= 0) {
    push(cursor, { kind: 'operator', text: '^' }, 0)
    const value = { num: BigInt(digit), den: 1n }
    push(cursor, { kind: 'number', text: sign, value, decimals: 0, zeros: 0 }, 1)
  } else if (pair !== undefined) push(cursor, pair, 2)
  else if (/\s/.test(sign) && sign !== '\n') cursor.at++
  else if (sign === '&' && isAlignment(cursor)) cursor.at++
  else {
    const mark = SIGNS.get(sign)
    if (mark === null) cursor.at += sign.length
    else push(cursor, mark ?? { kind: 'unknown', text: sign }, sign.length)
  }
}

/** The tokens of a text, in order; nothing is thrown, what makes no sense is an unknown token. */
export function scan(text: string): Token[] {
  const cursor: Cursor = { text, tokens: [], at: 0, isLineStart: true, isMath: false }
  while (cursor.at < text.length) {
    const sign = text[cursor.at]
    const isRead =
      (sign === '\\' && readCommand(cursor)) ||
      readSubscript(cursor) ||
      readStars(cursor) ||
      readNumber(cursor) ||
      readWord(cursor)
    if (!isRead) readSign(cursor)
    cursor.isLineStart = sign === '\n' || (cursor.isLineStart && /\s/.test(sign))
  }
  return cursor.tokens
}
