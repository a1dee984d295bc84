import { expect, test } from 'vitest'
import { type Server, sendOnce } from './http.ts'

const server: Server = {
  name: 'm',
  secrets: [],
  baseUrl: '',
  authorize: () => new Headers(),
  timeoutMs: 30,
  now: Date.now,
  fetch,
}

test('a request ends in time, also where what sends it heeds no signal', async () => {
  const deaf = () => new Promise<never>(() => {})
  const late = { kind: 'timeout', isTransient: true, maybePaid: true }
  await expect(sendOnce(server, new AbortController().signal, deaf)).rejects.toMatchObject({ facts: late })
  const controller = new AbortController()
  const pending = sendOnce({ ...server, timeoutMs: 60_000 }, controller.signal, deaf)
  controller.abort()
  await expect(pending).rejects.toMatchObject({ facts: { kind: 'stopped', maybePaid: true } })
})

test('what is under way is stopped where a request fails, whatever the failure', async () => {
  const signals: AbortSignal[] = []
  const ends: readonly (() => Promise<unknown>)[] = [
    async () => 'a reply',
    () => Promise.reject(new Error('broken')),
    () => new Promise<never>(() => {}),
  ]
  for (const end of ends) {
    const send = (signal: AbortSignal) => {
      signals.push(signal)
      return end()
    }
    await sendOnce(server, new AbortController().signal, send).catch(() => {})
  }
  expect(signals.map(({ aborted }) => aborted)).toEqual([false, true, true])
})

test('what is no ChatError becomes one without the thing itself', async () => {
  const fail = () => Promise.reject(new Error('Bearer abcdefghijklmnop1234'))
  const error = await sendOnce(server, new AbortController().signal, fail).catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ name: 'ChatError', message: 'm: Bearer [secret]' })
  expect(error).not.toHaveProperty('cause')
})
