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
  ['%y', (date) => pad(date.getFullYear() % 100)],
  ['%e', (date) => String(date.getDate()).padStart(2)],
  ['%I', (date) => pad(date.getHours() % 12 || 12)],
  ['%p', (date) => (date.getHours() < 12 ? 'AM' : 'PM')],
  ['%-d', (date) => String(date.getDate())],
  ['%-m', (date) => String(date.getMonth() + 1)],
  ['%-H', (date) => String(date.getHours())],
  ['%-I', (date) => String(date.getHours() % 12 || 12)],
  ['%%', () => '%'],
])

/**
 * Python's `strftime` for the directives that chat templates use. Local time.
 * @throws Error for other directives.
 */
export function formatDate(date: Date, format: string): string {
  return format.replace(/%[-_0^#]?.?/gs, (directive) => {
    const part = PARTS.get(directive)
    if (part === undefined) throw new Error(`the directive ${directive} of a date is not supported`)
    return part(date)
  })
}
