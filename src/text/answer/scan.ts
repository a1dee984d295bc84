/** @file A final answer → its marks: LaTeX, Markdown and plain text alike, without its spaces and looks. */
import { type Fraction, fraction } from '../number.ts'
import { COMMANDS, MATH_WORDS, type Mark, SIGNS } from './signs.ts'
import { isUnit } from './units.ts'

/** What is read from `at` on, and the marks found before it. */
interface Cursor {
  readonly text: string
  /** Whether letters are prose: in `\text{…}`. */
  readonly isProse: boolean
  readonly marks: Mark[]
  at: number
  /** Open brackets other than the braces of LaTeX; in them a comma parts items. */
  depth: number
}

/** Digits, grouped by what separates nothing else (`{,}`, `\!`, `\,`), or by commas too. */
const IN_BRACKETS = /(?:\d{1,3}(?:(?:,\\!\s?|\{,\}|\\,|\\!)\d{3})+(?!\d)|\d+)(?:\.\d+|\.(?=\\overline))?|\.\d+/y
const OUTSIDE = /(?:\d{1,3}(?:(?:,\\!\s?|\{,\}|\\,|\\!|,)\d{3})+(?!\d)|\d+)(?:\.\d+|\.(?=\\overline))?|\.\d+/y
const EXPONENT = /[eE]([+-]?\d{1,3})(?![\d.])/y
const PERIOD = /\\overline\s?\{(\d{1,60})\}/y
/** The ending of an ordinal number. */
const ORDINAL = /(?:st|nd|rd|th)\b|\s?\^\s?\{?\s?(?:\\(?:text|mathrm|textrm)\s?\{)?\s?(?:st|nd|rd|th)\s?\}{0,2}/y
const DEGREE = /\^\s?(?:\{\s?\\circ\s?\}|\\circ(?![a-zA-Z]))|\^\s?\{?°\}?/y
const SUBSCRIPT = /\s?_\s?(?:\{([^{}]{0,40})\}|(\d+|\p{L}))|('+)/uy
const PROSE = /\\(?:text|textbf|textit|textrm|textsf|textnormal|mathrm|mbox|operatorname)\s?\{([^{}]*)\}/y
const ENVIRONMENT = /\\(begin|end)\s?\{([a-zA-Z]{1,20})\*?\}(?:\s?\{[clr| ]*\})?/y
const COMMAND = /\\([a-zA-Z]+|[\s\S])/y
const LETTERS = /\p{L}+/uy
const DOLLAR = /(?<!\\)\$/g
/** Before a run of letters, or behind it: what makes a product of variables of it. */
const TOUCHES_BEFORE = /(?:[\d{]|[-+*/^=()<>|}]\s?)$/
const TOUCHES_AFTER = /^(?:\}|\s?[-+*/^_=(<>|])/
const BEHIND_NUMBER = /\d\s$/

const POWERS = '⁰¹²³⁴⁵⁶⁷⁸⁹'
const SCALES: ReadonlyMap<string, bigint> = new Map([
  ['hundred', 100n],
  ['thousand', 1000n],
  ['million', 1_000_000n],
  ['billion', 1_000_000_000n],
])

function match(cursor: Cursor, pattern: RegExp): RegExpExecArray | null {
  pattern.lastIndex = cursor.at
  const found = pattern.exec(cursor.text)
  if (found !== null) cursor.at = pattern.lastIndex
  return found
}

function push(cursor: Cursor, ...marks: readonly Mark[]): void {
  for (const mark of marks) {
    if (mark.kind === 'open' && mark.text !== '{') cursor.depth++
    if (mark.kind === 'close' && mark.text !== '}') cursor.depth--
    cursor.marks.push(mark)
  }
}

/** The value of digits with `period` repeated for ever behind them. */
function numberOf(digits: string, period: string, exponent: number): Fraction | null {
  const [whole, decimals = ''] = digits.split('.')
  const scale = 10n ** BigInt(decimals.length)
  const shift = 10n ** BigInt(Math.abs(exponent))
  const nines = period === '' ? 1n : 10n ** BigInt(period.length) - 1n
  const num = BigInt(whole + decimals) * nines + BigInt(period)
  return exponent < 0 ? fraction(num, nines * scale * shift) : fraction(num * shift, nines * scale)
}

function readNumber(cursor: Cursor): boolean {
  const found = match(cursor, cursor.depth > 0 ? IN_BRACKETS : OUTSIDE)
  if (found === null) return false
  const digits = found[0].replace(/[^\d.]/g, '')
  const period = digits.includes('.') ? (match(cursor, PERIOD)?.[1] ?? '') : ''
  const exponent = Number(match(cursor, EXPONENT)?.[1] ?? 0)
  match(cursor, ORDINAL)
  const value = numberOf(digits, period, exponent)
  const text = `${digits}${period === '' ? '' : `(${period})`}${exponent === 0 ? '' : `e${exponent}`}`
  push(cursor, value === null ? { kind: 'word', text } : { kind: 'number', text, value })
  return true
}

/** A name takes its subscript; that of a number is its base, a kind of unit; that of `log` is for later. */
function readSubscript(cursor: Cursor): boolean {
  const before = cursor.marks.at(-1)
  if (before?.kind !== 'name' && before?.kind !== 'number') return false
  const found = match(cursor, SUBSCRIPT)
  if (found === null) return false
  const text = `_${(found[1] ?? found[2] ?? found[3]).replace(/\s/g, '')}`
  if (before.kind === 'number') push(cursor, { kind: 'word', text })
  else cursor.marks[cursor.marks.length - 1] = { kind: 'name', text: before.text + text }
  return true
}

function readDegree(cursor: Cursor): boolean {
  const isRead = match(cursor, DEGREE) !== null
  if (isRead) push(cursor, { kind: 'word', text: '°' })
  return isRead
}

/** Whether letters are variables side by side: "2xy", "ab + c", "2 ab"; not "12 men", "12 cm", "AB". */
function isProduct(cursor: Cursor, start: number, letters: string): boolean {
  if (letters.length === 1) return true
  if (letters.length > 3 || isUnit(letters.toLowerCase())) return false
  const before = cursor.text.slice(Math.max(0, start - 2), start)
  if (TOUCHES_BEFORE.test(before) || TOUCHES_AFTER.test(cursor.text.slice(cursor.at, cursor.at + 2))) return true
  return BEHIND_NUMBER.test(before) && (letters.length === 2 || !/[aeiou]/.test(letters))
}

function readLetters(cursor: Cursor): boolean {
  const start = cursor.at
  const found = match(cursor, LETTERS)
  if (found === null) return false
  const word = found[0].toLowerCase()
  const scale = SCALES.get(word)
  if (scale !== undefined && cursor.marks.at(-1)?.kind === 'number') {
    const value = { num: scale, den: 1n }
    push(cursor, { kind: 'operator', text: '*' }, { kind: 'number', text: String(scale), value })
    return true
  }
  const marks = MATH_WORDS.get(word)
  if (marks !== undefined) push(cursor, ...marks)
  else if (cursor.isProse || !isProduct(cursor, start, found[0])) push(cursor, { kind: 'word', text: word })
  else push(cursor, ...[...found[0]].map((text) => ({ kind: 'name', text }) as const))
  return true
}

function readProse(cursor: Cursor): boolean {
  const found = match(cursor, PROSE)
  if (found === null) return false
  push(cursor, ...scanAs(found[1], true))
  return true
}

/** Matrices are alike whatever their brackets, but for the bars of a determinant. */
function readEnvironment(cursor: Cursor): boolean {
  const found = match(cursor, ENVIRONMENT)
  if (found === null) return false
  const text = /^[pbB]?matrix$|^smallmatrix$|^array$/.test(found[2]) ? 'matrix' : found[2]
  push(cursor, { kind: found[1] === 'begin' ? 'open' : 'close', text })
  return true
}

function readCommand(cursor: Cursor): boolean {
  const found = match(cursor, COMMAND)
  if (found === null) return false
  const name = found[1]
  if (/^(?:left|right)$/.test(name) && cursor.text[cursor.at] === '.') cursor.at++
  if (name.trim() !== '') push(cursor, ...(COMMANDS.get(name) ?? [{ kind: 'name', text: `\\${name}` }]))
  return true
}

function readSign(cursor: Cursor): true {
  const sign = String.fromCodePoint(cursor.text.codePointAt(cursor.at) ?? 0)
  cursor.at += sign.length
  const power = POWERS.indexOf(sign)
  if (power >= 0) {
    const value = { num: BigInt(power), den: 1n }
    push(cursor, { kind: 'operator', text: '^' }, { kind: 'number', text: String(power), value })
  } else if (sign === '*' && cursor.text[cursor.at] === '*') {
    cursor.at++
    push(cursor, { kind: 'operator', text: '^' })
  } else if (sign.trim() !== '') push(cursor, ...(SIGNS.get(sign) ?? [{ kind: 'word', text: sign }]))
  return true
}

/** Each reads what stands at the cursor, or says that it is none of its own. */
const READERS: readonly ((cursor: Cursor) => boolean)[] = [
  readSubscript,
  readDegree,
  readNumber,
  readProse,
  readEnvironment,
  readCommand,
  readLetters,
  readSign,
]

function scanAs(text: string, isProse: boolean): Mark[] {
  const cursor: Cursor = { text, isProse, marks: [], at: 0, depth: 0 }
  while (cursor.at < text.length) READERS.some((read) => read(cursor))
  return cursor.marks
}

/**
 * The marks of an answer, in order; nothing is thrown, what makes no sense is a word. Dollar signs are money where
 * their number is odd, else they enclose mathematics.
 */
export function scan(text: string): Mark[] {
  const isMoney = (text.match(DOLLAR)?.length ?? 0) % 2 === 1
  return scanAs(text.replace(DOLLAR, isMoney ? '\\$' : ' ').replaceAll('...', '…'), false)
}
