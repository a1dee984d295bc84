/** @file Keys that cannot be printed by accident, and texts from outside without the keys that they echo. */
import { inspect } from 'node:util'

/** A key. Printing, inspecting, joining and JSON give `[secret]`; only `reveal` gives the key. */
export interface Secret {
  reveal(): string
  /** A text without the key, in whatever form it stands there. */
  remove(text: string): string
}

const SHOWN = '[secret]'

/** What is shorter is a placeholder such as `EMPTY`, and may stand in any text. */
const SHORTEST_SECRET = 8

/** So many characters of a key in a row are a leak; of a shorter key, so many as a key has at least. */
const LEAK = 12

/** May stand within a key that is broken over lines, also in a text that is itself JSON. */
const BLANKS = /\s+|\\[nrt]/g

export function createSecret(key: string): Secret {
  const show = (): string => SHOWN
  const size = key.length < LEAK ? SHORTEST_SECRET : LEAK
  let parts: ReadonlySet<string> | undefined
  const remove = (text: string): string => {
    if (key.length < SHORTEST_SECRET) return text
    parts ??= new Set(formsOf(key).flatMap((form) => windowsOf(form.replace(BLANKS, ''), size)))
    return without(text, parts, size)
  }
  return Object.freeze({ reveal: () => key, remove, toString: show, toJSON: show, [inspect.custom]: show })
}

/**
 * A text from outside without the keys that it echoes, in whole or in parts of 12 characters: as they are, broken over
 * lines, backwards, in base64 (also within a longer text), in hex, URL-encoded, as JSON escapes them; and without what
 * follows `Bearer`, whoever's it is.
 */
export function redact(text: string, secrets: readonly Secret[]): string {
  return redactKeys(text, secrets).replace(/\bBearer(?:\s+|%20)[\w.~+/=-]{16,}/gi, `Bearer ${SHOWN}`)
}

/** The same without a look at headers: for the replies of models, which may write of them. */
export function redactKeys(text: string, secrets: readonly Secret[]): string {
  return secrets.reduce((clean, secret) => secret.remove(clean), text)
}

function formsOf(key: string): string[] {
  const encoded = encodeURIComponent(key)
  const hex = Buffer.from(key).toString('hex')
  const lower = encoded.replace(/%../g, (code) => code.toLowerCase())
  const forms = [key, encoded, lower, JSON.stringify(key).slice(1, -1), hex, hex.toUpperCase()]
  for (const before of [0, 1, 2]) {
    const form = base64Within(key, before)
    forms.push(form, form.replaceAll('+', '-').replaceAll('/', '_'))
  }
  return [...forms, ...forms.map((form) => [...form].reverse().join(''))]
}

/** The characters of base64 that depend on the key alone, where `before` bytes (modulo 3) stand before it. */
function base64Within(key: string, before: number): string {
  const bytes = Buffer.concat([Buffer.alloc(before), Buffer.from(key)])
  const encoded = bytes.toString('base64')
  return encoded.slice(Math.ceil((before * 8) / 6), Math.floor((bytes.length * 8) / 6))
}

function windowsOf(form: string, size: number): string[] {
  return Array.from({ length: Math.max(0, form.length - size + 1) }, (_, at) => form.slice(at, at + size))
}

/** Linear in the length of the text: each of its windows is looked up once. */
function without(text: string, parts: ReadonlySet<string>, size: number): string {
  const bare = text.replace(BLANKS, '')
  const found: number[] = []
  for (let at = 0; at + size <= bare.length; at++) if (parts.has(bare.slice(at, at + size))) found.push(at)
  if (found.length === 0) return text
  const places = placesOf(text)
  let clean = ''
  let from = 0
  for (let index = 0; index < found.length; ) {
    const start = found[index]
    let end = start + size
    for (index++; index < found.length && found[index] <= end; index++) end = found[index] + size
    clean += text.slice(from, places[start]) + SHOWN
    from = places[end - 1] + 1
  }
  return clean + text.slice(from)
}

/** Where the characters stand that are not blanks. */
function placesOf(text: string): number[] {
  const places: number[] = []
  let from = 0
  const addUntil = (end: number): void => {
    for (let at = from; at < end; at++) places.push(at)
  }
  for (const { 0: blank, index } of text.matchAll(BLANKS)) {
    addUntil(index)
    from = index + blank.length
  }
  addUntil(text.length)
  return places
}
