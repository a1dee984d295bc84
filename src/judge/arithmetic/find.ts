/** @file Tokens of a step → the equations that stand in it. */
import { readSide, type Side } from './parse.ts'
import type { Token } from './token.ts'
import { BEFORE_PART, BEFORE_SIGN, PROSE } from './words.ts'

/** A side of a chain; `side` is null where it is no expression. */
export interface Link {
  readonly side: Side | null
  /** The characters [start, end) of it, without the words that follow it. */
  readonly start: number
  readonly end: number
  /** The name that stands alone as this side. */
  readonly name: string | null
}

type Relation = '=' | '≈' | 'other'

/** Sides a = b ≈ c with what relates each to the next. */
export interface Chain {
  readonly links: readonly Link[]
  readonly relations: readonly Relation[]
  /** Whether all of these are =. */
  readonly isPlain: boolean
}

const MAX_SIDE = 300
const MAX_WORDS = 4
/** How far back another calculation makes a side doubtful: "25 pupils + his 1 teacher + 1". */
const MAX_BEFORE = 20

/** Index of the bracket that closes the group which ends at `close`, going back no further than `low`. */
function openingOf(tokens: readonly Token[], close: number, low: number): number {
  let depth = 0
  for (let at = close; at >= low; at--) {
    if (tokens[at].kind === 'close') depth++
    if (tokens[at].kind === 'open' && --depth === 0) return at
  }
  return -1
}

/** Where the words that end before `at` start, if they follow an operand as its unit; else `at`. */
function unitStart(tokens: readonly Token[], at: number, low: number): number {
  const after = tokens[at]
  if (
    after.kind === 'number' ||
    after.kind === 'open' ||
    after.kind === 'command' ||
    after.kind === 'name' ||
    after.kind === 'pi'
  ) {
    return at
  }
  let start = at
  while (start > low && at - start < MAX_WORDS) {
    const { kind, text } = tokens[start - 1]
    if ((kind !== 'word' || PROSE.has(text)) && !(text === '/' && start < at)) break
    start--
  }
  const before = start > low ? tokens[start - 1] : undefined
  return before?.kind === 'number' || before?.kind === 'close' ? start : at
}

/** The first token of the expression that ends before `end`. */
function expressionStart(tokens: readonly Token[], end: number, low: number): number {
  let at = end
  while (at > low && end - at < MAX_SIDE) {
    const { kind } = tokens[at - 1]
    if (kind === 'close') {
      const open = openingOf(tokens, at - 1, Math.max(low, end - MAX_SIDE))
      if (open < 0) return at
      at = open
    } else if (kind === 'word') {
      const start = unitStart(tokens, at, low)
      if (start === at) return at
      at = start
    } else if (kind === 'name' && tokens[at].kind === 'number') return at
    else if (kind === 'unknown' || kind === 'stop' || kind === 'relation' || kind === 'open') return at
    else at--
  }
  return at
}

function link(tokens: readonly Token[], start: number, end: number, side: Side | null): Link {
  if (start === end)
    return { side: null, start: tokens[start - 1]?.end ?? 0, end: tokens[start - 1]?.end ?? 0, name: null }
  const first = tokens[start]
  const isName = end === start + 1 && first.kind === 'name'
  let last = end - 1
  while (last > start && tokens[last].kind === 'word') last--
  return { side, start: first.start, end: tokens[last].end, name: isName ? first.text : null }
}

/** What stands before the first side decides whether it is all of a calculation. */
function weigh(side: Side, tokens: readonly Token[], start: number, low: number): Side | null {
  const first = tokens[start]
  const before = start > low ? tokens[start - 1] : tokens[low - 1]
  const isInside = start > low
  if (first.kind === 'operator' && !(first.text === '-')) return null
  if (before?.kind === 'unknown') return null
  if (!isInside) return side
  if (!side.hasOperation) return null // "Cost of 3 apples =" is a heading
  if (before.kind !== 'word') return { ...side, isLoose: true }
  if (first.kind === 'operator' && !BEFORE_SIGN.has(before.text)) return null
  const earlier = start - 1 > low ? tokens[start - 2] : undefined
  const isSecond = before.text === 'and' && (earlier?.kind === 'number' || earlier?.kind === 'close')
  const isRest = tokens.slice(Math.max(low, start - MAX_BEFORE), start).some(({ kind }) => kind === 'operator')
  if (isSecond || isRest || BEFORE_PART.has(before.text)) return { ...side, isLoose: true }
  const isCall = first.kind === 'open' && first.text === '(' && !BEFORE_SIGN.has(before.text)
  if (isCall && before.end === first.start) return null
  return isCall ? { ...side, isLoose: true } : side
}

function firstLink(tokens: readonly Token[], low: number, end: number): Link {
  const start = expressionStart(tokens, end, low)
  const side = start === end || end - start > MAX_SIDE ? null : readSide(tokens, start, end)
  return link(tokens, start, end, side === null || side.end < end ? null : weigh(side, tokens, start, low))
}

/** What follows a relation, up to `stop`: prose may go on after it, but no operator and no number. */
function lastLink(tokens: readonly Token[], start: number, end: number): { link: Link; stop: number } {
  const side = start === end ? null : readSide(tokens, start, Math.min(end, start + MAX_SIDE))
  if (side === null) return { link: link(tokens, start, end, null), stop: end }
  const after = tokens[side.end]
  if (side.end === end) return { link: link(tokens, start, end, after?.kind === 'unknown' ? null : side), stop: end }
  const isWhole = after.kind === 'word' || tokens[side.end - 1].kind === 'word'
  return { link: link(tokens, start, side.end, isWhole ? side : null), stop: side.end }
}

function relationAt(tokens: readonly Token[], at: number): Relation {
  const token = tokens[at]
  return token.kind === 'relation' ? token.text : 'other'
}

/**
 * The chains of a stretch [low, high) of tokens with relations at `relations`: one, or more where prose stands between
 * two relations ("3 + 4 = 7 and 7 * 2 = 14").
 */
function* chainsOf(
  tokens: readonly Token[],
  low: number,
  high: number,
  relations: readonly number[],
): Generator<Chain> {
  let links = [firstLink(tokens, low, relations[0])]
  let kinds: Relation[] = []
  for (const [i, at] of relations.entries()) {
    const end = relations[i + 1] ?? high
    const next = lastLink(tokens, at + 1, end)
    links.push(next.link)
    kinds.push(relationAt(tokens, at))
    const isLast = i === relations.length - 1
    if (!isLast && next.stop === end) continue
    yield { links, relations: kinds, isPlain: kinds.every((relation) => relation === '=') }
    if (isLast) return
    links = [firstLink(tokens, next.stop, end)]
    kinds = []
  }
}

/** Every chain of equations, in order. */
export function* findChains(tokens: readonly Token[]): Generator<Chain> {
  let low = 0
  let relations: number[] = []
  for (let at = 0; at <= tokens.length; at++) {
    const kind = tokens[at]?.kind
    if (kind === 'relation') relations.push(at)
    if (kind !== undefined && kind !== 'stop') continue
    if (relations.length > 0) yield* chainsOf(tokens, low, at, relations)
    low = at + 1
    relations = []
  }
}
