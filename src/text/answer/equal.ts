/**
 * @file Whether two final answers are the same. Numbers that are rational are compared exactly, others as floats, and
 * formulas by their values at three points; decimals are not rounded: 0.33 is not 1/3.
 */
import { add, divide, type Fraction, multiply, negate, toNumber, type Value } from '../number.ts'
import type { Point } from './expression.ts'
import { type Equation, type Form, type Quantity, readForm, type Words } from './form.ts'
import { scan } from './scan.ts'

/** Longer answers are compared letter by letter: it bounds time and recursion. */
const MAX_LENGTH = 500
/** Of floats: relative, and absolute for what cancels. */
const RELATIVE = 1e-11
const ABSOLUTE = 1e-14
const ZERO: Fraction = { num: 0n, den: 1n }
const HUNDRED: Fraction = { num: 100n, den: 1n }

/** Where quantities of both answers are worked out, and what came out. */
interface Comparison {
  readonly points: readonly Point[]
  readonly values: Map<Quantity, readonly (Value | null)[]>
}

/**
 * Three values for each name, one below 0, one between 0 and 1, one above. Their denominator is a prime: a polynomial in
 * one variable that is 0 at all three has a leading coefficient that 1013³ divides.
 */
function makePoints(names: readonly string[]): Point[] {
  const sorted = [...new Set(names)].sort()
  if (sorted.length === 0) return [new Map()]
  const at = (move: (num: bigint) => bigint): Point =>
    new Map(sorted.map((name, k) => [name, { num: move(BigInt(((k + 1) * 389) % 1009)), den: 1013n }]))
  return [at((num) => num), at((num) => num + 1013n), at((num) => -num - 311n)]
}

function sameValue(a: Value, b: Value): boolean {
  if (typeof a !== 'number' && typeof b !== 'number') return a.num === b.num && a.den === b.den
  const [x, y] = [toNumber(a), toNumber(b)]
  return Math.abs(x - y) <= Math.max(ABSOLUTE, RELATIVE * Math.max(Math.abs(x), Math.abs(y)))
}

/** Defined at the same points, at one of them at least, and the same there. */
function sameValues(a: readonly (Value | null)[], b: readonly (Value | null)[]): boolean {
  if (a.every((value) => value === null)) return false
  return a.every((value, at) => {
    const other = b[at]
    return value === null || other === null ? value === other : sameValue(value, other)
  })
}

function valuesOf(quantity: Quantity, { points, values }: Comparison): readonly (Value | null)[] {
  const known = values.get(quantity) ?? points.map((point) => quantity.value(point))
  values.set(quantity, known)
  return known
}

/** 40% is 40 and 0.4. */
function sameQuantity(a: Quantity, b: Quantity, comparison: Comparison): boolean {
  if (a.unit !== b.unit && a.unit !== '' && b.unit !== '') return false
  if (a.text === b.text) return true
  const [left, right] = [valuesOf(a, comparison), valuesOf(b, comparison)]
  if (sameValues(left, right)) return true
  if (a.unit === b.unit || ![a.unit, b.unit].includes('%')) return false
  const share = (values: readonly (Value | null)[]): (Value | null)[] =>
    values.map((value) => (value === null ? null : divide(value, HUNDRED)))
  return a.unit === '%' ? sameValues(share(left), right) : sameValues(left, share(right))
}

/** Left minus right at each point; null where a side is no quantity. */
function differences({ left, right }: Equation, comparison: Comparison): (Value | null)[] | null {
  if (left.kind !== 'quantity' || right.kind !== 'quantity') return null
  const subtrahends = valuesOf(right, comparison)
  return valuesOf(left, comparison).map((minuend, at) => {
    const subtrahend = subtrahends[at]
    return minuend === null || subtrahend === null ? null : add(minuend, negate(subtrahend))
  })
}

/** The same sides, or the difference of one's sides a constant multiple of the other's: x + 1 = y, 2y − 2x = 2. */
function sameEquation(a: Equation, b: Equation, comparison: Comparison): boolean {
  if (sameForm(a.left, b.left, comparison) && sameForm(a.right, b.right, comparison)) return true
  const [left, right] = [differences(a, comparison), differences(b, comparison)]
  const [first, second] = [left?.[0] ?? null, right?.[0] ?? null]
  if (left === null || right === null || first === null || second === null) return false
  if (sameValue(first, ZERO) || sameValue(second, ZERO)) return false
  const scaled = (values: readonly (Value | null)[], by: Value): (Value | null)[] =>
    values.map((value) => (value === null ? null : multiply(value, by)))
  return sameValues(scaled(left, second), scaled(right, first))
}

function sameInOrder(a: readonly Form[], b: readonly Form[], comparison: Comparison): boolean {
  return a.length === b.length && a.every((form, at) => sameForm(form, b[at], comparison))
}

/** Whether each item has a partner of its own among the others (Kuhn's augmenting paths: sameness is not transitive). */
function sameInAnyOrder(a: readonly Form[], b: readonly Form[], comparison: Comparison): boolean {
  if (a.length !== b.length) return false
  const partners = a.map((form) => [...b.keys()].filter((at) => sameForm(form, b[at], comparison)))
  const holders = new Map<number, number>()
  const place = (item: number, tried: Set<number>): boolean =>
    partners[item].some((at) => {
      if (tried.has(at)) return false
      tried.add(at)
      const holder = holders.get(at)
      if (holder !== undefined && !place(holder, tried)) return false
      holders.set(at, item)
      return true
    })
  return a.every((_, item) => place(item, new Set()))
}

function sameLeaf(a: Quantity | Words, b: Quantity | Words, comparison: Comparison): boolean {
  if (a.kind === 'quantity' && b.kind === 'quantity') return sameQuantity(a, b, comparison)
  return a.text.toLowerCase() === b.text.toLowerCase()
}

/** Each rule comes with its mirror image, so that order does not matter. */
function sameForm(a: Form, b: Form, comparison: Comparison): boolean {
  if (a.kind === 'equation' && b.kind === 'equation') return sameEquation(a, b, comparison)
  if (a.kind === 'equation') return a.isLabel && sameForm(a.right, b, comparison)
  if (b.kind === 'equation') return sameForm(b, a, comparison)
  if (a.kind === 'collection') {
    if (b.kind === 'collection') return sameInAnyOrder(a.items, b.items, comparison)
    if (a.items.length === 1) return sameForm(a.items[0], b, comparison)
    return a.isBare && b.kind === 'sequence' && b.brackets === '()' && sameInOrder(a.items, b.items, comparison)
  }
  if (b.kind === 'collection') return sameForm(b, a, comparison)
  if (a.kind === 'sequence' || b.kind === 'sequence') {
    if (a.kind !== 'sequence' || b.kind !== 'sequence') return false
    return a.brackets === b.brackets && sameInOrder(a.items, b.items, comparison)
  }
  if (a.kind === 'inequality' || b.kind === 'inequality') {
    if (a.kind !== 'inequality' || b.kind !== 'inequality') return false
    return a.signs.join('') === b.signs.join('') && sameInOrder(a.sides, b.sides, comparison)
  }
  return sameLeaf(a, b, comparison)
}

/**
 * Whether two final answers are the same. Never throws; time is bounded; order does not matter; not transitive, since
 * what one answer leaves open agrees with both readings: 40% is 40 and 0.4; 5 is 5 cm and 5 m, which differ; 1,2 is
 * {1,2} and (1,2).
 */
export function answersEqual(a: string, b: string): boolean {
  const [first, second] = [a.trim(), b.trim()]
  if (first === second) return true
  if (first.length > MAX_LENGTH || second.length > MAX_LENGTH) return false
  const [left, right] = [scan(first), scan(second)]
  const names = [...left, ...right].filter(({ kind }) => kind === 'name').map(({ text }) => text)
  return sameForm(readForm(left), readForm(right), { points: makePoints(names), values: new Map() })
}
