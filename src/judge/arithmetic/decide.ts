/** @file Two sides and what is said of them → whether that holds. */

import { fraction, hasDecimals, isEqual, toNumber, type Value } from '../../text/number.ts'
import {
  AS_WRITTEN,
  evaluate,
  type Names,
  otherReadings,
  PLAIN,
  plainValue,
  type Reading,
  type World,
  walk,
} from './evaluate.ts'
import type { Expression } from './parse.ts'

export type Outcome = 'holds' | 'doubtful' | 'false'

type Literal = Expression & { kind: 'number' }

/** π is often taken as 3.14 or 22/7. */
const PI_SLACK = 0.0016
const MAX_ROUNDED = 8
/** What ≈ relates is not called false where it is this near. */
const NEAR = 0.05

/** The number that a side is, without sign and %, where it is just that. */
function literal(expression: Expression): Literal | null {
  if (expression.kind === 'number') return expression
  return expression.kind === 'negative' || expression.kind === 'percent' ? literal(expression.of) : null
}

/** One in the last digit that was written; zeros at the end of a whole number count for it only after =. */
function unit(written: Literal, side: Expression, isApproximate: boolean, reading: Reading): number {
  const digits = isApproximate ? 10 ** written.zeros : 1
  const scale = side.kind === 'percent' && !reading.isPercentUnit ? 0.01 : 1
  return scale * digits * 10 ** -written.decimals
}

/** How a value compares with the digits written for it. */
function compareWritten(value: Value, written: Value, place: number, isApproximate: boolean): Outcome {
  if (isEqual(value, written)) return 'holds'
  const distance = Math.abs(toNumber(value) - toNumber(written))
  const decimals = Math.max(0, Math.round(-Math.log10(place)))
  if (!isApproximate && hasDecimals(value, decimals)) return 'false' // there was nothing to round
  // 10/3 = 3 leaves off what does not count; 0.667 for 2/3 is a rounded number.
  if (distance <= 0.5 * place * (1 + 1e-9)) return decimals === 0 && !isApproximate ? 'doubtful' : 'holds'
  if (distance <= place * (1 + 1e-9)) return 'doubtful'
  return isApproximate && distance <= NEAR * Math.abs(toNumber(value)) ? 'doubtful' : 'false'
}

function compare(left: Expression, right: Expression, isApproximate: boolean, world: World): Outcome | null {
  const a = evaluate(left, world)
  const b = evaluate(right, world)
  if (a === null || b === null) return null
  const written = literal(right)
  if (written !== null) return compareWritten(a, b, unit(written, right, isApproximate, world.reading), isApproximate)
  const other = literal(left)
  if (other !== null) return compareWritten(b, a, unit(other, left, isApproximate, world.reading), isApproximate)
  if (isEqual(a, b)) return 'holds'
  const distance = Math.abs(toNumber(a) - toNumber(b))
  return isApproximate && distance <= NEAR * Math.abs(toNumber(a)) ? 'doubtful' : 'false'
}

function value(expression: Expression, names: Names, literals = AS_WRITTEN): number {
  return toNumber(plainValue(expression, names, literals) ?? Number.NaN)
}

/** How far the difference of the sides may be off because their decimals (two or more) and π are rounded. */
function slack(left: Expression, right: Expression, names: Names): number {
  const rounded: Literal[] = []
  let hasPi = false
  for (const side of [left, right]) {
    walk(side, (part) => {
      if (part.kind === 'number' && part.decimals >= 2 && part !== side) rounded.push(part)
      if (part.kind === 'pi') hasPi = true
    })
  }
  if (rounded.length === 0 && !hasPi) return 0
  if (rounded.length > MAX_ROUNDED) return Number.POSITIVE_INFINITY
  const base = value(left, names) - value(right, names)
  let total = hasPi ? PI_SLACK * Math.abs(value(left, names)) : 0
  for (const part of rounded) {
    const half = fraction(1n, 2n * 10n ** BigInt(part.decimals))
    if (half === null) return Number.POSITIVE_INFINITY
    const moved = fraction(part.value.num * half.den + part.value.den * half.num, part.value.den * half.den)
    if (moved === null) return Number.POSITIVE_INFINITY
    const literals = new Map([[part, moved]])
    total += Math.abs(value(left, names, literals) - value(right, names, literals) - base)
  }
  return total
}

/** The place of the last digit written, for what its own rounding adds to the slack. */
function halfPlace(left: Expression, right: Expression): number {
  const written = literal(right) ?? literal(left)
  return written === null || written.decimals === 0 ? 0 : 0.5 * 10 ** -written.decimals
}

/** Whether `left = right` (or ≈) holds, in the reading that suits it best; null where a side has no value. */
export function decide(left: Expression, right: Expression, isApproximate: boolean, names: Names): Outcome | null {
  const compareIn = (reading: Reading): Outcome | null =>
    compare(left, right, isApproximate, { names, reading, literals: AS_WRITTEN })
  let best = compareIn(PLAIN)
  if (best === null || best === 'holds') return best
  for (const reading of otherReadings([left, right])) {
    const outcome = compareIn(reading)
    if (outcome === 'holds') return 'holds'
    if (outcome === 'doubtful') best = outcome
  }
  if (best !== 'false') return best
  const distance = Math.abs(value(left, names) - value(right, names))
  const total = slack(left, right, names)
  return total > 0 && !(distance > (total + halfPlace(left, right)) * (1 + 1e-9)) ? 'doubtful' : 'false'
}
