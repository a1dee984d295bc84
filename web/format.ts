/** @file Numbers, times and sizes as people read them. */

const counts = new Intl.NumberFormat('en')
const short = new Intl.NumberFormat('en', { notation: 'compact' })

/** Four digits that count; a dash where there is no number. */
export function number(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return '–'
  if (value === 0) return '0'
  const size = Math.abs(value)
  if (size >= 1e6 || size < 1e-3) return value.toExponential(2).replace('-', '−').replace('e+', 'e')
  if (Number.isInteger(value)) return minus(counts.format(value))
  if (size >= 1000) return minus(counts.format(Math.round(value)))
  return minus(value.toFixed(size >= 100 ? 1 : size >= 10 ? 2 : 3))
}

/** At an axis: without zeros that say nothing. */
export function tick(value: number): string {
  if (value !== 0 && Math.abs(value) < 1e-3) return minus(value.toExponential(1).replace('.0e', 'e'))
  return Math.abs(value) >= 1e5 ? short.format(value) : minus(String(Number(value.toPrecision(6))))
}

export function count(value: number | null | undefined): string {
  return value === null || value === undefined ? '–' : counts.format(value)
}

/** A score of a step, in [0, 1] as a rule. */
export function score(value: number | null | undefined): string {
  return value === null || value === undefined ? '–' : minus(value.toFixed(2))
}

export function percent(value: number | null | undefined): string {
  return value === null || value === undefined ? '–' : `${minus((100 * value).toFixed(1))} %`
}

export function dollars(value: number | null | undefined): string {
  return value === null || value === undefined ? '–' : `$${value.toFixed(value < 1 && value > 0 ? 4 : 2)}`
}

export function bytes(value: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  const power = value < 1000 ? 0 : Math.min(4, Math.floor(Math.log10(value) / 3))
  return `${(value / 1000 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`
}

/** How long ago, in one unit. */
export function age(time: string, now: Date): string {
  const seconds = Math.max(0, (now.getTime() - Date.parse(time)) / 1000)
  if (Number.isNaN(seconds)) return '–'
  if (seconds < 60) return 'now'
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h`
  return `${Math.floor(seconds / 86_400)} d`
}

/** What a record of strangers holds, on one line. */
export function plain(value: unknown): string {
  if (value === null || value === undefined) return '–'
  if (typeof value === 'number') return Number.isFinite(value) ? minus(String(value)) : String(value)
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function minus(text: string): string {
  return text.replace('-', '−')
}
