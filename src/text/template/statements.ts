/** @file Statements of a template, as jinja2's parser reads them with the tags that transformers adds. */
import { type Cursor, createCursor, describeToken, expect, isAt, nest, peek, skipIf, take } from './cursor.ts'
import { parseExpression, parseFilters, parseTuple } from './expressions.ts'
import type { Token } from './lexer.ts'
import { BLOCK_TEXT, type Block, type Expression, type Parameter, type Signature, type Statement } from './syntax.ts'
import { isTargetEnd, parseTarget } from './targets.ts'

/** Tags of jinja2 that no chat template needs. */
const UNSUPPORTED = new Set(['autoescape', 'block', 'extends', 'filter', 'from', 'import', 'include', 'print'])

const TAGS: Readonly<Record<string, (cursor: Cursor) => Statement>> = {
  if: parseIf,
  for: parseFor,
  set: parseSet,
  macro: parseMacro,
  call: parseCall,
  with: parseWith,
  generation: (cursor) => ({
    type: 'generation',
    body: withoutLoops(cursor, () => parseBody(cursor, 'endgeneration')),
  }),
  break: (cursor) => parseJump(cursor, 'break'),
  continue: (cursor) => parseJump(cursor, 'continue'),
}

/** @throws Error for what jinja2 refuses, and for tags that are not supported. */
export function parseTokens(tokens: readonly Token[]): Block {
  const cursor = createCursor(tokens)
  const body = parseBlock(cursor)
  if (!isAt(cursor, 'end')) throw new Error(`unexpected tag ${describeToken(peek(cursor))}`)
  return body
}

/** Statements up to the end, or to a tag with one of these names; the cursor is then at the name. */
function parseBlock(cursor: Cursor, ...ends: readonly string[]): Block {
  const body: Statement[] = []
  while (!isAt(cursor, 'end')) {
    const token = take(cursor)
    if (token.type === 'data') body.push({ type: 'data', text: token.value })
    else if (token.value === '{{') {
      body.push({ type: 'output', value: parseTuple(cursor) })
      expect(cursor, 'close')
    } else {
      if (isAt(cursor, 'name', ...ends) && ends.length > 0) return body
      body.push(nest(cursor, () => parseTag(cursor)))
      expect(cursor, 'close')
    }
  }
  if (ends.length > 0) throw new Error(`expected '${ends[0]}', found the end`)
  return body
}

function parseTag(cursor: Cursor): Statement {
  const name = expect(cursor, 'name').value
  if (Object.hasOwn(TAGS, name)) return TAGS[name](cursor)
  throw new Error(UNSUPPORTED.has(name) ? `${name} blocks are not supported` : `unknown tag '${name.slice(0, 40)}'`)
}

/** The rest of a tag, and what follows it up to the end tag, whose own rest is left. */
function parseBody(cursor: Cursor, ...ends: readonly string[]): Block {
  skipIf(cursor, 'operator', ':')
  expect(cursor, 'close')
  const body = parseBlock(cursor, ...ends)
  if (ends.length === 1) take(cursor)
  return body
}

function parseIf(cursor: Cursor): Statement {
  const branches: { condition: Expression; body: Block }[] = []
  do {
    const condition = parseTuple(cursor, false)
    branches.push({ condition, body: parseBody(cursor, 'endif', 'elif', 'else') })
  } while (take(cursor).value === 'elif')
  const isLast = cursor.tokens[cursor.index - 1].value === 'endif'
  return { type: 'if', branches, otherwise: isLast ? [] : parseBody(cursor, 'endif') }
}

function parseFor(cursor: Cursor): Statement {
  const target = parseTarget(cursor, (each) => isTargetEnd(each) || isAt(each, 'name', 'in'))
  expect(cursor, 'name', 'in')
  const iterable = parseTuple(cursor, false)
  const condition = skipIf(cursor, 'name', 'if') ? parseExpression(cursor) : undefined
  if (isAt(cursor, 'name', 'recursive')) throw new Error('recursive loops are not supported')
  cursor.loops += 1
  const body = parseBody(cursor, 'endfor', 'else')
  cursor.loops -= 1
  const otherwise = take(cursor).value === 'else' ? parseBody(cursor, 'endfor') : []
  return { type: 'for', target, iterable, condition, body, otherwise }
}

function parseJump(cursor: Cursor, type: 'break' | 'continue'): Statement {
  if (cursor.loops === 0) throw new Error(`'${type}' outside of a loop, or in a block inside of it`)
  return { type }
}

function parseSet(cursor: Cursor): Statement {
  const target = parseTarget(cursor, isTargetEnd, true)
  if (skipIf(cursor, 'operator', '=')) return { type: 'set', target, value: parseTuple(cursor) }
  const filters = parseFilters(cursor, { type: 'name', name: BLOCK_TEXT })
  return { type: 'set-block', target, filters, body: withoutLoops(cursor, () => parseBody(cursor, 'endset')) }
}

function parseMacro(cursor: Cursor): Statement {
  const name = expect(cursor, 'name').value
  return { type: 'macro', signature: parseSignature(cursor, name, 'endmacro', () => parseParameters(cursor)) }
}

function parseCall(cursor: Cursor): Statement {
  let call: Expression | undefined
  const caller = parseSignature(cursor, 'caller', 'endcall', () => {
    const parameters = isAt(cursor, 'operator', '(') ? parseParameters(cursor) : []
    call = parseExpression(cursor)
    return parameters
  })
  if (call?.type !== 'call') throw new Error('expected a call in a call block')
  return { type: 'call', call, caller }
}

function parseSignature(cursor: Cursor, name: string, end: string, parse: () => Parameter[]): Signature {
  const names = new Set<string>()
  const parameters = parse()
  cursor.names.push(names)
  const body = withoutLoops(cursor, () => parseBody(cursor, end))
  cursor.names.pop()
  return { name, parameters, body, names }
}

function parseParameters(cursor: Cursor): Parameter[] {
  const parameters: Parameter[] = []
  expect(cursor, 'operator', '(')
  while (!skipIf(cursor, 'operator', ')')) {
    if (parameters.length > 0) expect(cursor, 'operator', ',')
    const name = expect(cursor, 'name').value
    const fallback = skipIf(cursor, 'operator', '=') ? parseExpression(cursor) : undefined
    if (fallback === undefined && parameters.at(-1)?.fallback !== undefined) {
      throw new Error(`parameter '${name.slice(0, 40)}' has no default, but one before it has`)
    }
    parameters.push({ name, fallback })
  }
  return parameters
}

function parseWith(cursor: Cursor): Statement {
  const bindings: (readonly [ReturnType<typeof parseTarget>, Expression])[] = []
  while (!isAt(cursor, 'close')) {
    if (bindings.length > 0) expect(cursor, 'operator', ',')
    const target = parseTarget(cursor, isTargetEnd)
    expect(cursor, 'operator', '=')
    bindings.push([target, parseExpression(cursor)])
  }
  return { type: 'with', bindings, body: parseBody(cursor, 'endwith') }
}

/** A `break` inside of the block that is parsed does not reach the loops outside. */
function withoutLoops<T>(cursor: Cursor, parse: () => T): T {
  const outside = cursor.loops
  cursor.loops = 0
  const result = parse()
  cursor.loops = outside
  return result
}
