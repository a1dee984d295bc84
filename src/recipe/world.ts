/** @file What a recipe takes from the process it runs in, so that tests can bring their own. */
import type { Clock } from '../judge/clock.ts'

export interface World {
  now(): Date
  /** Of a clock that only goes forward. */
  seconds(): number
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Asks to save and stop. */
  readonly signal: AbortSignal
  /** Whose money judges spend: one cap and one account for all stages of a longer recipe. Each folder's own without it. */
  readonly spender?: string
  /** For long waiting; the system's without it. */
  readonly clock?: Clock
}

export function systemWorld(signal: AbortSignal = new AbortController().signal): World {
  return { now: () => new Date(), seconds: () => performance.now() / 1000, environment: process.env, signal }
}
