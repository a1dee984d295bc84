/** Requests at once, requests and tokens per minute, pauses and stops, under a clock of the test’s own. */
import { setMaxListeners } from 'node:events'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { virtualClock } from '../../test/judge/virtual-clock.ts'
import { createLimits } from './limits.ts'

const never = new AbortController().signal
setMaxListeners(0, never)

test('no window of 60 s has more requests or tokens than allowed, no moment too many at once, and all come through in order', async () => {
  const limit = fc.option(fc.integer({ min: 1, max: 20 }), { nil: null })
  const asks = fc.array(
    fc.record({ tokens: fc.integer({ min: 0, max: 40 }), takesMs: fc.integer({ min: 0, max: 90_000 }) }),
    { maxLength: 40 },
  )
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 8 }),
      limit,
      fc.option(fc.integer({ min: 10, max: 100 }), { nil: null }),
      asks,
      async (concurrency, requestsPerMinute, tokensPerMinute, list) => {
        const clock = virtualClock()
        const limits = createLimits({ concurrency, requestsPerMinute, tokensPerMinute }, clock)
        const sent: { at: number; end: number; tokens: number }[] = []
        const ask = async ({ tokens, takesMs }: { tokens: number; takesMs: number }): Promise<void> => {
          const slot = await limits.enter(tokens, never)
          sent.push({ at: clock.milliseconds(), end: clock.milliseconds() + takesMs, tokens })
          await clock.sleep(takesMs, never)
          slot.leave(null)
          slot.leave(null) // leaving twice gives one place
        }
        await clock.passUntil(Promise.all(list.map(ask)))
        expect(sent.map(({ tokens }) => tokens)).toEqual(list.map(({ tokens }) => tokens))
        for (const { at } of sent) {
          const window = sent.filter((other) => other.at >= at && other.at < at + 60_000)
          const sum = window.reduce((total, { tokens }) => total + tokens, 0)
          expect(window.length).toBeLessThanOrEqual(requestsPerMinute ?? Number.POSITIVE_INFINITY)
          // A request over the limit goes when nothing else is in its window, but for those that take none.
          const isAlone = window.filter(({ tokens }) => tokens > 0).length <= 1
          expect(isAlone || sum <= (tokensPerMinute ?? Number.POSITIVE_INFINITY)).toBe(true)
        }
        for (const { at } of sent) {
          expect(sent.filter((other) => other.at <= at && other.end > at).length).toBeLessThanOrEqual(concurrency)
        }
      },
    ),
    { numRuns: 200 },
  )
})

test('what a request took replaces what it might have taken', async () => {
  const clock = virtualClock()
  const limits = createLimits({ concurrency: 10, requestsPerMinute: null, tokensPerMinute: 100 }, clock)
  const first = await limits.enter(90, never)
  const second = limits.enter(90, never)
  first.leave(5)
  await clock.passUntil(second)
  expect(clock.milliseconds()).toBe(0)
})

test('who is stopped while waiting leaves the line, and the next goes on', async () => {
  const clock = virtualClock()
  const limits = createLimits({ concurrency: 1, requestsPerMinute: null, tokensPerMinute: null }, clock)
  const first = await limits.enter(1, never)
  const stop = new AbortController()
  const second = limits.enter(1, stop.signal)
  const third = limits.enter(1, never)
  stop.abort()
  await expect(second).rejects.toMatchObject({ facts: { kind: 'stopped', maybePaid: false } })
  first.leave(1)
  await clock.passUntil(third)
  await expect(limits.enter(1, stop.signal)).rejects.toMatchObject({ facts: { kind: 'stopped' } })
})
