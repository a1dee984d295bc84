/** @file The value of an expression. */
import { type Budget, checkSize, countMade, spend } from './bounds.ts'
import { applyFilter } from './filters.ts'
import { getAttribute, getItem } from './members.ts'
import { applyBinary, applyComparison, applySign } from './operators.ts'
import { print } from './print.ts'
import { lookUp, type Scope } from './scope.ts'
import { slice } from './slices.ts'
import type { CallArguments, Expression } from './syntax.ts'
import { applyTest } from './tests.ts'
import { type Arguments, dict, isKind, isTrue, itemsOf, kindOf, list, missing, tuple, type Value } from './values.ts'

type Evaluate<T extends Expression['type']> = (
  node: Extract<Expression, { readonly type: T }>,
  scope: Scope,
  budget: Budget,
) => Value

const EVALUATE: { readonly [T in Expression['type']]: Evaluate<T> } = {
  constant: ({ value }) => value,
  name: ({ name }, scope) => lookUp(scope, name),
  list: ({ items }, scope, budget) => list(items.map((item) => evaluate(item, scope, budget))),
  tuple: ({ items }, scope, budget) => tuple(items.map((item) => evaluate(item, scope, budget))),
  dict: ({ entries }, scope, budget) =>
    dict(entries.map(([key, value]) => [evaluate(key, scope, budget), evaluate(value, scope, budget)])),
  attribute: ({ object, name }, scope, budget) => getAttribute(evaluate(object, scope, budget), name),
  item: ({ object, key }, scope, budget) => getItem(evaluate(object, scope, budget), evaluate(key, scope, budget)),
  slice: evaluateSlice,
  call: evaluateCall,
  filter: ({ operand, name, args }, scope, budget) => {
    const value = evaluate(operand, scope, budget)
    return countMade(budget, applyFilter(name, value, evaluateArguments(args, scope, budget), budget))
  },
  test: ({ operand, name, args }, scope, budget) => {
    const value = evaluate(operand, scope, budget)
    return applyTest(name, value, evaluateArguments(args, scope, budget))
  },
  not: ({ operand }, scope, budget) => !isTrue(evaluate(operand, scope, budget)),
  sign: ({ sign, operand }, scope, budget) => applySign(sign, evaluate(operand, scope, budget)),
  binary: ({ operator, left, right }, scope, budget) =>
    countMade(budget, applyBinary(operator, evaluate(left, scope, budget), evaluate(right, scope, budget))),
  and: ({ left, right }, scope, budget) => {
    const value = evaluate(left, scope, budget)
    return isTrue(value) ? evaluate(right, scope, budget) : value
  },
  or: ({ left, right }, scope, budget) => {
    const value = evaluate(left, scope, budget)
    return isTrue(value) ? value : evaluate(right, scope, budget)
  },
  concat: ({ items }, scope, budget) => {
    const texts = items.map((item) => print(evaluate(item, scope, budget)))
    checkSize(texts.reduce((size, text) => size + text.length, 0))
    return countMade(budget, texts.join(''))
  },
  compare: evaluateCompare,
  conditional: ({ condition, value, otherwise }, scope, budget) => {
    if (isTrue(evaluate(condition, scope, budget))) return evaluate(value, scope, budget)
    return otherwise === undefined ? missing('the inline if has no else') : evaluate(otherwise, scope, budget)
  },
}

/** @throws Error for what Python or jinja2 refuses, what is not supported, and beyond the budget. */
export function evaluate(node: Expression, scope: Scope, budget: Budget): Value {
  spend(budget, 1)
  const evaluateNode = EVALUATE[node.type] as Evaluate<Expression['type']> // a table by type: TypeScript cannot match
  return evaluateNode(node as never, scope, budget)
}

function evaluateSlice(node: Extract<Expression, { type: 'slice' }>, scope: Scope, budget: Budget): Value {
  const object = evaluate(node.object, scope, budget)
  const bounds = node.bounds.map((bound) => (bound === undefined ? null : evaluate(bound, scope, budget)))
  if (isKind(object, 'undefined')) throw new Error(object.reason)
  return countMade(budget, slice(object, bounds))
}

/** Every comparison of a chain such as `a < b < c` must hold; the values are asked for from left to right, once. */
function evaluateCompare(node: Extract<Expression, { type: 'compare' }>, scope: Scope, budget: Budget): Value {
  let left = evaluate(node.first, scope, budget)
  for (const [comparison, operand] of node.rest) {
    const right = evaluate(operand, scope, budget)
    if (!applyComparison(comparison, left, right)) return false
    left = right
  }
  return true
}

function evaluateCall(node: Extract<Expression, { type: 'call' }>, scope: Scope, budget: Budget): Value {
  const callee = evaluate(node.callee, scope, budget)
  return call(callee, evaluateArguments(node.args, scope, budget), budget)
}

/** @throws Error for what cannot be called. */
export function call(callee: Value, args: Arguments, budget: Budget): Value {
  if (isKind(callee, 'function')) return countMade(budget, callee.call(args))
  if (isKind(callee, 'undefined')) throw new Error(`${callee.reason}, so it cannot be called`)
  throw new Error(`a ${kindOf(callee)} cannot be called`)
}

export function evaluateArguments(args: CallArguments, scope: Scope, budget: Budget): Arguments {
  const positional = args.positional.map((each) => evaluate(each, scope, budget))
  const keywords = new Map(args.keywords.map(([name, each]) => [name, evaluate(each, scope, budget)]))
  if (args.rest !== undefined) positional.push(...itemsOf(evaluate(args.rest, scope, budget)))
  if (args.keywordRest === undefined) return { positional, keywords }
  const rest = evaluate(args.keywordRest, scope, budget)
  if (!isKind(rest, 'dict')) throw new Error(`** of a ${kindOf(rest)}`)
  for (const [key, value] of rest.entries.values()) {
    if (typeof key !== 'string' || keywords.has(key)) throw new Error('** with a name that is no text or is repeated')
    keywords.set(key, value)
  }
  return { positional, keywords }
}
