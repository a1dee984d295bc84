/** @file The operators of Python, with its types: what it refuses is refused, and the rest gives its result. */
import { checkProduct, checkSize } from './bounds.ts'
import { formatPercent } from './format.ts'
import { compareTexts } from './strings.ts'
import type { BinaryOperator, Comparison } from './syntax.ts'
import {
  float,
  integer,
  isEqual,
  isKind,
  isSequence,
  itemsOf,
  keyOf,
  kindOf,
  numberOf,
  type Sequence,
  type Value,
} from './values.ts'

type Arithmetic = (left: number, right: number) => number

const ARITHMETIC: { readonly [O in BinaryOperator]: Arithmetic } = {
  '+': (a, b) => a + b,
  '-': (a, b) => a - b,
  '*': (a, b) => a * b,
  '/': (a, b) => a / nonZero(b),
  '//': (a, b) => Math.floor(a / nonZero(b)),
  '%': (a, b) => modulo(a, nonZero(b)),
  '**': (a, b) => a ** b,
}

function nonZero(divisor: number): number {
  if (divisor === 0) throw new Error('division by zero')
  return divisor
}

/** With the sign of the divisor. */
function modulo(a: number, b: number): number {
  const rest = a % b
  return rest !== 0 && rest < 0 !== b < 0 ? rest + b : rest
}

/** `left operator right`. @throws Error for types that Python refuses, and for results that are too large. */
export function applyBinary(operator: BinaryOperator, left: Value, right: Value): Value {
  const [a, b] = [numberOf(left), numberOf(right)]
  if (a !== undefined && b !== undefined) {
    const isFloat = isKind(left, 'float') || isKind(right, 'float')
    return calculate(operator, a, b, isFloat)
  }
  if (operator === '+') {
    if (typeof left === 'string' && typeof right === 'string') return left + right
    if (isSequence(left) && isSequence(right) && left.kind === right.kind) {
      return { kind: left.kind, items: [...left.items, ...right.items] }
    }
  }
  if (operator === '*') {
    if (isInt(right) && (typeof left === 'string' || isSequence(left))) return repeat(left, Number(right))
    if (isInt(left) && (typeof right === 'string' || isSequence(right))) return repeat(right, Number(left))
  }
  if (operator === '%' && typeof left === 'string') return formatPercent(left, right)
  throw new Error(`unsupported operand types for ${operator}: ${kindOf(left)} and ${kindOf(right)}`)
}

function isInt(value: Value): value is number | boolean {
  return typeof value === 'number' || typeof value === 'boolean'
}

function calculate(operator: BinaryOperator, a: number, b: number, isFloat: boolean): Value {
  const result = ARITHMETIC[operator](a, b)
  if (!isFloat && operator !== '/' && !(operator === '**' && b < 0)) {
    if (operator === '//') return integer((a - modulo(a, b)) / b)
    return integer(result)
  }
  // Python has errors or complex numbers here.
  if (!Number.isFinite(result) && Number.isFinite(a) && Number.isFinite(b)) throw new Error(`no result of ${operator}`)
  return float(operator === '//' ? Math.floor((a - modulo(a, b)) / b) : result)
}

function repeat(value: string | Sequence, times: number): Value {
  const count = Math.max(0, times)
  if (typeof value === 'string') {
    checkSize(value.length * count)
    return value.repeat(count)
  }
  const { kind, items } = value
  const length = items.length * count
  checkSize(length)
  const repeated: Value[] = []
  for (let at = 0; at < length; at++) repeated.push(items[at % items.length])
  return { kind, items: repeated }
}

/** `-value` and `+value`. */
export function applySign(sign: '+' | '-', value: Value): Value {
  const number = numberOf(value)
  if (number === undefined) throw new Error(`unsupported operand type for ${sign}: ${kindOf(value)}`)
  const result = sign === '-' ? -number : number
  return isKind(value, 'float') ? float(result) : integer(result)
}

/** `left comparison right`, of which Python makes a truth value. */
export function applyComparison(comparison: Comparison, left: Value, right: Value): boolean {
  switch (comparison) {
    case '==':
      return isEqual(left, right)
    case '!=':
      return !isEqual(left, right)
    case 'in':
      return isIn(left, right)
    case 'not in':
      return !isIn(left, right)
    case '<':
      return compare(left, right) < 0
    case '<=':
      return compare(left, right) <= 0
    case '>':
      return compare(left, right) > 0
    case '>=':
      return compare(left, right) >= 0
  }
}

/** Negative where left comes before right. @throws Error for types without an order. */
export function compare(left: Value, right: Value): number {
  const [a, b] = [numberOf(left), numberOf(right)]
  if (a !== undefined && b !== undefined) return a < b ? -1 : a > b ? 1 : a === b ? 0 : Number.NaN
  if (typeof left === 'string' && typeof right === 'string') return compareTexts(left, right)
  if (isSequence(left) && isSequence(right) && left.kind === right.kind) {
    const at = left.items.findIndex((item, i) => i >= right.items.length || !isEqual(item, right.items[i]))
    if (at < 0) return left.items.length - right.items.length
    return at >= right.items.length ? 1 : compare(left.items[at], right.items[at])
  }
  throw new Error(`${kindOf(left)} and ${kindOf(right)} have no order`)
}

function isIn(item: Value, container: Value): boolean {
  if (typeof container === 'string') {
    if (typeof item !== 'string') throw new Error(`'in' a text needs a text on its left, found ${kindOf(item)}`)
    checkProduct(container.length, item.length)
    return container.includes(item)
  }
  if (isKind(container, 'dict')) return container.entries.has(keyOf(item))
  if (isKind(container, 'generator')) {
    const at = container.items.findIndex((each) => isEqual(each, item))
    container.items.splice(0, at < 0 ? container.items.length : at + 1)
    return at >= 0
  }
  if (isKind(container, 'view') && container.name === 'dict_keys') keyOf(item) // a key must be one that can be
  return itemsOf(container).some((each) => isEqual(each, item))
}
