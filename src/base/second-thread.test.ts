import { setTimeout as wait } from 'node:timers/promises'
import { afterEach, expect, test } from 'vitest'
import type { Sum, Summed } from '../../test/sum-thread.ts'
import { type SecondThread, secondThread, type Ticket } from './second-thread.ts'

let thread: SecondThread<Sum, Summed>

function startThread(module = 'sum-thread.ts'): void {
  thread = secondThread(new URL(`../../test/${module}`, import.meta.url))
}

afterEach(() => thread.close())

function ask(work: Sum, bytes?: number): Ticket {
  const ticket = thread.ask(work, bytes)
  if (ticket === undefined) throw new Error('the thread takes no work')
  return ticket
}

function makeGate(isOpen: boolean): Int32Array {
  return new Int32Array(new SharedArrayBuffer(8)).fill(isOpen ? 1 : 0, 1)
}

function open(gate: Int32Array): void {
  Atomics.store(gate, 1, 1)
  Atomics.notify(gate, 1)
}

/** Asks, and waits until the thread has begun it. */
async function begin(work: Sum, gate = makeGate(true), bytes?: number): Promise<Ticket> {
  const ticket = ask({ ...work, gate }, bytes)
  while (Atomics.load(gate, 0) === 0) await wait(2)
  return ticket
}

async function result(work: Sum): Promise<Summed | undefined> {
  return thread.take(await begin(work))
}

test('what is asked is taken in any order, once, also while it is being made', async () => {
  startThread()
  const first = ask({ numbers: [1, 10] })
  const second = await begin({ numbers: [2, 10], ms: 50 })
  expect(thread.take(second)?.sum).toBe(12)
  expect(thread.take(first)?.sum).toBe(11)
  expect(thread.take(first)).toBeUndefined()
  expect((await result({ numbers: [4, 5] }))?.sum).toBe(9)
})

test('work that the thread has not begun is left to who takes it, without a wait', async () => {
  startThread()
  const gate = makeGate(false)
  const slow = await begin({ numbers: [1] }, gate)
  expect(thread.take(ask({ numbers: [2] }))).toBeUndefined() // else it would wait for a gate that is shut
  open(gate)
  expect(thread.take(slow)?.sum).toBe(1)
  expect((await result({ numbers: [3] }))?.sum).toBe(3)
})

test('a thread that has just been started keeps nobody waiting', () => {
  startThread()
  expect(thread.take(ask({ numbers: [1] }))).toBeUndefined()
})

test('work that fails, and a module that is not there, are left to who takes it', async () => {
  startThread()
  expect(await result({ numbers: [13] })).toBeUndefined()
  expect((await result({ numbers: [14] }))?.sum).toBe(14)
  thread.close()
  startThread('no-such-thread.ts')
  for (let ticket = thread.ask({ numbers: [1] }); ticket !== undefined; ticket = thread.ask({ numbers: [1] })) {
    expect(thread.take(ticket)).toBeUndefined()
    await wait(20)
  }
})

test('there is memory for two results, which comes back whatever becomes of the work', async () => {
  startThread()
  const memoryOf = async (numbers: readonly number[], bytes: number): Promise<ArrayBuffer> => {
    const made = thread.take(await begin({ numbers }, makeGate(true), bytes))
    expect(made?.copy).toEqual(Float64Array.from(numbers))
    return made?.copy.buffer ?? new ArrayBuffer(0)
  }
  const [first, second] = [await memoryOf([1, 2, 3], 24), await memoryOf([4], 8)]
  expect(thread.ask({ numbers: [5] }, 8)).toBeUndefined()
  expect((await result({ numbers: [5] }))?.sum).toBe(5) // without memory
  thread.giveBack(second)
  thread.giveBack(first)
  expect((await memoryOf([6, 7], 16)).byteLength).toBe(24) // the one that is large enough
  const gate = makeGate(false)
  const held = await begin({ numbers: [8] }, gate)
  const withdrawn = ask({ numbers: [9] }, 32) // the small one becomes a large one
  expect(thread.take(withdrawn)).toBeUndefined()
  expect(thread.ask({ numbers: [10] }, 8)).toBeUndefined() // it is still there
  open(gate)
  expect(thread.take(held)?.sum).toBe(8)
  for (const numbers of [[13], [14]]) {
    // Comes back after work that fails, and after work that is dropped when it is done.
    await result({ numbers: [0] })
    thread.drop(await begin({ numbers }, makeGate(true), 32))
  }
  await result({ numbers: [0] })
  expect((await memoryOf([11], 32)).byteLength).toBe(32)
})

test('what is dropped leaves its place to others; no more than 16 pieces of work stand open', async () => {
  startThread()
  await result({ numbers: [1] })
  for (let round = 0; round < 100; round++) thread.drop(await begin({ numbers: [round] }))
  const gate = makeGate(false)
  const held = await begin({ numbers: [2] }, gate)
  const others = Array.from({ length: 20 }, (_, at) => thread.ask({ numbers: [at] }))
  expect(others.filter((ticket) => ticket !== undefined)).toHaveLength(15)
  for (const ticket of others) if (ticket !== undefined) thread.drop(ticket)
  open(gate)
  expect(thread.take(held)?.sum).toBe(2)
  expect((await result({ numbers: [8] }))?.sum).toBe(8)
})

test('a thread that ends while it works is waited for once, and then asked no more', async () => {
  startThread()
  const ticket = await begin({ numbers: [-1], ms: 20 })
  expect(thread.take(ticket)).toBeUndefined()
  expect(thread.ask({ numbers: [1] })).toBeUndefined()
}, 20_000)
