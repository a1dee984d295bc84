/** @file Numbers as a person reads them. */

/** To so many significant digits: `0.4127`, `12`, `-0.0071`; below 10⁻⁴ with an exponent as in Python: `8.1e-06`. */
export function showNumber(value: number, digits = 2): string {
  if (!Number.isFinite(value)) return String(value)
  if (value === 0) return '0'
  if (Math.abs(value) >= 10 ** digits - 0.5) return value.toFixed(0)
  return Math.abs(value) < 1e-4 ? showExponent(value, digits) : value.toPrecision(digits)
}

/** Two significant digits at most and an exponent of two digits: `1e-05`, `8.1e-06`. */
export function showRate(value: number): string {
  return value === 0 || !Number.isFinite(value) ? showNumber(value) : showExponent(value, 2)
}

function showExponent(value: number, digits: number): string {
  const [mantissa, exponent] = value.toExponential(digits - 1).split('e')
  const sign = exponent.startsWith('-') ? '-' : '+'
  return `${mantissa.replace(/\.0+$/, '')}e${sign}${exponent.slice(1).padStart(2, '0')}`
}

/** With its sign, also where it is positive. */
export function showSigned(value: number): string {
  return (value > 0 ? '+' : '') + showNumber(value)
}

/** `06:41`, `1:02:03`. */
export function showDuration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '--:--'
  const whole = Math.max(0, Math.round(seconds))
  const two = (value: number): string => String(value).padStart(2, '0')
  const hours = Math.floor(whole / 3600)
  const minutes = two(Math.floor(whole / 60) % 60)
  return (hours > 0 ? `${hours}:` : '') + `${minutes}:${two(whole % 60)}`
}

const whole = new Intl.NumberFormat('en-US')
const compact = new Intl.NumberFormat('en-US', { notation: 'compact' })

/** `1,024`. */
export function showCount(count: number): string {
  return whole.format(count)
}

/** `596M`, `2.3M`. */
export function showCompact(count: number): string {
  return compact.format(count)
}

/** In units of 10⁹ bytes: `5.1 GB`. */
export function showGigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(1)} GB`
}
