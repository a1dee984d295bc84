/** @file Stop strings: where a text ends, and whether tokens that come one after another have completed one. */

/** Where a text is cut, and by which stop string. */
export interface Cut {
  readonly at: number
  readonly stop: string
}

/** The earliest of the stop strings in a text; of those that begin together, the longest. */
export function findStop(text: string, stops: readonly string[]): Cut | undefined {
  let found: Cut | undefined
  for (const stop of stops) {
    const at = text.indexOf(stop)
    if (at < 0) continue
    if (found === undefined || at < found.at || (at === found.at && stop.length > found.stop.length))
      found = { at, stop }
  }
  return found
}

/** The text of ids that follow others. */
export type Decode = (ids: readonly number[]) => string

/** Remembers the text of single tokens. */
export function rememberTokens(decode: Decode): Decode {
  const known = new Map<number, string>()
  return (ids) => {
    if (ids.length !== 1) return decode(ids)
    const text = known.get(ids[0]) ?? decode(ids)
    known.set(ids[0], text)
    return text
  }
}

/** A character of UTF-8 is at most four tokens long. Of text that is broken for longer, the tokens stand for themselves. */
const MOST_PENDING = 4
const BROKEN = '\ufffd'

/** Takes tokens one after another; true at the one that completes a stop string. */
export function watchStops(decode: Decode, stops: readonly string[]): (id: number) => boolean {
  if (stops.length === 0) return () => false
  const longest = Math.max(...stops.map((stop) => stop.length))
  let tail = ''
  let pending: number[] = []
  return (id) => {
    pending.push(id)
    const piece = decode(pending)
    if (piece.endsWith(BROKEN) && pending.length < MOST_PENDING) return false // a character that is not whole yet
    pending = []
    const text = tail + piece
    tail = text.slice(Math.max(0, text.length - longest + 1))
    return stops.some((stop) => text.includes(stop))
  }
}
