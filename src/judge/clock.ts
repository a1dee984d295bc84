/** @file Time as asking needs it: intervals, and waiting that can be stopped. Tests bring their own. */

export interface Clock {
  /** A count that only grows; says nothing of the date. */
  milliseconds(): number
  /** @throws where `signal` stops it. */
  sleep(delayMs: number, signal: AbortSignal): Promise<void>
}

const LONGEST_TIMER_MS = 2 ** 31 - 1 // setTimeout fires at once for more

export const systemClock: Clock = {
  milliseconds: () => performance.now(),
  sleep: (delayMs, signal) =>
    new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason)
      const stop = (): void => {
        clearTimeout(timer)
        reject(signal.reason)
      }
      const wake = (): void => {
        signal.removeEventListener('abort', stop)
        resolve()
      }
      const timer = setTimeout(wake, Math.min(Math.max(0, delayMs), LONGEST_TIMER_MS))
      signal.addEventListener('abort', stop, { once: true })
    }),
}
