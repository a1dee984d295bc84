/** @file Waiting for a server over hours: what is free and harmless is repeated until it succeeds. */
import { ChatError } from './chat.ts'
import type { Clock } from './clock.ts'
import { stoppedError } from './stopped.ts'

const FIRST_WAIT_MS = 5000
const LONGEST_WAIT_MS = 60_000
const MOST_FAILURES = 30 // half an hour

/** A few seconds first, later a minute. `count`: how often was waited before. */
export function pollWaitMs(count: number): number {
  return Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 1.5 ** count)
}

export interface Patience {
  readonly clock: Clock
  readonly signal: AbortSignal
}

/** @throws ChatError `stopped` where the signal ends it. */
export async function wait(delayMs: number, { clock, signal }: Patience): Promise<void> {
  await clock.sleep(delayMs, signal).catch(() => {
    throw stoppedError(true)
  })
}

/** @throws what `work` throws, where asking again does not help or has not helped for half an hour. */
export async function patiently<T>(patience: Patience, work: () => Promise<T>): Promise<T> {
  for (let failures = 0; ; failures++) {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof ChatError) || !error.facts.isTransient || failures === MOST_FAILURES) throw error
      await wait(pollWaitMs(failures), patience)
    }
  }
}
