/**
 * @file From the text of a reply to the object that was asked for. Nothing is guessed: a reply that holds no such
 * object, or two that differ, is unreadable.
 */
import type { z } from 'zod'

/** Braces are looked for in so much text. */
const MAX_CHARACTERS = 1 << 18
const MAX_OBJECTS = 50

export type Readable<T> = { readonly value: T } | { readonly unreadable: string }

/** The end of the JSON object that begins at `start`, or −1. Braces in strings do not count. */
function objectEnd(text: string, start: number): number {
  let depth = 0
  let inString = false
  for (let at = start; at < text.length; at++) {
    const char = text[at]
    if (inString) {
      if (char === '\\') at++
      else if (char === '"') inString = false
    } else if (char === '"') inString = true
    else if (char === '{') depth++
    else if (char === '}' && --depth === 0) return at + 1
  }
  return -1
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Outermost objects that stand in a text, parsed; prose and code fences around them are passed over. */
function* objectsIn(text: string): Generator<unknown> {
  let count = 0
  for (let start = text.indexOf('{'); start >= 0 && count < MAX_OBJECTS; count++) {
    const end = objectEnd(text, start)
    const value = end < 0 ? undefined : parse(text.slice(start, end))
    if (value !== undefined) yield value
    start = text.indexOf('{', value === undefined ? start + 1 : end)
  }
}

/** The one object in `text` that fits `schema`. The schema is strict: an object with more than was asked for does not fit. */
export function readObject<T>(text: string, schema: z.ZodType<T>): Readable<T> {
  if (text.length > MAX_CHARACTERS) return { unreadable: 'the reply is too long' }
  const whole = parse(text)
  const candidates = whole === undefined ? [...objectsIn(text)] : [whole]
  const found = new Map<string, T>()
  let problem = 'the reply holds no JSON object'
  for (const candidate of candidates) {
    const parsed = schema.safeParse(candidate, { jitless: true }) // compiling a schema that is used once takes longer
    if (parsed.success) found.set(JSON.stringify(parsed.data), parsed.data)
    else {
      const [{ path, message }] = parsed.error.issues
      problem = `${path.join('.') || 'the object'}: ${message}`.slice(0, 200)
    }
  }
  if (found.size > 1) return { unreadable: 'the reply holds two verdicts that differ' }
  for (const value of found.values()) return { value }
  return { unreadable: problem }
}
