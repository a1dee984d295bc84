/** @file The tests of jinja2: what may stand after `is`. */
import { bind } from './calls.ts'
import { isLower, isUpper } from './letters.ts'
import { applyBinary, applyComparison } from './operators.ts'
import { print } from './print.ts'
import type { Comparison } from './syntax.ts'
import { type Arguments, isKind, kindOf, numberOf, type Value } from './values.ts'

type Test = (value: Value, args: Arguments) => boolean

const isInt = (value: Value): boolean => typeof value === 'number'
const comparing =
  (comparison: Comparison): Test =>
  (value, args) =>
    applyComparison(comparison, value, other(comparison, args))

const TESTS: ReadonlyMap<string, Test> = new Map<string, Test>([
  ['boolean', (value) => typeof value === 'boolean'],
  ['callable', (value) => ['function', 'undefined', 'loop'].includes(kindOf(value))],
  ['defined', (value) => !isKind(value, 'undefined')],
  ['divisibleby', (value, args) => numberOf(applyBinary('%', value, other('divisibleby', args))) === 0],
  ['even', (value) => numberOf(applyBinary('%', value, 2)) === 0],
  ['false', (value) => value === false],
  ['float', (value) => isKind(value, 'float')],
  ['integer', isInt],
  ['iterable', (value) => typeof value === 'string' || (isObject(value) && !NOT_ITERABLE.has(kindOf(value)))],
  ['lower', (value) => isLower(print(value))],
  ['mapping', (value) => isKind(value, 'dict')],
  ['none', (value) => value === null],
  ['number', (value) => numberOf(value) !== undefined],
  ['odd', (value) => numberOf(applyBinary('%', value, 2)) === 1],
  ['sameas', (value, args) => isSame(value, other('sameas', args))],
  ['sequence', (value) => typeof value === 'string' || SEQUENCES.has(kindOf(value))],
  ['string', (value) => typeof value === 'string' || isKind(value, 'markup')],
  ['true', (value) => value === true],
  ['undefined', (value) => isKind(value, 'undefined')],
  ['upper', (value) => isUpper(print(value))],
  ...comparisons('==', 'eq', 'equalto'),
  ...comparisons('!=', 'ne'),
  ...comparisons('<', 'lt', 'lessthan'),
  ...comparisons('<=', 'le'),
  ...comparisons('>', 'gt', 'greaterthan'),
  ...comparisons('>=', 'ge'),
  ...comparisons('in'),
])

const NOT_ITERABLE = new Set<string>(['float', 'namespace', 'function'])
const SEQUENCES = new Set<string>(['list', 'tuple', 'dict', 'range', 'undefined', 'markup'])

function comparisons(comparison: Comparison, ...names: readonly string[]): (readonly [string, Test])[] {
  return [comparison, ...names].map((name) => [name, comparing(comparison)])
}

function isObject(value: Value): boolean {
  return typeof value === 'object' && value !== null
}

function other(test: string, args: Arguments): Value {
  const { other: found } = bind(`the test '${test}'`, args, ['other'])
  if (found === undefined) throw new Error(`the test '${test}' needs an argument`)
  return found
}

/** Python's `is`. Whether equal texts or numbers are the same object is up to its memory, so that is refused. */
function isSame(value: Value, found: Value): boolean {
  const isUnsure = kindOf(value) === kindOf(found) && /^(str|int|float|tuple)$/.test(kindOf(value))
  if (isUnsure) throw new Error(`the test 'sameas' is not supported between values of type ${kindOf(value)}`)
  return value === found
}

/** @throws Error for tests that jinja2 does not have. */
export function applyTest(name: string, value: Value, args: Arguments): boolean {
  const test = TESTS.get(name)
  if (test === undefined) throw new Error(`the test '${name.slice(0, 40)}' is not supported`)
  if (args.positional.length > 1) throw new Error(`the test '${name}' takes no more than one argument`)
  return test(value, args)
}
