/** @file Marks of a final answer → what it is: quantities, words, and what is made of them. */
import { type Expression, readExpression } from './expression.ts'
import type { Mark } from './signs.ts'
import { unitOf } from './units.ts'

/** A number or formula. `unit` is '' where there is none that is known. */
export interface Quantity {
  readonly kind: 'quantity'
  readonly text: string
  readonly value: Expression
  readonly unit: string
}

/** What is compared letter by letter. */
export interface Words {
  readonly kind: 'words'
  readonly text: string
}

/** Items in order: tuples, intervals, matrices and their rows. */
export interface Sequence {
  readonly kind: 'sequence'
  readonly brackets: string
  readonly items: readonly Form[]
}

/** Items in any order: sets, unions, lists, what ± stands for. `isBare`: written without brackets. */
export interface Collection {
  readonly kind: 'collection'
  readonly isBare: boolean
  readonly items: readonly Form[]
}

/** `isLabel`: the left side only names what is on the right, as in x = 5. */
export interface Equation {
  readonly kind: 'equation'
  readonly isLabel: boolean
  readonly left: Form
  readonly right: Form
}

/** Sides with <, ≤ or ≠ between them. */
export interface Inequality {
  readonly kind: 'inequality'
  readonly signs: readonly string[]
  readonly sides: readonly Form[]
}

export type Form = Quantity | Words | Sequence | Collection | Equation | Inequality

const MAX_UNIT_MARKS = 6
const FLIPPED: ReadonlyMap<string, string> = new Map([
  ['>', '<'],
  ['≥', '≤'],
])

function textOf(marks: readonly Mark[]): string {
  return marks
    .map((mark, at) => (mark.kind === 'number' && marks[at - 1]?.kind === 'number' ? ` ${mark.text}` : mark.text))
    .join('')
}

function words(marks: readonly Mark[]): Words {
  return { kind: 'words', text: textOf(marks) }
}

/** The marks between those that `isCut` names outside all brackets. */
function partsOf(marks: readonly Mark[], isCut: (mark: Mark) => boolean): Mark[][] {
  const parts: Mark[][] = [[]]
  let depth = 0
  for (const mark of marks) {
    if (mark.kind === 'open') depth++
    if (mark.kind === 'close') depth--
    if (depth === 0 && isCut(mark)) parts.push([])
    else parts[parts.length - 1].push(mark)
  }
  return parts
}

function isSeparator(text: string): (mark: Mark) => boolean {
  return (mark) => mark.kind === 'separator' && mark.text === text
}

function itemsOf(marks: readonly Mark[]): Mark[][] {
  return partsOf(marks, isSeparator(',')).filter((part) => part.length > 0)
}

/** What the brackets hold that enclose all of the marks; null where there are none. */
function insideOf(marks: readonly Mark[]): Mark[] | null {
  let depth = 0
  const end = marks.findIndex((mark) => {
    if (mark.kind === 'open') depth++
    if (mark.kind === 'close') depth--
    return depth === 0
  })
  return marks[0]?.kind === 'open' && end === marks.length - 1 ? marks.slice(1, -1) : null
}

/** What ± stands for counts as items of its own. */
function readCollection(parts: readonly (readonly Mark[])[], isBare: boolean): Collection {
  const items = parts.map(readForm)
  return {
    kind: 'collection',
    isBare,
    items: items.flatMap((item) => (item.kind === 'collection' && item.isBare ? item.items : [item])),
  }
}

function readMatrix(inside: readonly Mark[], brackets: string): Form {
  const rows = partsOf(inside, isSeparator('\\')).filter((row) => row.length > 0)
  const items = rows.map((row): Form => {
    return { kind: 'sequence', brackets: 'row', items: partsOf(row, isSeparator('&')).map(readForm) }
  })
  return { kind: 'sequence', brackets, items }
}

/** Round and square brackets around one item mean nothing. */
function readBrackets(marks: readonly Mark[], inside: readonly Mark[]): Form {
  const brackets = marks[0].text + marks[marks.length - 1].text
  if (/[a-z]/.test(brackets) && brackets !== '{set}set') return readMatrix(inside, brackets)
  const items = itemsOf(inside)
  if (brackets === '{set}set') return readCollection(items, false)
  if (brackets === '{}' || (items.length === 1 && (brackets === '()' || brackets === '[]'))) return readForm(inside)
  return { kind: 'sequence', brackets, items: items.map(readForm) }
}

/** How many marks from the end on are a unit: words, their powers, and what they are divided by. */
function unitLength(marks: readonly Mark[]): number {
  let at = marks.length
  for (;;) {
    const last = marks[at - 1]
    const before = marks[at - 2]
    if (last?.kind === 'word' && last.text !== 'not') at--
    else if (last?.kind === 'number' && before?.text === '^' && marks[at - 3]?.kind === 'word') at -= 2
    else if (last?.text === '/' && before?.kind === 'word') at--
    else if (last?.kind === 'name' && before?.text === '/' && marks[at - 3]?.kind === 'word') at -= 2
    else return at > 0 && marks.length - at <= MAX_UNIT_MARKS ? marks.length - at : 0
  }
}

/** A sign of money before a number, or before its minus, is put behind. */
function withMoneyBehind(marks: readonly Mark[]): readonly Mark[] {
  const isMoney = (mark: Mark, at: number): boolean => {
    const next = marks[at + 1]?.text === '-' ? marks[at + 2] : marks[at + 1]
    return /^[$€£]$/.test(mark.text) && next?.kind === 'number'
  }
  const money = marks.filter(isMoney)
  return money.length === 0 ? marks : [...marks.filter((mark, at) => !isMoney(mark, at)), ...money]
}

function readQuantity(written: readonly Mark[]): Form {
  const marks = withMoneyBehind(written)
  const isAngle = marks.some(({ kind }) => kind === 'function')
  const end = marks.length - (isAngle ? 0 : unitLength(marks))
  const formula = marks.slice(0, end)
  const unit = unitOf(marks.slice(end).map(({ text }) => text))
  const signs = formula.some(({ text }) => text === '±' || text === '∓') ? [true, false] : [true]
  const items: Quantity[] = []
  for (const isPlus of signs) {
    const value = readExpression(formula, isPlus)
    if (value === null) return words(written)
    items.push({ kind: 'quantity', text: textOf(formula), value, unit })
  }
  return items.length === 1 ? items[0] : { kind: 'collection', isBare: true, items }
}

/** x, f(x), AB, \angle ABC, words: no number, no operation. */
function isLabel(marks: readonly Mark[]): boolean {
  const first = marks[0]?.kind
  return (first === 'name' || first === 'word') && !marks.some(({ kind }) => kind === 'operator' || kind === 'command')
}

function isVariable(marks: readonly Mark[]): boolean {
  return marks.length === 1 && marks[0].kind === 'name' && marks[0].text !== '∞'
}

const MINUS_INFINITY = readForm([
  { kind: 'operator', text: '-' },
  { kind: 'name', text: '∞' },
])
const INFINITY = readForm([{ kind: 'name', text: '∞' }])

/** x < 5 as (−∞, 5), 2 ≤ x < 3 as [2, 3): a variable between bounds; null for all others. */
function readInterval(sides: readonly (readonly Mark[])[], signs: readonly string[]): Form | null {
  const at = sides.findIndex(isVariable)
  if (signs.includes('≠') || at < 0 || sides.length > 3 || (sides.length === 3 && at !== 1)) return null
  const below = at === 0 ? MINUS_INFINITY : readForm(sides[at - 1])
  const above = at === sides.length - 1 ? INFINITY : readForm(sides[at + 1])
  const brackets = (signs[at - 1] === '≤' ? '[' : '(') + (signs[at] === '≤' ? ']' : ')')
  return { kind: 'sequence', brackets, items: [below, above] }
}

/** Sides, at least two, with signs between them. */
function readRelation(marks: readonly Mark[], sides: readonly (readonly Mark[])[]): Form {
  let at = -1
  const signs = sides.slice(1).map((_, before) => {
    at += sides[before].length + 1
    return marks[at].text
  })
  if (signs[0] === '∈') return readForm(marks.slice(sides[0].length + 1))
  if (signs.every((sign) => sign === '=')) {
    const right = readForm(sides[sides.length - 1])
    return { kind: 'equation', isLabel: isLabel(sides[0]), left: readForm(sides[0]), right }
  }
  const isDown = signs.every((sign) => FLIPPED.has(sign))
  const ordered = isDown ? sides.toReversed() : sides
  const upwards = isDown ? signs.toReversed().map((sign) => FLIPPED.get(sign) ?? sign) : signs
  if (!upwards.every((sign) => '<≤≠'.includes(sign))) return words(marks)
  return readInterval(ordered, upwards) ?? { kind: 'inequality', signs: upwards, sides: ordered.map(readForm) }
}

/** What some marks are. Recurs per bracket and separator. */
export function readForm(marks: readonly Mark[]): Form {
  const items = itemsOf(marks)
  if (items.length > 1) return readCollection(items, true)
  const [item = []] = items
  const sides = partsOf(item, ({ kind }) => kind === 'relation')
  if (sides.length > 1) return readRelation(item, sides)
  const members = partsOf(item, isSeparator('∪'))
  if (members.length > 1) return readCollection(members, true)
  const inside = insideOf(item)
  return inside === null ? readQuantity(item) : readBrackets(item, inside)
}
