import { setTimeout as wait } from 'node:timers/promises'
import { afterEach, expect, test } from 'vitest'
import type { Sum, Summed } from '../../test/sum-thread.ts'
import { type SecondThread, secondThread, type Ticket } from './second-thread.ts'

let thread: SecondThread<Sum, Summed>

function ask(work: Sum): Ticket {
  const ticket = thread.ask(work)
  if (ticket === undefined) throw new Error('the thread takes no work')
  return ticket
}

/** A thread that has started and done something. */
async function startThread(): Promise<void> {
  thread = secondThread(new URL('../../test/sum-thread.ts', import.meta.url))
  for (;;) {
    const ticket = ask({ numbers: [1] })
    await wait(50)
    if (thread.take(ticket) !== undefined) return
  }
}

/** Takes what was asked so much earlier that the thread has begun it. */
async function begun(work: Sum): Promise<Summed | undefined> {
  const ticket = ask(work)
  await wait(30)
  return thread.take(ticket)
}

afterEach(() => thread.close())

test('what is asked is taken in any order, once, also while it is being made', async () => {
  await startThread()
  const tickets = [1, 2, 3].map((number) => ask({ numbers: [number, 10], ms: 20 }))
  await wait(50)
  expect(thread.take(tickets[1])?.sum).toBe(12) // 10 ms before it is done
  expect(thread.take(tickets[0])?.sum).toBe(11)
  expect(thread.take(tickets[0])).toBeUndefined()
  expect((await begun({ numbers: [4, 5] }))?.sum).toBe(9)
})

test('work that the thread has not begun is left to who takes it, without a wait', async () => {
  await startThread()
  const slow = ask({ numbers: [1], ms: 400 })
  const behind = ask({ numbers: [2] })
  await wait(30)
  const started = performance.now()
  expect(thread.take(behind)).toBeUndefined()
  expect(performance.now() - started).toBeLessThan(200)
  expect(thread.take(slow)?.sum).toBe(1)
  expect((await begun({ numbers: [3] }))?.sum).toBe(3)
})

test('a thread that has just been started keeps nobody waiting', () => {
  thread = secondThread(new URL('../../test/sum-thread.ts', import.meta.url))
  expect(thread.take(ask({ numbers: [1] }))).toBeUndefined()
})

test('work that fails, and a module that is not there, are left to who takes it', async () => {
  await startThread()
  expect(await begun({ numbers: [13] })).toBeUndefined()
  expect((await begun({ numbers: [14] }))?.sum).toBe(14)
  thread.close()
  thread = secondThread(new URL('../../test/no-such-thread.ts', import.meta.url))
  const ticket = ask({ numbers: [1] })
  await wait(500)
  expect(thread.take(ticket)).toBeUndefined()
  expect(thread.ask({ numbers: [1] })).toBeUndefined()
})

test('memory that was given back is used for later work', async () => {
  await startThread()
  const first = await begun({ numbers: [1, 2, 3] })
  expect(first?.isSpare).toBe(false)
  thread.giveBack(first?.copy.buffer ?? new ArrayBuffer(0))
  const second = await begun({ numbers: [4, 5] })
  expect(second).toMatchObject({ isSpare: true, copy: Float64Array.of(4, 5) })
  // What went over with work that was withdrawn comes back too.
  thread.giveBack(second?.copy.buffer ?? new ArrayBuffer(0))
  const slow = ask({ numbers: [0], ms: 100 })
  thread.giveBack(new ArrayBuffer(24))
  thread.drop(ask({ numbers: [6] }))
  await wait(200)
  expect(thread.take(slow)?.isSpare).toBe(true)
  expect((await begun({ numbers: [7] }))?.isSpare).toBe(true)
})

test('what is never taken does not fill the thread for good, if it is dropped', async () => {
  await startThread()
  for (let round = 0; round < 100; round++) thread.drop(ask({ numbers: [round] }))
  const left = Array.from({ length: 16 }, (_, at) => thread.ask({ numbers: [at] }))
  expect(left.filter((ticket) => ticket === undefined).length).toBeLessThan(16)
  await wait(50)
  for (const ticket of left) if (ticket !== undefined) thread.drop(ticket)
  await wait(50)
  expect((await begun({ numbers: [8] }))?.sum).toBe(8)
})

test('a thread that ends while it works is waited for once, and then asked no more', async () => {
  await startThread()
  const ticket = ask({ numbers: [-1], ms: 50 })
  await wait(10)
  expect(thread.take(ticket)).toBeUndefined()
  expect(thread.ask({ numbers: [1] })).toBeUndefined()
}, 20_000)
