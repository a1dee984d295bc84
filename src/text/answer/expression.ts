/** @file Marks of one number or formula → a function that works it out. */
import * as numbers from '../number.ts'
import { toNumber, type Value } from '../number.ts'
import { FUNCTIONS, type Mark } from './signs.ts'

/** What variables stand for. */
export type Point = ReadonlyMap<string, numbers.Fraction>

/** The value at a point, null where there is none or it is too large. */
export type Expression = (point: Point) => Value | null

interface Reader {
  /** A number behind `\frac` is taken digit by digit: `\frac12`. */
  readonly marks: Mark[]
  at: number
  /** Whether ± is +. */
  readonly isPlus: boolean
  /** Bars that are open: the next one closes. */
  bars: number
  /** How many functions are around: in them degrees are turned into radians. */
  functions: number
  isBroken: boolean
}

const CLOSING: ReadonlyMap<string, string> = new Map([
  ['(', ')'],
  ['[', ']'],
  ['{', '}'],
])
const CONSTANTS: ReadonlyMap<string, number> = new Map([
  ['π', Math.PI],
  ['e', Math.E],
])
const HALF_TURN = { num: 180n, den: 1n }
const TWO = constant({ num: 2n, den: 1n })

function constant(value: Value): Expression {
  return () => value
}

function combine(operation: (a: Value, b: Value) => Value | null, left: Expression, right: Expression): Expression {
  return (point) => {
    const a = left(point)
    const b = a === null ? null : right(point)
    return a === null || b === null ? null : operation(a, b)
  }
}

function apply(operation: (a: Value) => Value | null, of: Expression): Expression {
  return (point) => {
    const a = of(point)
    return a === null ? null : operation(a)
  }
}

/** A function of floats. */
function real(compute: (x: number) => number): (a: Value) => Value | null {
  return (a) => {
    const y = compute(toNumber(a))
    return Number.isFinite(y) ? y : null
  }
}

function absolute(a: Value): Value {
  return toNumber(a) < 0 ? numbers.negate(a) : a
}

/** Ends reading: the marks are no expression. */
function fail(reader: Reader): Expression {
  reader.isBroken = true
  reader.at = reader.marks.length
  return () => null
}

function peek(reader: Reader): Mark | undefined {
  return reader.marks[reader.at]
}

/** Whether the next mark is an operator among `signs`, which is then passed. */
function take(reader: Reader, signs: string): string | null {
  const mark = peek(reader)
  if (mark?.kind !== 'operator' || !signs.includes(mark.text)) return null
  reader.at++
  return mark.text
}

function readGroup(reader: Reader): Expression {
  const open = peek(reader)
  const closing = open?.kind === 'open' ? CLOSING.get(open.text) : undefined
  if (closing === undefined) return fail(reader)
  reader.at++
  const bars = reader.bars
  reader.bars = 0
  const inner = readSum(reader)
  reader.bars = bars
  const close = peek(reader)
  if (close?.kind !== 'close' || close.text !== closing) return fail(reader)
  reader.at++
  return inner
}

function readAbsolute(reader: Reader): Expression {
  reader.at++
  reader.bars++
  const inner = readSum(reader)
  reader.bars--
  if (peek(reader)?.kind !== 'bar') return fail(reader)
  reader.at++
  return apply(absolute, inner)
}

/** What `\frac` takes: a group, or one digit, letter or command. */
function readArgument(reader: Reader): Expression {
  const mark = peek(reader)
  if (mark?.kind !== 'number' || !/^\d{2,}$/.test(mark.text)) return readPrimary(reader)
  const rest = mark.text.slice(1)
  reader.marks[reader.at] = { kind: 'number', text: rest, value: { num: BigInt(rest), den: 1n } }
  return constant({ num: BigInt(mark.text[0]), den: 1n })
}

function readCommand(reader: Reader, command: 'frac' | 'sqrt' | 'binom'): Expression {
  reader.at++
  if (command === 'sqrt') {
    const mark = peek(reader)
    const degree = mark?.kind === 'open' && mark.text === '[' ? readGroup(reader) : TWO
    return combine(numbers.root, readPrimary(reader), degree)
  }
  const left = readArgument(reader)
  const right = readArgument(reader)
  return combine(command === 'frac' ? numbers.divide : numbers.binomial, left, right)
}

function isWhole(mark: Mark | undefined): mark is Mark & { kind: 'number' } {
  return mark?.kind === 'number' && /^\d+$/.test(mark.text)
}

/** Whether `\frac` and two whole numbers stand at `at`: `\frac12`, `\frac{1}2`. Nothing is read twice. */
function isPlainFraction(marks: readonly Mark[], at: number): boolean {
  if (marks[at]?.text !== 'frac') return false
  const lengthAt = (from: number): number => {
    if (isWhole(marks[from])) return 1
    return marks[from]?.text === '{' && isWhole(marks[from + 1]) && marks[from + 2]?.text === '}' ? 3 : 0
  }
  if (/^\d\d$/.test(marks[at + 1]?.text ?? '')) return true
  const above = lengthAt(at + 1)
  return above > 0 && lengthAt(at + 1 + above) > 0
}

/** The fraction behind a whole number, which makes a mixed number; null where there is none. */
function readPart(reader: Reader): Expression | null {
  const [first, slash, last] = reader.marks.slice(reader.at, reader.at + 3)
  if (isWhole(first) && slash?.text === '/' && isWhole(last)) {
    reader.at += 3
    return combine(numbers.divide, constant(first.value), constant(last.value))
  }
  return isPlainFraction(reader.marks, reader.at) ? readCommand(reader, 'frac') : null
}

/** A number, with the fraction behind it. */
function readNumber(reader: Reader, value: numbers.Fraction): Expression {
  const whole = peek(reader)
  reader.at++
  const part = isWhole(whole) ? readPart(reader) : null
  return part === null ? constant(value) : combine(numbers.add, constant(value), part)
}

function readName(reader: Reader, name: string): Expression {
  reader.at++
  const value = CONSTANTS.get(name)
  return value === undefined ? (point) => point.get(name) ?? null : constant(value)
}

/** A logarithm takes its base behind _, any function a power before its argument; "sin 2x" is that of the product. */
function readFunction(reader: Reader, name: string): Expression {
  reader.at++
  const base = take(reader, '_') === null ? null : readPrimary(reader)
  const exponent = take(reader, '^') === null ? null : readExponent(reader)
  reader.functions++
  let of = peek(reader)?.kind === 'open' ? readPrimary(reader) : readPower(reader)
  while (startsFactor(reader) && !['open', 'function'].includes(peek(reader)?.kind ?? '')) {
    of = combine(numbers.multiply, of, readPower(reader))
  }
  reader.functions--
  const compute = FUNCTIONS.get(name) ?? (() => Number.NaN)
  const value = apply(real(compute), of)
  const scaled = base === null ? value : combine(numbers.divide, value, apply(real(compute), base))
  return exponent === null ? scaled : combine(numbers.power, scaled, exponent)
}

function readPrimary(reader: Reader): Expression {
  const mark = peek(reader)
  switch (mark?.kind) {
    case 'number':
      return readNumber(reader, mark.value)
    case 'name':
      return readName(reader, mark.text)
    case 'function':
      return readFunction(reader, mark.text)
    case 'command':
      return readCommand(reader, mark.text)
    case 'bar':
      return readAbsolute(reader)
    default:
      return readGroup(reader)
  }
}

function readPostfix(reader: Reader): Expression {
  let of = readPrimary(reader)
  while (take(reader, '!') !== null) of = apply(numbers.factorial, of)
  if (peek(reader)?.text !== '°') return of
  reader.at++
  if (reader.functions === 0) return of
  return combine(numbers.divide, combine(numbers.multiply, of, constant(Math.PI)), constant(HALF_TURN))
}

function readExponent(reader: Reader): Expression {
  return take(reader, '-') === null ? readPower(reader) : apply(numbers.negate, readPower(reader))
}

function readPower(reader: Reader): Expression {
  const base = readPostfix(reader)
  if (take(reader, '^') === null) return base
  return combine(numbers.power, base, readExponent(reader))
}

/** Whether the next mark can follow an operand without a sign between them. */
function startsFactor(reader: Reader): boolean {
  const mark = peek(reader)
  if (mark === undefined) return false
  return ['name', 'open', 'command', 'function'].includes(mark.kind) || (mark.kind === 'bar' && reader.bars === 0)
}

function isMinus(reader: Reader, sign: string): boolean {
  return sign === '-' || sign === (reader.isPlus ? '∓' : '±')
}

function readSigned(reader: Reader): Expression {
  const sign = take(reader, '+-±∓')
  if (sign === null) return readPower(reader)
  const of = readSigned(reader)
  return isMinus(reader, sign) ? apply(numbers.negate, of) : of
}

function readTerm(reader: Reader): Expression {
  let left = readSigned(reader)
  for (;;) {
    const sign = take(reader, '*/')
    if (sign === null && !startsFactor(reader)) return left
    const right = sign === null ? readPower(reader) : readSigned(reader)
    left = combine(sign === '/' ? numbers.divide : numbers.multiply, left, right)
  }
}

function readSum(reader: Reader): Expression {
  let left = readTerm(reader)
  for (;;) {
    const sign = take(reader, '+-±∓')
    if (sign === null) return left
    const right = readTerm(reader)
    left = combine(numbers.add, left, isMinus(reader, sign) ? apply(numbers.negate, right) : right)
  }
}

/** The expression that all of the marks are, ± read as + or as −; null where they are none. Recurs per mark. */
export function readExpression(marks: readonly Mark[], isPlus = true): Expression | null {
  const reader: Reader = { marks: [...marks], at: 0, isPlus, bars: 0, functions: 0, isBroken: false }
  const expression = readSum(reader)
  return reader.isBroken || reader.at < reader.marks.length ? null : expression
}
