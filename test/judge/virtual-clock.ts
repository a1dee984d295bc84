/** @file A clock that stands still until nothing else is left to do, and then jumps to the next that waits. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Clock } from '../../src/judge/clock.ts'

export interface VirtualClock extends Clock {
  /** Lets time pass until `done` has ended. @throws where nobody waits and it has not. */
  passUntil<T>(done: Promise<T>): Promise<T>
}

export function virtualClock(): VirtualClock {
  let now = 0
  const sleepers = new Set<{ readonly at: number; readonly wake: () => void }>()
  return {
    milliseconds: () => now,
    sleep: (delayMs, signal) =>
      new Promise((resolve, reject) => {
        if (signal.aborted) return reject(signal.reason)
        if (!(delayMs >= 0 && delayMs < 2 ** 31)) return reject(new Error(`a wait of ${delayMs} ms`))
        const stop = (): void => {
          sleepers.delete(sleeper)
          reject(signal.reason)
        }
        const wake = (): void => {
          signal.removeEventListener('abort', stop)
          resolve()
        }
        const sleeper = { at: now + delayMs, wake }
        signal.addEventListener('abort', stop, { once: true })
        sleepers.add(sleeper)
      }),
    passUntil: async (done) => {
      let isDone = false
      const end = (): void => {
        isDone = true
      }
      done.then(end, end)
      for (;;) {
        await nextTurn()
        if (isDone) return done
        const next = Math.min(...Array.from(sleepers, ({ at }) => at))
        if (next === Number.POSITIVE_INFINITY) throw new Error('all wait for each other')
        now = Math.max(now, next)
        for (const sleeper of [...sleepers]) {
          if (sleeper.at > now) continue
          sleepers.delete(sleeper)
          sleeper.wake()
        }
      }
    },
  }
}
