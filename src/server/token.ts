/** @file Secrets of one start of the server: the token of the login link, and the cookie that is given for it. */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'

export interface Secret {
  readonly text: string
  /** In constant time. */
  equals(given: string): boolean
}

export function makeSecret(): Secret {
  const text = randomBytes(32).toString('base64url')
  const hash = hashOf(text)
  return { text, equals: (given) => timingSafeEqual(hashOf(given), hash) }
}

/** Hashes have one length, whatever was given. */
function hashOf(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
