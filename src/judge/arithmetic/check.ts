/** @file One step → what became of each of its equations. */

import { isEqual, show, toNumber, type Value } from '../../text/number.ts'
import { arrange } from './arrange.ts'
import { decide, type Outcome } from './decide.ts'
import { plainValue, walk } from './evaluate.ts'
import { type Chain, findChains, type Link } from './find.ts'
import type { Expression, Side } from './parse.ts'
import { scan } from './scan.ts'
import { CASE, COINS, DEFINED, DEFINITION, DOUBT, MEASURES, OTHER_ARITHMETIC } from './words.ts'

/** What became of the equation of two sides in `text`. */
export interface Finding {
  readonly outcome: Outcome
  readonly text: string
  readonly left: Claim
  readonly right: Claim
  /** Of the side that is calculated. */
  readonly value: Value
}

type Claim = Link & { readonly side: Side }

/** What earlier steps say of names. */
export interface Memory {
  readonly names: Map<string, Value | null>
  /** Whether the problem may not mean common arithmetic: then nothing is called false. */
  readonly isOther: boolean
}

export function newMemory(problem: string): Memory {
  const isDefined = DEFINITION.test(problem) && DEFINED.test(problem)
  return { names: new Map(), isOther: isDefined || OTHER_ARITHMETIC.test(problem) }
}

interface Context extends Memory {
  readonly text: string
  readonly sentenceEnds: readonly number[]
  readonly doubts: readonly number[]
  readonly cases: readonly number[]
}

const SENTENCE_END = /[.?!](?=\s|$)|\n/g
const CALCULATOR = /<<([^<>\n]{0,200})>>/g

function positions(text: string, pattern: RegExp): number[] {
  return [...text.matchAll(pattern)].map(({ index }) => index)
}

/** The first of sorted positions that is ≥ `from`. */
function firstFrom(sorted: readonly number[], from: number): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (sorted[middle] < from) low = middle + 1
    else high = middle
  }
  return low
}

/** Whether one of the sorted positions lies in the sentence of [start, end), or in `more` sentences after it. */
function isNear(
  sorted: readonly number[],
  context: Context,
  link: { start: number; end: number },
  more: number,
): boolean {
  const ends = context.sentenceEnds
  const from = ends[firstFrom(ends, link.start) - 1] ?? 0
  const to = ends[firstFrom(ends, link.end) + more] ?? context.text.length
  const found = sorted[firstFrom(sorted, from)]
  return found !== undefined && found <= to
}

/** The leftmost number or group of an expression. */
function leading(expression: Expression): Expression {
  switch (expression.kind) {
    case 'sum':
    case 'difference':
    case 'product':
    case 'quotient':
      return leading(expression.left)
    default:
      return expression
  }
}

function hasName(side: Side): boolean {
  let found = false
  walk(side.expression, ({ kind }) => {
    found ||= kind === 'name'
  })
  return found
}

function measures(side: Side): string[] {
  const words = side.units.flatMap((unit) => unit.split(/[^\p{L}]+/u))
  return words.filter((word) => MEASURES.has(word)).map((word) => word.replace(/s$/, ''))
}

function mixesMeasures(left: Side, right: Side, written: string): boolean {
  const found = new Set([...measures(left), ...measures(right)])
  return found.size > 1 || (/[$€£]/.test(written) && [...found].some((unit) => COINS.has(unit)))
}

/** "5 + 3 = 8 + 2 = 10" is how people keep a running total. */
function isRunningTotal(left: Side, right: Side, context: Context): boolean {
  const start = leading(right.expression)
  const total = plainValue(left.expression, context.names)
  const first = plainValue(start, context.names)
  return start !== right.expression && total !== null && first !== null && isEqual(total, first)
}

/** "3-5" may be from 3 to 5. */
function isRange({ side, start, end }: Claim, text: string): boolean {
  const { expression } = side
  if (expression.kind !== 'difference' || /\s/.test(text.slice(start, end))) return false
  const { left, right } = expression
  return left.kind === 'number' && right.kind === 'number' && toNumber(left.value) < toNumber(right.value)
}

/** "16 - 12 = 1/4 of 16", "48 = 100% + 20%": shares of something, not numbers. */
function isShare(left: Side, right: Side, written: string): boolean {
  return /\bof\b/.test(written) || (!left.hasOperation && written.includes('%') && right.hasOperation)
}

function isLoose(left: Claim, right: Claim, context: Context): boolean {
  const a = left.side
  const b = right.side
  if (context.isOther || isRange(left, context.text)) return true
  if (a.isLoose || b.isLoose || (!a.hasOperation && !b.hasOperation)) return true
  if (!a.hasOperation && a.units.length > 0) return true
  const from = writtenStart(context.text, left.start, right.end)
  if (mixesMeasures(a, b, context.text.slice(from, right.end))) return true
  if (isShare(a, b, context.text.slice(right.start, right.end))) return true
  return isRunningTotal(a, b, context) || isNear(context.doubts, context, { start: left.start, end: right.end }, 1)
}

function quote(text: string): string {
  return text.replace(/\s+/g, ' ').trim().slice(0, 200)
}

/** Where the equation in [start, end) starts, with the `\\left` or the sign of money that scanning passed over. */
function writtenStart(text: string, start: number, end: number): number {
  const before = /(?:\\left|\\?\$)$/.exec(text.slice(Math.max(0, start - 5), start))
  return before === null || (before[0] === '$' && text[end] === '$') ? start : start - before[0].length
}

function hasSide(link: Link): link is Claim {
  return link.side !== null
}

/**
 * Whether the equation after link `at` says something of numbers: one with known names only where it stands among the
 * steps of a calculation ("A = l * w = 3 * 5 = 15"). "0.07x = 1.89" may be yet to be solved, for another x.
 */
function isClaim(chain: Chain, at: number): boolean {
  const [left, right] = [chain.links[at], chain.links[at + 1]]
  if (left.name !== null || right.name !== null) return false
  if (![left, right].some(({ side }) => side !== null && hasName(side))) return true
  return chain.links.length > 2 && chain.isPlain
}

/** Whether an earlier side of the chain has the value of a claim's right side. */
function isHeldEarlier(chain: Chain, at: number, right: Claim, context: Context): boolean {
  const isApproximate = chain.relations[at] === '≈'
  const earlier = chain.links.slice(Math.max(0, at - 8), at).filter(hasSide)
  return earlier.some(
    ({ side }) => decide(side.expression, right.side.expression, isApproximate, context.names) === 'holds',
  )
}

function calculated(left: Claim, right: Claim): Claim {
  return left.side.hasOperation ? left : right
}

function checkPair(chain: Chain, at: number, context: Context): Finding | null {
  const left = chain.links[at]
  const right = chain.links[at + 1]
  const relation = chain.relations[at]
  if (relation === 'other' || !hasSide(left) || !hasSide(right) || !isClaim(chain, at)) return null
  const decided = decide(left.side.expression, right.side.expression, relation === '≈', context.names)
  const value = plainValue(calculated(left, right).side.expression, context.names)
  if (decided === null || value === null) return null
  const isDoubtful = decided === 'false' && (isLoose(left, right, context) || isHeldEarlier(chain, at, right, context))
  return { outcome: isDoubtful ? 'doubtful' : decided, text: context.text, left, right, value }
}

/** An equation as it is written. */
export function equationOf({ text, left, right }: Finding): string {
  return quote(text.slice(writtenStart(text, left.start, right.end), right.end))
}

export function explain(finding: Finding): string {
  const { outcome, text, left, right, value } = finding
  if (outcome === 'doubtful') return `${equationOf(finding)}: not clear`
  const shown = calculated(left, right)
  const from = shown === left ? writtenStart(text, left.start, right.end) : shown.start
  return `${equationOf(finding)}: ${quote(text.slice(from, shown.end))} is ${show(value)}`
}

/** What a chain says of the name that stands at one of its links; null where that is not clear. */
function assigned(chain: Chain, at: number, context: Context): Value | null {
  const last = chain.links.length - 1
  const partner = at === 0 ? chain.links[last] : at === 1 && last === 1 ? chain.links[0] : undefined
  if (!partner?.side || partner.side.isLoose || !chain.isPlain) return null
  const link = chain.links[at]
  if (isNear(context.cases, context, link, 0) || isNear(context.doubts, context, link, 0)) return null
  return plainValue(partner.side.expression, context.names)
}

/** "x = 5", "Let n = 3 + 4 = 7": the name is known from here on, until it is said to be something else. */
function remember(chain: Chain, findings: readonly Finding[], context: Context): void {
  const { names } = context
  const allHold = findings.every(({ outcome }) => outcome === 'holds')
  chain.links.forEach(({ name }, at) => {
    if (name === null) return
    const value = assigned(chain, at, context)
    const known = names.get(name)
    if (value === null && known === undefined) return // "x = 2y" says nothing yet
    const isSame = known === undefined || (known !== null && value !== null && isEqual(known, value))
    names.set(name, allHold && isSame ? value : null)
  })
}

function contextOf(text: string, memory: Memory): Context {
  return {
    text,
    sentenceEnds: positions(text, SENTENCE_END),
    doubts: positions(text, DOUBT),
    cases: positions(text, CASE),
    ...memory,
  }
}

function* checkText(text: string, memory: Memory): Generator<Finding> {
  const context = contextOf(text, memory)
  for (const chain of findChains(arrange(scan(text), text))) {
    const findings = chain.relations.map((_, at) => checkPair(chain, at, context)).filter((one) => one !== null)
    remember(chain, findings, context)
    yield* findings
  }
}

/** Checks the equations of a step and remembers what it assigns, as it is read to its end. */
export function* checkStep(step: string, memory: Memory): Generator<Finding> {
  for (const [, inside] of step.matchAll(CALCULATOR)) yield* checkText(inside, memory)
  yield* checkText(
    step.replace(CALCULATOR, (mark) => ' '.repeat(mark.length)),
    memory,
  )
}
