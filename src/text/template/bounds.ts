/** @file What a template of a stranger may ask for: how much work, and how large a value. */
import type { Value } from './values.ts'

/** Of one value: the output, any text on the way to it, or the items of a list. */
const MAX_VALUE_SIZE = 1 << 20
/** Of two operands whose sizes multiply, such as a text and what replaces each of its letters. */
const MAX_PRODUCT = 1 << 26
/** One for each node that is evaluated, and one for each part of a value that is made. Bounds the memory. */
const MAX_WORK = 200_000
const CHARACTERS_PER_WORK = 64
const ITEMS_PER_WORK = 8
/** Macros that call macros. Python's own limit is near it. */
const MAX_CALL_DEPTH = 200
/** Brackets in brackets and blocks in blocks. */
export const MAX_NESTING = 100
/** Expressions and statements of one template; those of large models have some thousand. */
export const MAX_NODES = 50_000
export const MAX_RANGE = 10_000

/** What one rendering has used so far. */
export interface Budget {
  work: number
  callDepth: number
}

/** @throws Error where a rendering has worked for too long. */
export function spend(budget: Budget, work: number): void {
  budget.work += work
  if (budget.work > MAX_WORK) throw new Error('too much work')
}

/** Counts a value that was just made, and returns it. */
export function countMade(budget: Budget, value: Value): Value {
  if (typeof value === 'string') {
    checkSize(value.length)
    spend(budget, value.length / CHARACTERS_PER_WORK)
  } else if (typeof value === 'object' && value !== null && 'items' in value) {
    checkSize(value.items.length)
    spend(budget, value.items.length / ITEMS_PER_WORK)
  }
  return value
}

/** The result of a call of a macro. */
export function callWithin<T>(budget: Budget, call: () => T): T {
  budget.callDepth += 1
  if (budget.callDepth > MAX_CALL_DEPTH) throw new Error('macros call each other too deeply')
  try {
    return call()
  } finally {
    budget.callDepth -= 1
  }
}

export function checkSize(size: number): void {
  if (!(size <= MAX_VALUE_SIZE)) throw new Error(`more than ${MAX_VALUE_SIZE} characters`)
}

/** To be asked before two values meet in an operation that takes, or makes, as much as their product. */
export function checkProduct(size: number, other: number): void {
  if (!(size * other <= MAX_PRODUCT)) throw new Error('operands too large')
}
