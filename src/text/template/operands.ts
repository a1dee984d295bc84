/** @file What stands between the operators of an expression: literals, names, and what follows them in brackets. */
import { type Cursor, describeToken, expect, isAt, nest, peek, skipIf, take } from './cursor.ts'
import type { CallArguments, Expression } from './syntax.ts'
import { float, integer, type Value } from './values.ts'

export interface Parsers {
  readonly expression: (cursor: Cursor) => Expression
  readonly tuple: (cursor: Cursor) => Expression
}

const CONSTANTS: ReadonlyMap<string, Value> = new Map<string, Value>([
  ['true', true],
  ['True', true],
  ['false', false],
  ['False', false],
  ['none', null],
  ['None', null],
])

export function parsePrimary(cursor: Cursor, parsers: Parsers): Expression {
  return nest(cursor, () => {
    const token = take(cursor)
    const { type, value } = token
    if (type === 'name') return parseName(cursor, value)
    if (type === 'string') return { type: 'constant', value: value + takeStrings(cursor) }
    if (type === 'integer') return { type: 'constant', value: integer(Number(value.replaceAll('_', ''))) }
    if (type === 'float') return { type: 'constant', value: float(Number(value.replaceAll('_', ''))) }
    if (type === 'operator' && value === '(') return parseBrackets(cursor, parsers)
    if (type === 'operator' && value === '[')
      return { type: 'list', items: parseItems(cursor, ']', parsers.expression) }
    if (type === 'operator' && value === '{') {
      return { type: 'dict', entries: parseItems(cursor, '}', () => parseEntry(cursor, parsers)) }
    }
    throw new Error(`unexpected ${describeToken(token)}`)
  })
}

function parseName(cursor: Cursor, name: string): Expression {
  const constant = CONSTANTS.get(name)
  if (constant !== undefined) return { type: 'constant', value: constant }
  for (const names of cursor.names) names.add(name)
  return { type: 'name', name }
}

function takeStrings(cursor: Cursor): string {
  let text = ''
  while (isAt(cursor, 'string')) text += take(cursor).value
  return text
}

function parseBrackets(cursor: Cursor, parsers: Parsers): Expression {
  if (skipIf(cursor, 'operator', ')')) return { type: 'tuple', items: [] }
  const inner = parsers.tuple(cursor)
  expect(cursor, 'operator', ')')
  return inner
}

function parseItems<T>(cursor: Cursor, end: string, parse: (cursor: Cursor) => T): T[] {
  const items: T[] = []
  while (!skipIf(cursor, 'operator', end)) {
    if (items.length > 0) expect(cursor, 'operator', ',')
    if (skipIf(cursor, 'operator', end)) break
    items.push(parse(cursor))
  }
  return items
}

function parseEntry(cursor: Cursor, parsers: Parsers): readonly [Expression, Expression] {
  const key = parsers.expression(cursor)
  expect(cursor, 'operator', ':')
  return [key, parsers.expression(cursor)]
}

/** `.name`, `[key]` and `(arguments)`, as often as they follow. */
export function parsePostfix(cursor: Cursor, object: Expression, parsers: Parsers): Expression {
  let node = object
  for (;;) {
    if (skipIf(cursor, 'operator', '.')) node = parseMember(cursor, node)
    else if (skipIf(cursor, 'operator', '[')) node = parseSubscript(cursor, node, parsers)
    else if (isAt(cursor, 'operator', '(')) node = { type: 'call', callee: node, args: parseArguments(cursor, parsers) }
    else return node
  }
}

function parseMember(cursor: Cursor, object: Expression): Expression {
  const token = take(cursor)
  if (token.type === 'name') return { type: 'attribute', object, name: token.value }
  if (token.type !== 'integer') throw new Error(`expected a name or a number after '.', found ${describeToken(token)}`)
  return { type: 'item', object, key: { type: 'constant', value: integer(Number(token.value)) } }
}

function parseSubscript(cursor: Cursor, object: Expression, parsers: Parsers): Expression {
  const bounds: (Expression | undefined)[] = []
  let isSlice = false
  for (;;) {
    bounds.push(isAt(cursor, 'operator', ':', ']') ? undefined : parsers.expression(cursor))
    if (bounds.length === 3 || !skipIf(cursor, 'operator', ':')) break
    isSlice = true
  }
  if (isAt(cursor, 'operator', ',')) throw new Error('subscripts with commas are not supported')
  expect(cursor, 'operator', ']')
  if (isSlice) return { type: 'slice', object, bounds }
  const [key] = bounds
  if (key === undefined) throw new Error("expected a subscript between '[' and ']'")
  return { type: 'item', object, key }
}

export function parseArguments(cursor: Cursor, parsers: Parsers): CallArguments {
  expect(cursor, 'operator', '(')
  const positional: Expression[] = []
  const keywords: (readonly [string, Expression])[] = []
  let rest: Expression | undefined
  let keywordRest: Expression | undefined
  parseItems(cursor, ')', () => {
    const next = peek(cursor, 1)
    if (keywordRest !== undefined) throw new Error('arguments after **')
    if (skipIf(cursor, 'operator', '**')) keywordRest = parsers.expression(cursor)
    else if (rest === undefined && skipIf(cursor, 'operator', '*')) rest = parsers.expression(cursor)
    else if (isAt(cursor, 'name') && next.type === 'operator' && next.value === '=') {
      const name = take(cursor).value
      take(cursor)
      if (keywords.some(([known]) => known === name)) throw new Error(`argument '${name}' is repeated`)
      keywords.push([name, parsers.expression(cursor)])
    } else {
      if (keywords.length > 0 || rest !== undefined) throw new Error('arguments by position after arguments by name')
      positional.push(parsers.expression(cursor))
    }
  })
  return { positional, keywords, rest, keywordRest }
}
