/** @file Keys that cannot be printed by accident, and texts from outside without the keys that they echo. */
import { inspect } from 'node:util'

/** A key. Printing, inspecting, joining and JSON give `[secret]`; only `reveal` gives the key. */
export interface Secret {
  reveal(): string
}

const SHOWN = '[secret]'

/** What is shorter is a placeholder such as `EMPTY`, and may stand in any text. */
const SHORTEST_SECRET = 8

export function createSecret(key: string): Secret {
  const show = (): string => SHOWN
  return Object.freeze({ reveal: () => key, toString: show, toJSON: show, [inspect.custom]: show })
}

/**
 * A text from outside without the keys that it echoes: as they are, broken over lines, in base64 (also within a longer
 * text), URL-encoded, as JSON escapes them; and without what follows `Bearer`, whoever's it is.
 */
export function redact(text: string, secrets: readonly Secret[]): string {
  return redactKeys(text, secrets).replace(/\bBearer(?:\s+|%20)[\w.~+/=-]{16,}/gi, `Bearer ${SHOWN}`)
}

/** The same without a look at headers: for the replies of models, which may write of them. */
export function redactKeys(text: string, secrets: readonly Secret[]): string {
  let clean = text
  for (const secret of secrets) {
    const key = secret.reveal()
    if (key.length < SHORTEST_SECRET) continue
    for (const form of formsOf(key)) clean = clean.replace(broken(form), SHOWN)
  }
  return clean
}

function formsOf(key: string): Set<string> {
  const forms = new Set([key, encodeURIComponent(key), JSON.stringify(key).slice(1, -1)])
  for (const before of [0, 1, 2]) {
    const form = base64Within(key, before)
    forms.add(form).add(form.replaceAll('+', '-').replaceAll('/', '_'))
  }
  return forms
}

/** The characters of base64 that depend on the key alone, where `before` bytes (modulo 3) stand before it. */
function base64Within(key: string, before: number): string {
  const bytes = Buffer.concat([Buffer.alloc(before), Buffer.from(key)])
  const encoded = bytes.toString('base64')
  return encoded.slice(Math.ceil((before * 8) / 6), Math.floor((bytes.length * 8) / 6))
}

/** Matches a form of a key, also with line ends and blanks in it. Each character fits one way only: linear time. */
function broken(form: string): RegExp {
  const characters = Array.from(form, (character) => character.replace(/[\\^$.*+?()[\]{}|/-]/, '\\$&'))
  return new RegExp(characters.join('(?:\\s|\\\\[nrt])*'), 'g')
}
