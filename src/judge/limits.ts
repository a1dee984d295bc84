/**
 * @file How fast a provider is asked: requests at once, requests and tokens in any 60 s, and pauses that all its askers
 * keep together. Who came first goes first.
 */
import { type Clock, systemClock } from './clock.ts'
import { stoppedError } from './stopped.ts'

export interface LimitOptions {
  readonly concurrency: number
  /** Null: no limit. */
  readonly requestsPerMinute: number | null
  readonly tokensPerMinute: number | null
}

/** A request's place among those that are sent at once. */
export interface Slot {
  /** Gives the place to the next. `tokens` is what the request took, where that is known. */
  leave(tokens: number | null): void
}

export interface Limits {
  /** Waits for a place for a request of at most `tokens`. @throws ChatError `stopped` where `signal` says so. */
  enter(tokens: number, signal: AbortSignal): Promise<Slot>
  /** Lets nobody in for so long. */
  pause(delayMs: number): void
}

const WINDOW_MS = 60_000

interface Entry {
  readonly at: number
  tokens: number
}

interface Waiter {
  readonly tokens: number
  readonly enter: (slot: Slot) => void
}

/** The limits of one provider, shared by all who ask it. */
export function createLimits(options: LimitOptions, clock: Clock = systemClock): Limits {
  const line = new Set<Waiter>() // in the order of their coming
  const recent: Entry[] = [] // of the last 60 s, oldest first
  let running = 0
  let pausedUntil = Number.NEGATIVE_INFINITY
  let timer: AbortController | null = null
  const isTimed = options.requestsPerMinute !== null || options.tokensPerMinute !== null

  const takeSlot = (tokens: number): Slot => {
    const entry = { at: clock.milliseconds(), tokens }
    if (isTimed) recent.push(entry)
    running++
    let isTaken = true
    return {
      leave: (used) => {
        if (!isTaken) return
        isTaken = false
        running--
        entry.tokens = used ?? entry.tokens
        letIn()
      },
    }
  }
  const letIn = (): void => {
    timer?.abort()
    timer = null
    for (const waiter of line) {
      if (running >= options.concurrency) return
      const now = clock.milliseconds()
      while (recent.length > 0 && recent[0].at + WINDOW_MS <= now) recent.shift()
      const waitMs = Math.max(pausedUntil, whenFree(recent, waiter.tokens, options)) - now
      if (waitMs > 0) {
        timer = new AbortController()
        clock.sleep(waitMs, timer.signal).then(letIn, () => {}) // stopped: somebody else looks earlier
        return
      }
      line.delete(waiter)
      waiter.enter(takeSlot(waiter.tokens))
    }
  }
  return {
    enter: (tokens, signal) =>
      new Promise((resolve, reject) => {
        const stop = (): void => {
          line.delete(waiter)
          reject(stoppedError(false))
          letIn()
        }
        const enter = (slot: Slot): void => {
          signal.removeEventListener('abort', stop)
          resolve(slot)
        }
        const waiter: Waiter = { tokens, enter }
        if (signal.aborted) return stop()
        signal.addEventListener('abort', stop, { once: true })
        line.add(waiter)
        letIn()
      }),
    pause: (delayMs) => {
      pausedUntil = Math.max(pausedUntil, clock.milliseconds() + delayMs)
    },
  }
}

/** When one more request of so many tokens is within the limits of any 60 s; −∞: now. A request over them goes alone. */
function whenFree(recent: readonly Entry[], tokens: number, options: LimitOptions): number {
  const { requestsPerMinute, tokensPerMinute } = options
  let free = Number.NEGATIVE_INFINITY
  if (requestsPerMinute !== null && recent.length >= requestsPerMinute) {
    free = recent[recent.length - requestsPerMinute].at + WINDOW_MS
  }
  if (tokensPerMinute === null) return free
  let sum = recent.reduce((total, entry) => total + entry.tokens, tokens)
  for (const entry of recent) {
    if (sum <= tokensPerMinute) break
    sum -= entry.tokens
    free = Math.max(free, entry.at + WINDOW_MS)
  }
  return free
}
