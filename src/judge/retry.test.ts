/** What is sent again, when, and how often: under a clock of the test’s own. */
import { expect, test } from 'vitest'
import { virtualClock } from '../../test/judge/virtual-clock.ts'
import { type Random, random } from '../base/random.ts'
import { ChatError, type ChatErrorFacts } from './chat.ts'
import { createLimits } from './limits.ts'
import { DEFAULT_RETRY, decideRetry, finalError } from './retry.ts'

const transient = (more: Partial<ChatErrorFacts> = {}): ChatErrorFacts => ({
  kind: 'server-error',
  isTransient: true,
  maybePaid: false,
  ...more,
})
const HEADERS = [undefined, 0, -5, 1, 250, 3000, 59_999.5, 60_000, 60_001, 3e9, Number.POSITIVE_INFINITY, Number.NaN]

/** Failures as a provider may send them, one after another; then it answers. */
function script(source: Random): ChatErrorFacts[] {
  return Array.from({ length: source.below(9) }, () => {
    const header = HEADERS[source.below(HEADERS.length)]
    if (source.below(12) === 0) return transient({ kind: 'unauthorized', isTransient: false })
    if (source.below(3) === 0) return transient({ kind: 'rate-limit', retryAfterMs: header })
    return transient({ retryAfterMs: source.below(2) === 0 ? header : undefined })
  })
}

const policy = DEFAULT_RETRY

test('in 10,000 random schedules nothing is sent too early, too late, too often, or after a failure that ends it', async () => {
  const source = random(7, 'schedules')
  const signal = new AbortController().signal
  let sends = 0
  for (let schedule = 0; schedule < 10_000; schedule++) {
    const clock = virtualClock()
    const failures = script(source)
    const times: number[] = []
    const run = async (): Promise<void> => {
      for (let attempt = 1; ; attempt++) {
        times.push(clock.milliseconds())
        const facts = failures[attempt - 1]
        if (facts === undefined) return
        const next = decideRetry(facts, attempt, `schedule ${schedule}`, policy)
        if (next === null) return
        await clock.sleep(next.delayMs, signal)
      }
    }
    await clock.passUntil(run())
    sends += times.length
    const isEnd = ({ isTransient, retryAfterMs = 0 }: ChatErrorFacts): boolean => !isTransient || retryAfterMs > 60_000
    const end = failures.findIndex(isEnd)
    const allowed = Math.min(policy.attempts, failures.length + 1, end < 0 ? Number.POSITIVE_INFINITY : end + 1)
    expect(times.length).toBe(allowed)
    for (let at = 1; at < times.length; at++) {
      const asked = Math.max(0, failures[at - 1].retryAfterMs || 0)
      const waited = times[at] - times[at - 1]
      expect(waited).toBeGreaterThanOrEqual(asked)
      expect(waited).toBeLessThanOrEqual(asked + Math.min(policy.maxBackoffMs, policy.baseMs * 2 ** (at - 1)) + 1e-6)
    }
  }
  expect(sends).toBeGreaterThan(20_000)
})

test('the jitter of each attempt is uniform (Kolmogorov–Smirnov at 1 ‰)', () => {
  for (const attempt of [1, 3, 5]) {
    const count = 5000
    const bound = policy.baseMs * 2 ** (attempt - 1)
    const draws = Array.from(
      { length: count },
      (_, index) => decideRetry(transient(), attempt, `ask ${index}`, policy)!.delayMs / bound,
    )
    draws.sort((a, b) => a - b)
    const distance = Math.max(...draws.map((draw, index) => Math.max(draw - index / count, (index + 1) / count - draw)))
    expect(distance).toBeLessThan(1.95 / Math.sqrt(count)) // the critical value for 0.001
  }
})

test('waits are the same for the same seed and others for another', () => {
  const waits = (seed: number) =>
    [1, 2, 3].map((attempt) => decideRetry(transient(), attempt, 'ask', { ...policy, seed })?.delayMs)
  expect(waits(1)).toEqual(waits(1))
  expect(waits(1)).not.toEqual(waits(2))
})

test('a request whose form was refused is sent in another form at once', () => {
  expect(decideRetry(transient({ kind: 'refused-request' }), 1, 'ask', policy)).toEqual({ delayMs: 0, pauseMs: 0 })
})

test('a provider that asks for more time than the bound is a rate limit that ends the ask', () => {
  const error = new ChatError('429 from example', transient({ kind: 'server-error', retryAfterMs: 3_600_000 }))
  expect(decideRetry(error.facts, 1, 'ask', policy)).toBeNull()
  const end = finalError(error, 1, policy)
  expect(end.facts).toMatchObject({ kind: 'rate-limit', isTransient: false })
  expect(end.message).toContain('3600 s')
})

test('all askers of a provider keep its pause together', async () => {
  const clock = virtualClock()
  const limits = createLimits({ concurrency: 4, requestsPerMinute: null, tokensPerMinute: null }, clock)
  const signal = new AbortController().signal
  const sent: number[] = []
  const worker = async (name: number): Promise<void> => {
    for (let count = 0; count < 20; count++) {
      const slot = await limits.enter(1, signal)
      sent.push(clock.milliseconds())
      await clock.sleep(100, signal)
      if (name === 0 && count === 2)
        limits.pause(decideRetry(transient({ kind: 'rate-limit', retryAfterMs: 5000 }), 1, '', policy)!.pauseMs)
      slot.leave(1)
    }
  }
  await clock.passUntil(Promise.all([0, 1, 2, 3].map(worker)))
  expect(sent).toHaveLength(80)
  // The third request of the first worker ends at 300 ms; none begins in the 5 s after it.
  expect(sent.filter((at) => at > 300 && at < 5300)).toEqual([])
  expect(sent.filter((at) => at >= 5300)).toHaveLength(80 - 12)
})
