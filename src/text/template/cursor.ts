/** @file A place among the tokens of a template, and how deep in brackets and blocks it is. */
import { MAX_NESTING, MAX_NODES } from './bounds.ts'
import type { Token, TokenType } from './lexer.ts'

export interface Cursor {
  readonly tokens: readonly Token[]
  index: number
  nodes: number
  nesting: number
  /** Loops around this place, up to the next macro or other block that a `break` cannot leave. */
  loops: number
  /** The names met in each of the macros around this place. */
  readonly names: Set<string>[]
}

export function createCursor(tokens: readonly Token[]): Cursor {
  return { tokens, index: 0, nodes: 0, nesting: 0, loops: 0, names: [] }
}

/** The token at hand, or one after it. */
export function peek(cursor: Cursor, ahead = 0): Token {
  return cursor.tokens[Math.min(cursor.index + ahead, cursor.tokens.length - 1)]
}

export function take(cursor: Cursor): Token {
  const token = peek(cursor)
  cursor.index += 1
  return token
}

/** Whether the token is of the type, with one of the values where some are given. */
export function isAt(cursor: Cursor, type: TokenType, ...values: readonly string[]): boolean {
  const token = peek(cursor)
  return token.type === type && (values.length === 0 || values.includes(token.value))
}

/** Goes behind the token where it is this one. */
export function skipIf(cursor: Cursor, type: TokenType, value: string): boolean {
  const found = isAt(cursor, type, value)
  if (found) cursor.index += 1
  return found
}

/** @throws Error where another token stands. */
export function expect(cursor: Cursor, type: TokenType, value?: string): Token {
  const token = take(cursor)
  if (token.type === type && (value === undefined || token.value === value)) return token
  throw new Error(`expected ${value === undefined ? `a ${type}` : `'${value}'`}, found ${describeToken(token)}`)
}

export function describeToken(token: Token): string {
  return token.type === 'end' ? 'the end' : `'${token.value.slice(0, 40)}'`
}

/** Parses something that may hold others of its kind. */
export function nest<T>(cursor: Cursor, parse: () => T): T {
  cursor.nodes += 1
  cursor.nesting += 1
  if (cursor.nodes > MAX_NODES) throw new Error(`more than ${MAX_NODES} parts`)
  if (cursor.nesting > MAX_NESTING) throw new Error(`more than ${MAX_NESTING} levels of brackets and blocks`)
  const result = parse()
  cursor.nesting -= 1
  return result
}
