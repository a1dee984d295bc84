import fc from 'fast-check'
import { expect, test } from 'vitest'
import { encodeEvent, type RunEvent } from './events.ts'

const time = new Date(Date.UTC(2026, 10, 22, 13, 5, 9, 250))

test('an event becomes one line of JSON that holds the time and every fact', () => {
  const event: RunEvent = { type: 'checkpoint-saved', update: 150, folder: 'out/checkpoint-150', best: true }
  expect(encodeEvent(event, time)).toBe(
    '{"time":"2026-11-22T13:05:09.250Z","type":"checkpoint-saved","update":150,"folder":"out/checkpoint-150","best":true}',
  )
})

test('a diverged loss keeps its kind of infinity', () => {
  const metrics = { loss: Number.NaN, grad_norm: Number.POSITIVE_INFINITY, 'rewards/margins': Number.NEGATIVE_INFINITY }
  const line = encodeEvent({ type: 'evaluation-end', update: 3, metrics, seconds: 1 }, time)
  const read: { metrics: Record<string, string> } = JSON.parse(line)
  expect(Object.values(read.metrics).map(Number)).toEqual(Object.values(metrics))
})

test('any message comes back equal from a line without controls or line ends', () => {
  const text = fc.string({ unit: fc.integer({ min: 0, max: 0x2fff }).map((code) => String.fromCharCode(code)) })
  fc.assert(
    fc.property(text, (message) => {
      const line = encodeEvent({ type: 'warning', message }, time)
      expect(line).not.toMatch(/[\p{Cc}\u2028\u2029]/u)
      expect(JSON.parse(line).message).toBe(message)
    }),
  )
})
