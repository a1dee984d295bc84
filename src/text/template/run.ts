/** @file The statements of a template, run one after the other. */
import { type Budget, checkSize, spend } from './bounds.ts'
import { call, evaluate, evaluateArguments } from './evaluate.ts'
import { createLoop, filterItems, walk } from './loops.ts'
import { createMacro } from './macros.ts'
import { print } from './print.ts'
import { assign, openPart, type Scope, setName, withName } from './scope.ts'
import { targetNames } from './symbols.ts'
import { BLOCK_TEXT, type Block, type Statement } from './syntax.ts'
import { isTrue, type Value } from './values.ts'

/** What a rendering writes to, and what it may use. */
interface Renderer {
  readonly budget: Budget
  readonly parts: string[]
  size: number
}

/** Why a block ended before its end. */
type Jump = 'break' | 'continue' | undefined

type Run<T extends Statement['type']> = (
  statement: Extract<Statement, { readonly type: T }>,
  scope: Scope,
  renderer: Renderer,
) => Jump | undefined

const RUN: { readonly [T in Statement['type']]: Run<T> } = {
  data: ({ text }, _scope, renderer) => write(renderer, text),
  output: ({ value }, scope, renderer) => write(renderer, print(evaluate(value, scope, renderer.budget))),
  if: ({ branches, otherwise }, scope, renderer) => {
    const branch = branches.find(({ condition }) => isTrue(evaluate(condition, scope, renderer.budget)))
    return runBlock(branch?.body ?? otherwise, scope, renderer)
  },
  for: runFor,
  set: ({ target, value }, scope, { budget }) => {
    assign(scope, target, evaluate(value, scope, budget))
    return undefined
  },
  'set-block': ({ target, filters, body }, scope, { budget }) => {
    const text = renderBlock(body, openPart(scope, { key: body, parameters: [], body }), budget)
    assign(scope, target, evaluate(filters, withName(scope, BLOCK_TEXT, text), budget))
    return undefined
  },
  macro: ({ signature }, scope, { budget }) => {
    const macro = createMacro(signature, scope, budget, (body, inner) => renderBlock(body, inner, budget))
    setName(scope, signature.name, macro)
    return undefined
  },
  call: (statement, scope, renderer) => {
    const { budget } = renderer
    const caller = createMacro(statement.caller, scope, budget, (body, inner) => renderBlock(body, inner, budget))
    const callee = evaluate(statement.call.callee, scope, budget)
    const args = evaluateArguments(statement.call.args, scope, budget)
    const keywords = new Map<string, Value>([...args.keywords, ['caller', caller]])
    return write(renderer, print(call(callee, { ...args, keywords }, budget)))
  },
  generation: ({ body }, scope, renderer) =>
    runBlock(body, openPart(scope, { key: body, parameters: [], body }), renderer),
  with: ({ bindings, body }, scope, renderer) => {
    const parameters = bindings.flatMap(([target]) => targetNames(target))
    const inner = openPart(scope, { key: body, parameters, body })
    for (const [target, value] of bindings) assign(inner, target, evaluate(value, scope, renderer.budget))
    return runBlock(body, inner, renderer)
  },
  break: () => 'break',
  continue: () => 'continue',
}

/**
 * The text that a template writes.
 * @throws Error for what Python or jinja2 refuses, what is not supported, and beyond the budget.
 */
export function renderBlock(body: Block, scope: Scope, budget: Budget): string {
  const renderer: Renderer = { budget, parts: [], size: 0 }
  runBlock(body, scope, renderer)
  return renderer.parts.join('')
}

function write(renderer: Renderer, text: string): undefined {
  renderer.size += text.length
  checkSize(renderer.size)
  renderer.parts.push(text)
}

function runBlock(body: Block, scope: Scope, renderer: Renderer): Jump {
  for (const statement of body) {
    spend(renderer.budget, 1)
    const run = RUN[statement.type] as Run<Statement['type']> // a table by type: TypeScript cannot match
    const jump = run(statement as never, scope, renderer)
    if (jump !== undefined) return jump
  }
  return undefined
}

function runFor(statement: Extract<Statement, { type: 'for' }>, scope: Scope, renderer: Renderer): Jump {
  const { target, iterable, condition, body, otherwise } = statement
  const { budget } = renderer
  const names = targetNames(target)
  const all = walk(evaluate(iterable, scope, budget))
  const fulfils = (item: Value): boolean => {
    if (condition === undefined) return true
    const inner = openPart(scope, { key: condition, parameters: names, expressions: [condition], body: [] })
    assign(inner, target, item)
    return isTrue(evaluate(condition, inner, budget))
  }
  const { loop, next } = createLoop(condition === undefined ? all : filterItems(all, fulfils))
  let isWalked = false
  for (let item = next(); item !== undefined; item = next()) {
    spend(budget, 1)
    const inner = openPart(scope, { key: body, parameters: ['loop', ...names], body })
    inner.values.set('loop', loop)
    assign(inner, target, item)
    const jump = runBlock(body, inner, renderer)
    if (jump === 'break') break
    isWalked ||= jump === undefined
  }
  // As jinja2 has it, else stands for a loop of which no body came to its end, not only for an empty one.
  if (!isWalked)
    return runBlock(otherwise, openPart(scope, { key: otherwise, parameters: [], body: otherwise }), renderer)
  return undefined
}
