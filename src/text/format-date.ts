/** @file Dates in the way of strftime, in English whatever the machine speaks: a prompt must not depend on it. */

type Part = (date: Date) => string

const pad = (value: number) => String(value).padStart(2, '0')
const name =
  (options: Intl.DateTimeFormatOptions): Part =>
  (date) =>
    date.toLocaleString('en-US', options)

const PARTS: ReadonlyMap<string, Part> = new Map<string, Part>([
  ['%Y', (date) => String(date.getFullYear())],
  ['%m', (date) => pad(date.getMonth() + 1)],
  ['%d', (date) => pad(date.getDate())],
  ['%H', (date) => pad(date.getHours())],
  ['%M', (date) => pad(date.getMinutes())],
  ['%S', (date) => pad(date.getSeconds())],
  ['%B', name({ month: 'long' })],
  ['%b', name({ month: 'short' })],
  ['%A', name({ weekday: 'long' })],
  ['%a', name({ weekday: 'short' })],
  ['%%', () => '%'],
])

/** Python's `strftime` for the directives that chat templates use; others stay as they are. Local time. */
export function formatDate(date: Date, format: string): string {
  return format.replace(/%./g, (directive) => PARTS.get(directive)?.(date) ?? directive)
}
