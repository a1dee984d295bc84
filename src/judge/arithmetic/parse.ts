/** @file Tokens → an expression, with what in it may be read in another way. */
import type { Fraction } from '../../text/number.ts'
import type { Token } from './token.ts'
import { AFTER_PART, PROSE } from './words.ts'

export type Expression =
  | { readonly kind: 'number'; readonly value: Fraction; readonly decimals: number; readonly zeros: number }
  | { readonly kind: 'pi' }
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'negative' | 'factorial' | 'percent'; readonly of: Expression }
  | {
      readonly kind: 'sum' | 'difference' | 'quotient' | 'power'
      readonly left: Expression
      readonly right: Expression
    }
  /** `isTight`: written without a sign, so that a/b(c) may mean a/(b·c). */
  | { readonly kind: 'product'; readonly left: Expression; readonly right: Expression; readonly isTight: boolean }
  /** 2 1/2, which in LaTeX may be a product. */
  | { readonly kind: 'mixed'; readonly whole: Expression; readonly part: Expression }
  | { readonly kind: 'root'; readonly of: Expression; readonly degree: Expression | null }
  | { readonly kind: 'binomial'; readonly n: Expression; readonly k: Expression }

/** One side of an equation. */
export interface Side {
  readonly expression: Expression
  /** The words behind its numbers. */
  readonly units: readonly string[]
  /** Whether something is calculated, not just written. */
  readonly hasOperation: boolean
  /** Whether its author may mean something else by it. */
  readonly isLoose: boolean
  /** The token behind it. */
  readonly end: number
}

interface Reader {
  readonly tokens: readonly Token[]
  readonly stop: number
  at: number
  depth: number
  readonly units: string[]
  hasOperation: boolean
  isLoose: boolean
}

const MAX_DEPTH = 40
const MAX_UNIT_WORDS = 4
const CLOSING: ReadonlyMap<string, string> = new Map([
  ['(', ')'],
  ['[', ']'],
  ['{', '}'],
])

function peek(reader: Reader): Token | undefined {
  return reader.at < reader.stop ? reader.tokens[reader.at] : undefined
}

function isOperator(token: Token | undefined, signs: string): boolean {
  return token?.kind === 'operator' && signs.includes(token.text)
}

/** What the brackets at `at` hold; null where they hold no expression. */
function readGroup(reader: Reader, opening?: string): Expression | null {
  const open = peek(reader)
  if (open?.kind !== 'open' || (opening !== undefined && open.text !== opening)) return null
  if (++reader.depth > MAX_DEPTH) return null
  reader.at++
  const inner = readSum(reader)
  const close = peek(reader)
  if (inner === null || close?.kind !== 'close' || close.text !== CLOSING.get(open.text)) return null
  reader.at++
  reader.depth--
  return inner
}

/** An argument of a LaTeX command: a group in braces, or one digit (`\frac12` is not read). */
function readArgument(reader: Reader): Expression | null {
  const token = peek(reader)
  if (token?.kind !== 'number') return readGroup(reader, '{')
  reader.at++
  return token.value.num < 10n && token.decimals === 0 ? number(token) : null
}

function number(token: Token & { kind: 'number' }): Expression {
  return { kind: 'number', value: token.value, decimals: token.decimals, zeros: token.zeros }
}

function readCommand(reader: Reader, command: 'frac' | 'sqrt' | 'binom'): Expression | null {
  reader.hasOperation = true
  reader.at++
  if (command === 'sqrt') {
    const next = peek(reader)
    const degree = next?.kind === 'open' && next.text === '[' ? readGroup(reader, '[') : null
    const of = peek(reader)?.kind === 'number' ? readNumber(reader) : readGroup(reader)
    return of === null ? null : { kind: 'root', of, degree }
  }
  const left = readArgument(reader)
  const right = left === null ? null : readArgument(reader)
  if (left === null || right === null) return null
  return command === 'frac' ? { kind: 'quotient', left, right } : { kind: 'binomial', n: left, k: right }
}

function isWhole(expression: Expression): boolean {
  return expression.kind === 'number' && expression.decimals === 0
}

function isProper(part: Expression): boolean {
  if (part.kind !== 'quotient' || part.left.kind !== 'number' || part.right.kind !== 'number') return false
  return isWhole(part.left) && isWhole(part.right) && part.left.value.num < part.right.value.num
}

/** A number; with a proper fraction behind it a mixed one. */
function readNumber(reader: Reader): Expression | null {
  const token = peek(reader)
  if (token?.kind !== 'number') return null
  reader.at++
  const whole = number(token)
  const [over, slash, under] = reader.tokens.slice(reader.at, Math.min(reader.at + 3, reader.stop))
  const start = reader.at
  if (!isWhole(whole)) return whole
  if (over?.kind === 'number' && isOperator(slash, '/') && under?.kind === 'number' && over.start > token.end) {
    reader.at += 3
    const part: Expression = { kind: 'quotient', left: number(over), right: number(under) }
    if (isProper(part)) return { kind: 'mixed', whole, part }
  } else if (over?.kind === 'command' && over.text === 'frac') {
    const part = readCommand(reader, 'frac')
    if (part !== null && isProper(part)) return { kind: 'mixed', whole, part }
  }
  reader.at = start
  return whole
}

function readPrimary(reader: Reader): Expression | null {
  const token = peek(reader)
  if (token?.kind === 'number') return readNumber(reader)
  if (token?.kind === 'open') return readGroup(reader)
  if (token?.kind === 'command') return readCommand(reader, token.text)
  if (token?.kind !== 'pi' && token?.kind !== 'name') return null
  reader.at++
  if (token.kind === 'pi') return { kind: 'pi' }
  return peek(reader)?.kind === 'open' ? null : { kind: 'name', name: token.text } // f(2) is no product
}

/** Takes the words behind an operand: "16 eggs", "60 miles / hour", "3 cm^2". */
function readUnits(reader: Reader): void {
  for (let count = 0; count < MAX_UNIT_WORDS; count++) {
    const slash = isOperator(peek(reader), '/') ? 1 : 0
    const word = reader.at + slash < reader.stop ? reader.tokens[reader.at + slash] : undefined
    if (word?.kind !== 'word' || PROSE.has(word.text)) return
    reader.at += slash + 1
    reader.units.push(word.text)
    if (count === 0 && AFTER_PART.has(word.text)) reader.isLoose = true
    const exponent = reader.at + 1 < reader.stop ? reader.tokens[reader.at + 1] : undefined
    if (isOperator(peek(reader), '^') && exponent?.kind === 'number') reader.at += 2
  }
}

function readPostfix(reader: Reader): Expression | null {
  let of = readPrimary(reader)
  while (of !== null && isOperator(peek(reader), '!%')) {
    const isFactorial = isOperator(peek(reader), '!')
    reader.hasOperation ||= isFactorial
    reader.at++
    of = { kind: isFactorial ? 'factorial' : 'percent', of }
  }
  if (of !== null) readUnits(reader)
  return of
}

function readPower(reader: Reader): Expression | null {
  const left = readPostfix(reader)
  if (left === null || !isOperator(peek(reader), '^')) return left
  reader.hasOperation = true
  reader.at++
  const isNegative = isOperator(peek(reader), '-')
  if (isNegative) reader.at++
  const right = readPostfix(reader)
  if (right === null) return null
  if (isOperator(peek(reader), '^')) return null // towers are read in two ways
  return { kind: 'power', left, right: isNegative ? { kind: 'negative', of: right } : right }
}

function readFactor(reader: Reader): Expression | null {
  const token = peek(reader)
  if (!isOperator(token, '+-')) return readPower(reader)
  reader.at++
  const of = isOperator(peek(reader), '+-') ? null : readPower(reader)
  return of === null || isOperator(token, '+') ? of : { kind: 'negative', of }
}

function startsTightFactor(token: Token | undefined): boolean {
  return token?.kind === 'open' || token?.kind === 'command' || token?.kind === 'name' || token?.kind === 'pi'
}

function readTerm(reader: Reader): Expression | null {
  let left = readFactor(reader)
  while (left !== null) {
    const token = peek(reader)
    const isTight = startsTightFactor(token) && reader.tokens[reader.at - 1].kind !== 'word'
    if (!isTight && !isOperator(token, '*/')) break
    if (!isTight) reader.at++
    reader.hasOperation = true
    const right: Expression | null = isTight ? readPower(reader) : readFactor(reader)
    if (right === null) return null
    left = isOperator(token, '/') ? { kind: 'quotient', left, right } : { kind: 'product', left, right, isTight }
  }
  return left
}

function isPercent(expression: Expression): boolean {
  return expression.kind === 'percent' || (expression.kind === 'negative' && expression.of.kind === 'percent')
}

function readSum(reader: Reader): Expression | null {
  let left = readTerm(reader)
  let isPercentage = left !== null && isPercent(left)
  while (left !== null && isOperator(peek(reader), '+-')) {
    const isSum = isOperator(peek(reader), '+')
    reader.hasOperation = true
    reader.at++
    const right = readTerm(reader)
    if (right === null) return null
    if (isPercent(right) !== isPercentage) reader.isLoose = true // "50 - 20%" means 20 % of the 50
    isPercentage = isPercent(right)
    left = { kind: isSum ? 'sum' : 'difference', left, right }
  }
  return left
}

/** The expression that starts at `start` and goes as far as it can, at most to `stop`; null where there is none. */
export function readSide(tokens: readonly Token[], start: number, stop: number): Side | null {
  const reader: Reader = { tokens, stop, at: start, depth: 0, units: [], hasOperation: false, isLoose: false }
  const expression = readSum(reader)
  if (expression === null) return null
  const { units, hasOperation, isLoose, at } = reader
  return { expression, units, hasOperation, isLoose, end: at }
}
