/** @file Expressions of a template, with the precedence that jinja2's parser gives them. */
import { type Cursor, describeToken, expect, isAt, nest, peek, skipIf, take } from './cursor.ts'
import { parseArguments, parsePostfix, parsePrimary } from './operands.ts'
import type { BinaryOperator, Comparison, Expression } from './syntax.ts'

type Parse = (cursor: Cursor) => Expression

const COMPARISONS: ReadonlySet<string> = new Set(['==', '!=', '<', '<=', '>', '>='])

/** An expression. `a if b` is one only where `withConditional` allows it: after `for x in` it is a filter. */
export function parseExpression(cursor: Cursor, withConditional = true): Expression {
  return nest(cursor, () => {
    let result = parseOr(cursor)
    while (withConditional && skipIf(cursor, 'name', 'if')) {
      const condition = parseOr(cursor)
      const otherwise = skipIf(cursor, 'name', 'else') ? parseExpression(cursor) : undefined
      result = { type: 'conditional', condition, value: result, otherwise }
    }
    return result
  })
}

/** One expression, or several with commas between them, which make a tuple. */
export function parseTuple(
  cursor: Cursor,
  withConditional = true,
  isEnd: (cursor: Cursor) => boolean = isTupleEnd,
): Expression {
  const items: Expression[] = []
  let isTuple = false
  while (!isEnd(cursor)) {
    items.push(parseExpression(cursor, withConditional))
    if (!skipIf(cursor, 'operator', ',')) break
    isTuple = true
  }
  if (items.length === 0) throw new Error(`expected an expression, found ${describeToken(peek(cursor))}`)
  return isTuple ? { type: 'tuple', items } : items[0]
}

function isTupleEnd(cursor: Cursor): boolean {
  return isAt(cursor, 'close') || isAt(cursor, 'operator', ')')
}

function parseOr(cursor: Cursor): Expression {
  let left = parseAnd(cursor)
  while (skipIf(cursor, 'name', 'or')) left = { type: 'or', left, right: parseAnd(cursor) }
  return left
}

function parseAnd(cursor: Cursor): Expression {
  let left = parseNot(cursor)
  while (skipIf(cursor, 'name', 'and')) left = { type: 'and', left, right: parseNot(cursor) }
  return left
}

function parseNot(cursor: Cursor): Expression {
  if (!isAt(cursor, 'name', 'not')) return parseCompare(cursor)
  take(cursor)
  return nest(cursor, () => ({ type: 'not', operand: parseNot(cursor) }))
}

function parseCompare(cursor: Cursor): Expression {
  const first = parseSum(cursor)
  const rest: (readonly [Comparison, Expression])[] = []
  for (let found = takeComparison(cursor); found !== undefined; found = takeComparison(cursor)) {
    rest.push([found, parseSum(cursor)])
  }
  return rest.length === 0 ? first : { type: 'compare', first, rest }
}

function isComparison(word: string): word is Comparison {
  return COMPARISONS.has(word)
}

function takeComparison(cursor: Cursor): Comparison | undefined {
  const { type, value } = peek(cursor)
  if (type === 'operator' && isComparison(value)) {
    take(cursor)
    return value
  }
  if (skipIf(cursor, 'name', 'in')) return 'in'
  const next = peek(cursor, 1)
  if (!isAt(cursor, 'name', 'not') || next.type !== 'name' || next.value !== 'in') return undefined
  cursor.index += 2
  return 'not in'
}

function leftToRight(operators: readonly BinaryOperator[], parseOperand: Parse): Parse {
  return (cursor) => {
    let left = parseOperand(cursor)
    for (;;) {
      const operator = operators.find((each) => skipIf(cursor, 'operator', each))
      if (operator === undefined) return left
      left = { type: 'binary', operator, left, right: parseOperand(cursor) }
    }
  }
}

const parsePower = leftToRight(['**'], (cursor) => parseUnary(cursor, true))
const parseProduct = leftToRight(['*', '/', '//', '%'], parsePower)
const parseSum = leftToRight(['+', '-'], parseConcat)

function parseConcat(cursor: Cursor): Expression {
  const items = [parseProduct(cursor)]
  while (skipIf(cursor, 'operator', '~')) items.push(parseProduct(cursor))
  return items.length === 1 ? items[0] : { type: 'concat', items }
}

function parseUnary(cursor: Cursor, withFilters: boolean): Expression {
  const sign = (['-', '+'] as const).find((each) => skipIf(cursor, 'operator', each))
  const operand: Expression =
    sign === undefined
      ? parsePrimary(cursor, PARSERS)
      : nest(cursor, () => ({ type: 'sign', sign, operand: parseUnary(cursor, false) }))
  const node = parsePostfix(cursor, operand, PARSERS)
  return withFilters ? parseFilters(cursor, node) : node
}

/** `| filter`, `is test` and calls, as often as they follow. */
export function parseFilters(cursor: Cursor, operand: Expression): Expression {
  let node = operand
  for (;;) {
    if (skipIf(cursor, 'operator', '|')) node = parseFilter(cursor, node)
    else if (skipIf(cursor, 'name', 'is')) node = parseTest(cursor, node)
    else if (isAt(cursor, 'operator', '(')) node = { type: 'call', callee: node, args: parseArguments(cursor, PARSERS) }
    else return node
  }
}

function parseDottedName(cursor: Cursor): string {
  let name = expect(cursor, 'name').value
  while (skipIf(cursor, 'operator', '.')) name += `.${expect(cursor, 'name').value}`
  return name
}

const NO_ARGUMENTS = { positional: [], keywords: [] }

function parseFilter(cursor: Cursor, operand: Expression): Expression {
  const name = parseDottedName(cursor)
  const args = isAt(cursor, 'operator', '(') ? parseArguments(cursor, PARSERS) : NO_ARGUMENTS
  return { type: 'filter', operand, name, args }
}

function parseTest(cursor: Cursor, operand: Expression): Expression {
  const isNegated = skipIf(cursor, 'name', 'not')
  const name = parseDottedName(cursor)
  const node: Expression = { type: 'test', operand, name, args: parseTestArguments(cursor) }
  return isNegated ? { type: 'not', operand: node } : node
}

/** A test may be given one argument without brackets: `is divisibleby 3`. */
function parseTestArguments(cursor: Cursor): Extract<Expression, { type: 'test' }>['args'] {
  if (isAt(cursor, 'operator', '(')) return parseArguments(cursor, PARSERS)
  const { type, value } = peek(cursor)
  const starts = ['name', 'string', 'integer', 'float'].includes(type) || isAt(cursor, 'operator', '[', '{')
  if (!starts || (type === 'name' && ['else', 'or', 'and'].includes(value))) return NO_ARGUMENTS
  if (type === 'name' && value === 'is') throw new Error('tests cannot follow each other with is')
  return { positional: [parsePostfix(cursor, parsePrimary(cursor, PARSERS), PARSERS)], keywords: [] }
}

/** What operands need of this file, which needs them: handed over, so that no file imports itself. */
const PARSERS = { expression: parseExpression, tuple: parseTuple }
