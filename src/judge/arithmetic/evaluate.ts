/** @file An expression → its value, in each of the ways in which it may be read. */

import type { Fraction, Value } from '../../text/number.ts'
import * as numbers from '../../text/number.ts'
import type { Expression } from './parse.ts'

/** What names stand for; null for one that is no longer known. */
export type Names = ReadonlyMap<string, Value | null>

/** A choice among the ways to read what is not quite arithmetic. */
export interface Reading {
  /** 20% is 20, not 1/5. */
  readonly isPercentUnit: boolean
  /** 2 1/2 is 2 · 1/2. */
  readonly isMixedProduct: boolean
  /** a/b(c) is a/(b·c). */
  readonly isProductTight: boolean
  /** a/1/2 is a/(1/2). */
  readonly isQuotientTight: boolean
  /** -3^2 is (-3)^2. */
  readonly isSignTight: boolean
  /** 8! is 8, with an exclamation mark. */
  readonly isExclamation: boolean
}

export const PLAIN: Reading = {
  isPercentUnit: false,
  isMixedProduct: false,
  isProductTight: false,
  isQuotientTight: false,
  isSignTight: false,
  isExclamation: false,
}

/** Each single reading but the plain one, two of them, and all but one. */
const OTHERS: readonly Reading[] = [
  { ...PLAIN, isPercentUnit: true },
  { ...PLAIN, isMixedProduct: true },
  { ...PLAIN, isProductTight: true },
  { ...PLAIN, isQuotientTight: true },
  { ...PLAIN, isSignTight: true },
  { ...PLAIN, isExclamation: true },
  { ...PLAIN, isPercentUnit: true, isMixedProduct: true },
  {
    isPercentUnit: true,
    isMixedProduct: true,
    isProductTight: true,
    isQuotientTight: false,
    isSignTight: true,
    isExclamation: true,
  },
]

/** All that a value depends on besides the expression. */
export interface World {
  readonly names: Names
  readonly reading: Reading
  /** Stands in for the value of certain literals, to see how much a rounded one matters. */
  readonly literals: ReadonlyMap<Expression, Fraction>
}

type Operation = (a: Value, b: Value) => Value | null

const OPERATIONS: { readonly [K in 'sum' | 'difference' | 'product' | 'quotient' | 'power']: Operation } = {
  sum: numbers.add,
  difference: (a, b) => numbers.add(a, numbers.negate(b)),
  product: numbers.multiply,
  quotient: numbers.divide,
  power: numbers.power,
}

const HUNDREDTH: Fraction = { num: 1n, den: 100n }

function combine(operation: Operation, a: Value | null, b: Value | null): Value | null {
  return a === null || b === null ? null : operation(a, b)
}

function apply(operation: (a: Value) => Value | null, a: Value | null): Value | null {
  return a === null ? null : operation(a)
}

function percent(of: Value | null, world: World): Value | null {
  return world.reading.isPercentUnit ? of : combine(numbers.multiply, of, HUNDREDTH)
}

function negative(of: Expression, world: World): Value | null {
  if (world.reading.isSignTight && of.kind === 'power') {
    return evaluate({ ...of, left: { kind: 'negative', of: of.left } }, world)
  }
  return apply(numbers.negate, evaluate(of, world))
}

function product(left: Expression, right: Expression, world: World): Value | null {
  if (left.kind !== 'quotient') return combine(numbers.multiply, evaluate(left, world), evaluate(right, world))
  const below = combine(numbers.multiply, evaluate(left.right, world), evaluate(right, world))
  return combine(numbers.divide, evaluate(left.left, world), below)
}

/** a/b/c as a/(b/c). */
function quotient(left: Expression, right: Expression, world: World): Value | null {
  if (left.kind !== 'quotient') return combine(numbers.divide, evaluate(left, world), evaluate(right, world))
  const below = combine(numbers.divide, evaluate(left.right, world), evaluate(right, world))
  return combine(numbers.divide, evaluate(left.left, world), below)
}

/** The value, null where a name is not known, an operation is undefined or a number is too large. */
export function evaluate(expression: Expression, world: World): Value | null {
  const { reading } = world
  switch (expression.kind) {
    case 'number':
      return world.literals.get(expression) ?? expression.value
    case 'pi':
      return Math.PI
    case 'name':
      return world.names.get(expression.name) ?? null
    case 'negative':
      return negative(expression.of, world)
    case 'factorial':
      return reading.isExclamation
        ? evaluate(expression.of, world)
        : apply(numbers.factorial, evaluate(expression.of, world))
    case 'percent':
      return percent(evaluate(expression.of, world), world)
    case 'mixed': {
      const operation = reading.isMixedProduct ? numbers.multiply : numbers.add
      return combine(operation, evaluate(expression.whole, world), evaluate(expression.part, world))
    }
    case 'root': {
      const degree = expression.degree === null ? { num: 2n, den: 1n } : evaluate(expression.degree, world)
      return combine(numbers.root, evaluate(expression.of, world), degree)
    }
    case 'binomial':
      return combine(numbers.binomial, evaluate(expression.n, world), evaluate(expression.k, world))
    case 'product':
      if (expression.isTight && reading.isProductTight) return product(expression.left, expression.right, world)
      break
    case 'quotient':
      if (reading.isQuotientTight) return quotient(expression.left, expression.right, world)
  }
  return combine(OPERATIONS[expression.kind], evaluate(expression.left, world), evaluate(expression.right, world))
}

/** No literal is replaced. */
export const AS_WRITTEN: World['literals'] = new Map()

/** The value in the plain reading. */
export function plainValue(expression: Expression, names: Names, literals = AS_WRITTEN): Value | null {
  return evaluate(expression, { names, reading: PLAIN, literals })
}

/** The parts that an expression is made of. */
function partsOf(expression: Expression): readonly Expression[] {
  switch (expression.kind) {
    case 'number':
    case 'pi':
    case 'name':
      return []
    case 'negative':
    case 'factorial':
    case 'percent':
      return [expression.of]
    case 'root':
      return expression.degree === null ? [expression.of] : [expression.degree, expression.of]
    case 'mixed':
      return [expression.whole, expression.part]
    case 'binomial':
      return [expression.n, expression.k]
    default:
      return [expression.left, expression.right]
  }
}

/** What a part of an expression leaves to its reading. */
function choiceAt(part: Expression): keyof Reading | null {
  switch (part.kind) {
    case 'percent':
      return 'isPercentUnit'
    case 'mixed':
      return 'isMixedProduct'
    case 'product':
      return part.isTight ? 'isProductTight' : null
    case 'quotient':
      return part.left.kind === 'quotient' ? 'isQuotientTight' : null
    case 'negative':
      return part.of.kind === 'power' ? 'isSignTight' : null
    case 'factorial':
      return 'isExclamation'
    default:
      return null
  }
}

/** The readings besides the plain one that differ from it for one of these. */
export function otherReadings(sides: readonly Expression[]): Reading[] {
  const choices = new Set<keyof Reading>()
  for (const side of sides) {
    walk(side, (part) => {
      const choice = choiceAt(part)
      if (choice !== null) choices.add(choice)
    })
  }
  return choices.size === 0 ? [] : OTHERS.filter((reading) => [...choices].some((choice) => reading[choice]))
}

/** Calls `visit` with each part of an expression, itself first. */
export function walk(expression: Expression, visit: (part: Expression) => void): void {
  visit(expression)
  for (const part of partsOf(expression)) walk(part, visit)
}
