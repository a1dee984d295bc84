/** @file Tokens → tokens whose brackets hold expressions only, and whose words for operators are operators. */
import type { Mark, Token } from './token.ts'

const OPERATOR_WORDS: ReadonlyMap<string, '+' | '-' | '*'> = new Map([
  ['plus', '+'],
  ['minus', '-'],
  ['times', '*'],
])
const PAIRS: ReadonlyMap<string, '*' | '/'> = new Map([
  ['divided', '/'],
  ['multiplied', '*'],
])
const CLOSING: ReadonlyMap<string, string> = new Map([
  ['(', ')'],
  ['[', ']'],
  ['{', '}'],
  ['{set', '}set'],
])

function endsOperand(token: Token | undefined): boolean {
  return token?.kind === 'number' || token?.kind === 'close' || token?.text === '%'
}

function startsOperand(token: Token | undefined): boolean {
  return token?.kind === 'number' || token?.kind === 'open' || token?.kind === 'command' || token?.kind === 'pi'
}

/** "5 times 3", "12 divided by 4", "5% of 200", "1/2 of 8": words between two operands that are operators. */
function withOperators(tokens: readonly Token[]): Token[] {
  const result: Token[] = []
  for (let at = 0; at < tokens.length; at++) {
    const token = tokens[at]
    const before = result.at(-1)
    const isPair = tokens[at + 1]?.text === 'by' && PAIRS.has(token.text)
    const after = tokens[at + (isPair ? 2 : 1)]
    const isShare = before?.text === '%' || result.at(-2)?.text === '/' || before?.text === '}'
    const sign = isPair ? PAIRS.get(token.text) : token.text === 'of' && isShare ? '*' : OPERATOR_WORDS.get(token.text)
    if (token.kind === 'word' && sign !== undefined && endsOperand(before) && startsOperand(after)) {
      result.push({ kind: 'operator', text: sign, start: token.start, end: tokens[at + (isPair ? 1 : 0)].end })
      if (isPair) at++
    } else result.push(token)
  }
  return result
}

/** The bracket that closes each bracket, by index; those that match nothing are not in it. */
function matchBrackets(tokens: readonly Token[]): Map<number, number> {
  const pairs = new Map<number, number>()
  const open: number[] = []
  tokens.forEach((token, at) => {
    if (token.kind === 'open') open.push(at)
    if (token.kind !== 'close') return
    const partner = open.at(-1)
    if (partner === undefined || CLOSING.get(tokens[partner].text) !== token.text) return
    open.pop()
    pairs.set(partner, at)
  })
  return pairs
}

/** For each token, how many before it (itself left out) end an expression or relate two. */
function countBreaks(tokens: readonly Token[]): number[] {
  const counts = [0]
  for (const { kind } of tokens) counts.push((counts.at(-1) ?? 0) + (kind === 'stop' || kind === 'relation' ? 1 : 0))
  return counts
}

function reach(kind: Mark['kind'] | undefined): boolean {
  return kind === 'operator' || kind === 'relation' || kind === 'name' || kind === 'command'
}

/** "(20 cents)", "(since 4)": words, and nothing that is calculated. */
function isRemark(tokens: readonly Token[], open: number, close: number): boolean {
  if (tokens[open + 1].kind === 'word') return true
  if (tokens[open].text !== '(' || tokens[open - 1]?.end === tokens[open].start) return false
  const isShort = close - open < 8
  const inside = isShort ? tokens.slice(open + 1, close) : []
  return inside.some(({ kind }) => kind === 'word') && !inside.some(({ kind }) => kind === 'operator')
}

/**
 * Brackets around prose, pairs or whole equations become stops, so that what stands in them is read for itself; what
 * they are an operand of becomes unreadable.
 */
function withoutProse(tokens: readonly Token[]): Token[] {
  const result = [...tokens]
  const pairs = matchBrackets(tokens)
  const breaks = countBreaks(tokens)
  const isMatched = new Set<number>()
  for (const [open, close] of pairs) {
    isMatched.add(open).add(close)
    const isProse = close === open + 1 || breaks[close] > breaks[open] || isRemark(tokens, open, close)
    if (!isProse) continue
    const isOperand = reach(tokens[open - 1]?.kind) || reach(tokens[close + 1]?.kind)
    const text = tokens[open].text
    result[open] = { ...tokens[open], kind: isOperand ? 'unknown' : 'stop', text }
    result[close] = { ...tokens[close], kind: isOperand ? 'unknown' : 'stop', text }
  }
  tokens.forEach((token, at) => {
    if ((token.kind === 'open' || token.kind === 'close') && !isMatched.has(at)) {
      result[at] = { ...token, kind: 'stop', text: token.text }
    }
  })
  return result
}

function joins(token: Token | undefined): boolean {
  return token?.kind === 'relation' || (token?.kind === 'operator' && token.text !== '%' && token.text !== '!')
}

/** Lines that a relation or an operator joins are one; a colon between numbers is a ratio or a time. */
function withoutBreaks(tokens: readonly Token[], text: string): Token[] {
  const result: Token[] = []
  tokens.forEach((token, at) => {
    const before = result.at(-1)
    const after = tokens[at + 1]
    if (token.text === '\n' && after?.text === '\n') return
    if (token.text === ':' && before?.kind === 'number' && after?.kind === 'number') {
      const isLabel = before.end === token.start && /\s/.test(text[token.end] ?? ' ')
      result.push(isLabel ? token : { ...token, kind: 'unknown', text: ':' })
    } else if (token.text !== '\n') result.push(token)
    else if (after?.kind === 'operator' && before?.kind !== 'stop')
      result.push({ ...token, kind: 'unknown', text: '\n' })
    else if (!joins(before) && after?.kind !== 'relation') result.push(token)
  })
  return result
}

/** Prepares what `scan` found in `text` for reading: brackets, operators, line ends. */
export function arrange(tokens: readonly Token[], text: string): Token[] {
  return withoutProse(withoutBreaks(withOperators(tokens), text))
}
