/**
 * @file Numbers of written arithmetic: fractions of big integers as long as everything is rational, floats after
 * that. Every operation gives null for what is undefined or too large to be worth knowing.
 */

/** A fraction in lowest terms with a positive denominator. */
export interface Fraction {
  readonly num: bigint
  readonly den: bigint
}

/** A float stands for an irrational number, known to a relative 1e-9. */
export type Value = Fraction | number

const LARGEST = 10n ** 200n
const MAX_EXPONENT = 1000
const MAX_FACTORIAL = 120n

function gcd(a: bigint, b: bigint): bigint {
  let x = a < 0n ? -a : a
  let y = b < 0n ? -b : b
  while (y !== 0n) [x, y] = [y, x % y]
  return x
}

function isBounded(n: bigint): boolean {
  return n < LARGEST && n > -LARGEST
}

/** num / den, null for a zero denominator and beyond 200 digits. */
export function fraction(num: bigint, den = 1n): Fraction | null {
  if (den === 0n || !isBounded(num) || !isBounded(den)) return null
  if (den === 1n) return { num, den }
  const divisor = den < 0n ? -gcd(num, den) : gcd(num, den)
  return { num: num / divisor, den: den / divisor }
}

export function toNumber(value: Value): number {
  return typeof value === 'number' ? value : Number(value.num) / Number(value.den)
}

function float(x: number): number | null {
  return Number.isFinite(x) ? x : null
}

function isFloat(a: Value, b: Value): boolean {
  return typeof a === 'number' || typeof b === 'number'
}

export function negate(a: Value): Value {
  return typeof a === 'number' ? -a : { num: -a.num, den: a.den }
}

export function add(a: Value, b: Value): Value | null {
  if (typeof a === 'number' || typeof b === 'number') return float(toNumber(a) + toNumber(b))
  return fraction(a.num * b.den + b.num * a.den, a.den * b.den)
}

export function multiply(a: Value, b: Value): Value | null {
  if (typeof a === 'number' || typeof b === 'number') return float(toNumber(a) * toNumber(b))
  return fraction(a.num * b.num, a.den * b.den)
}

export function divide(a: Value, b: Value): Value | null {
  if (typeof a === 'number' || typeof b === 'number') return float(toNumber(a) / toNumber(b))
  return fraction(a.num * b.den, a.den * b.num)
}

export function power(base: Value, exponent: Value): Value | null {
  if (isFloat(base, exponent) || typeof exponent === 'number' || exponent.den !== 1n) {
    return float(toNumber(base) ** toNumber(exponent)) // NaN for a negative base
  }
  const wanted = Number(exponent.num)
  if (Math.abs(wanted) > MAX_EXPONENT || (wanted === 0 && toNumber(base) === 0)) return null
  let square: Value | null = wanted < 0 ? divide({ num: 1n, den: 1n }, base) : base
  let result: Value | null = { num: 1n, den: 1n }
  for (let rest = Math.abs(wanted); rest > 0 && result !== null; rest = Math.floor(rest / 2)) {
    if (square === null) return null
    if (rest % 2 === 1) result = multiply(result, square)
    if (rest > 1) square = multiply(square, square)
  }
  return result
}

/** The real root of a degree; of a negative number only where the degree is odd. */
export function root(of: Value, degree: Value): Value | null {
  const x = toNumber(of)
  const n = toNumber(degree)
  if (!Number.isInteger(n) || n < 2) return null
  if (n === 2) return float(Math.sqrt(x))
  if (n === 3) return float(Math.cbrt(x))
  return x < 0 && n % 2 === 1 ? float(-((-x) ** (1 / n))) : float(x ** (1 / n))
}

export function factorial(of: Value): Value | null {
  if (typeof of === 'number' || of.den !== 1n || of.num < 0n || of.num > MAX_FACTORIAL) return null
  let product = 1n
  for (let factor = 2n; factor <= of.num; factor++) product *= factor
  return fraction(product)
}

export function binomial(n: Value, k: Value): Value | null {
  if (typeof n === 'number' || typeof k === 'number' || n.den !== 1n || k.den !== 1n) return null
  if (n.num < 0n || k.num < 0n || n.num > 10_000n) return null
  if (k.num > n.num) return { num: 0n, den: 1n }
  const count = k.num * 2n > n.num ? n.num - k.num : k.num
  let result = 1n
  for (let i = 1n; i <= count; i++) {
    result = (result * (n.num - count + i)) / i
    if (!isBounded(result)) return null
  }
  return fraction(result)
}

/** Equal: exactly where both are fractions, else to a relative 1e-9. */
export function isEqual(a: Value, b: Value): boolean {
  if (typeof a === 'number' || typeof b === 'number') {
    const x = toNumber(a)
    const y = toNumber(b)
    return Math.abs(x - y) <= 1e-9 * Math.max(1, Math.abs(x), Math.abs(y))
  }
  return a.num === b.num && a.den === b.den
}

/** Whether a value can be written with so many digits after the point. */
export function hasDecimals(value: Value, decimals: number): boolean {
  const scale = 10n ** BigInt(decimals)
  if (typeof value === 'number') return isEqual(value, Math.round(value * Number(scale)) / Number(scale))
  return (value.num * scale) % value.den === 0n
}

const LONGEST_SHOWN = 10n ** 15n

function isLong(n: bigint): boolean {
  return n > LONGEST_SHOWN || n < -LONGEST_SHOWN
}

/** The value as a person writes it: `64`, `2.5`, `10/3 (3.33333)`, `1.41421`. */
export function show(value: Value): string {
  const short = String(Number(toNumber(value).toPrecision(6)))
  if (typeof value === 'number') return short
  if (isLong(value.num) || isLong(value.den)) return short
  if (value.den === 1n) return String(value.num)
  return hasDecimals(value, 6) ? String(toNumber(value)) : `${value.num}/${value.den} (${short})`
}
