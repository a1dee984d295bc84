/** @file One step → what became of each of its equations. */
import { arrange } from './arrange.ts'
import { decide, type Outcome } from './decide.ts'
import { evaluate, PLAIN, walk } from './evaluate.ts'
import { type Chain, findChains, type Link } from './find.ts'
import { isEqual, show, toNumber, type Value } from './number.ts'
import type { Expression, Side } from './parse.ts'
import { scan } from './scan.ts'
import { CASE, COINS, DEFINED, DEFINITION, DOUBT, MEASURES, OTHER_ARITHMETIC } from './words.ts'

export interface Finding {
  readonly outcome: Outcome
  readonly equation: string
  readonly why: string
}

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

function valueIn(expression: Expression, context: Context): Value | null {
  return evaluate(expression, { names: context.names, reading: PLAIN, literals: new Map() })
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
  const total = valueIn(left.expression, context)
  const first = valueIn(start, context)
  return start !== right.expression && total !== null && first !== null && isEqual(total, first)
}

/** "3-5" may be from 3 to 5. */
function isRange({ side, start, end }: Link & { side: Side }, text: string): boolean {
  const { expression } = side
  if (expression.kind !== 'difference' || /\s/.test(text.slice(start, end))) return false
  const { left, right } = expression
  return left.kind === 'number' && right.kind === 'number' && toNumber(left.value) < toNumber(right.value)
}

/** "16 - 12 = 1/4 of 16", "48 = 100% + 20%": shares of something, not numbers. */
function isShare(left: Side, right: Side, written: string): boolean {
  return /\bof\b/.test(written) || (!left.hasOperation && written.includes('%') && right.hasOperation)
}

function isLoose(left: Link & { side: Side }, right: Link & { side: Side }, context: Context): boolean {
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

function hasSide(link: Link): link is Link & { side: Side } {
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

function checkPair(chain: Chain, at: number, context: Context): Finding | null {
  const left = chain.links[at]
  const right = chain.links[at + 1]
  const relation = chain.relations[at]
  if (relation === 'other' || !hasSide(left) || !hasSide(right)) return null
  const isApproximate = relation === '≈'
  let outcome = decide(left.side.expression, right.side.expression, isApproximate, context.names)
  if (outcome === null || !isClaim(chain, at)) return null
  const earlier = chain.links.slice(Math.max(0, at - 8), at).filter(hasSide)
  const agrees = ({ side }: { side: Side }): boolean =>
    decide(side.expression, right.side.expression, isApproximate, context.names) === 'holds'
  if (outcome === 'false' && (isLoose(left, right, context) || earlier.some(agrees))) outcome = 'doubtful'
  const from = writtenStart(context.text, left.start, right.end)
  const equation = quote(context.text.slice(from, right.end))
  const a = valueIn(left.side.expression, context)
  const b = valueIn(right.side.expression, context)
  if (a === null || b === null) return null
  const shown = left.side.hasOperation ? a : b
  const of = quote(
    left.side.hasOperation ? context.text.slice(from, left.end) : context.text.slice(right.start, right.end),
  )
  const why = outcome === 'doubtful' ? `${equation}: not clear` : `${equation}: ${of} is ${show(shown)}`
  return { outcome, equation, why }
}

/** What a chain says of the name that stands at one of its links; null where that is not clear. */
function assigned(chain: Chain, at: number, context: Context): Value | null {
  const last = chain.links.length - 1
  const partner = at === 0 ? chain.links[last] : at === 1 && last === 1 ? chain.links[0] : undefined
  if (!partner?.side || partner.side.isLoose || !chain.isPlain) return null
  const link = chain.links[at]
  if (isNear(context.cases, context, link, 0) || isNear(context.doubts, context, link, 0)) return null
  return valueIn(partner.side.expression, context)
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
    ...memory,
    text,
    sentenceEnds: positions(text, SENTENCE_END),
    doubts: positions(text, DOUBT),
    cases: positions(text, CASE),
  }
}

function checkText(text: string, memory: Memory): Finding[] {
  const context = contextOf(text, memory)
  const found: Finding[] = []
  for (const chain of findChains(arrange(scan(text), text))) {
    const findings = chain.relations.map((_, at) => checkPair(chain, at, context)).filter((one) => one !== null)
    remember(chain, findings, context)
    found.push(...findings)
  }
  return found
}

/** Checks the equations of a step and remembers what it assigns. */
export function checkStep(step: string, memory: Memory): Finding[] {
  const marks = [...step.matchAll(CALCULATOR)].flatMap(([, inside]) => checkText(inside, memory))
  return [
    ...marks,
    ...checkText(
      step.replace(CALCULATOR, (mark) => ' '.repeat(mark.length)),
      memory,
    ),
  ]
}
