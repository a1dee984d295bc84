/**
 * @file A second thread for pure work that is known before it is needed: asked early, and taken later without a turn of the
 * event loop, which computations leave no room for. Whoever comes first begins a piece of work, so that nobody waits for a
 * thread that is busy, slow to start or dead, and what is taken is the same whoever made it.
 */
import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker, type WorkerOptions } from 'node:worker_threads'

/** What a piece of work gives, with the memory of its own that goes over to the other thread. */
export interface Made<Result> {
  readonly result: Result
  readonly memory: readonly ArrayBuffer[]
}

/** Does the work, in the memory that was asked for with it. */
export type Works<Work, Result> = (work: Work, memory: ArrayBuffer | undefined) => Made<Result>

export interface Ticket {
  readonly id: number
}

export interface SecondThread<Work, Result> {
  /**
   * @param bytes of memory that the result needs: there is so much twice, at most, until it is given back.
   * @returns undefined where the thread has too much to do, has no memory left, or does not run.
   */
  ask(work: Work, bytes?: number): Ticket | undefined
  /** Undefined where the thread has not begun it, and now will not, or failed: the caller makes it. */
  take(ticket: Ticket): Result | undefined
  /** What was asked is not wanted after all. */
  drop(ticket: Ticket): void
  /** The memory that was asked for with a result, when that is no longer used. */
  giveBack(memory: ArrayBuffer): void
  close(): void
}

/** Where a piece of work stands. */
const WAITING = 0
const BEGUN = 1
const DONE = 2
const WITHDRAWN = 3

/** Pieces of work that may stand open. */
const PLACES = 16
/** Pieces of memory: one that is in use here, and one for the result after it. */
const MEMORIES = 2
/** A piece of work takes milliseconds. After this the thread counts as dead. */
const PATIENCE_MS = 3_000

interface Asked<Work> {
  readonly id: number
  readonly work: Work
  readonly memory: ArrayBuffer | undefined
}

/** The result, if the work was not withdrawn and did not fail, and the memory that came with it. */
interface Answer<Result> {
  readonly id: number
  readonly result?: Result
  readonly memory: ArrayBuffer | undefined
}

interface Given {
  readonly port: MessagePort
  readonly places: SharedArrayBuffer
}

/** The other side: what the module of the thread calls. `given` is its `workerData`. */
export function serveWorks<Work, Result>({ port, places }: Given, make: Works<Work, Result>): void {
  const states = new Int32Array(places)
  const answer = (message: Answer<Result>, own: readonly ArrayBuffer[] = []): void =>
    port.postMessage(message, message.memory === undefined ? [...own] : [message.memory, ...own])
  port.on('message', ({ id, work, memory }: Asked<Work>) => {
    const place = id % PLACES
    if (Atomics.compareExchange(states, place, WAITING, BEGUN) !== WAITING) {
      answer({ id, memory })
      return
    }
    try {
      const made = make(work, memory)
      answer({ id, result: made.result, memory }, made.memory)
    } catch {
      answer({ id, memory }) // Whoever takes it makes it again, and meets the same error where it can be told.
    }
    Atomics.store(states, place, DONE)
    Atomics.notify(states, place)
  })
}

/** Undefined where the system gives no thread. `end` is called when it has ended. */
function startWorker(module: URL, workerData: Given, end: () => void): Worker | undefined {
  try {
    const worker = newWorker(module, { workerData, transferList: [workerData.port] })
    worker.on('error', end).on('exit', end)
    worker.unref()
    return worker
  } catch {
    end()
    return undefined
  }
}

/** Sources are run by tsx, which does not reach into threads by itself. */
function newWorker(module: URL, options: WorkerOptions): Worker {
  if (!module.pathname.endsWith('.ts')) return new Worker(module, options)
  const script = `import('tsx/esm/api').then(({ register }) => (register(), import(${JSON.stringify(module.href)})))`
  return new Worker(script, { eval: true, ...options })
}

/** What came back, as far as it is still wanted. The memory of all else is free. */
interface Returns<Result> {
  readonly wanted: Set<number>
  receive(): void
  answerTo(id: number): Result | undefined
  forget(id: number): void
}

function returnsOf<Result>(port: MessagePort, free: ArrayBuffer[]): Returns<Result> {
  const answers = new Map<number, Answer<Result>>()
  const wanted = new Set<number>()
  const setFree = (memory: ArrayBuffer | undefined): void => {
    if (memory !== undefined) free.push(memory)
  }
  return {
    wanted,
    receive: () => {
      for (;;) {
        const received: { readonly message: Answer<Result> } | undefined = receiveMessageOnPort(port)
        if (received === undefined) return
        const { id, result, memory } = received.message
        if (wanted.has(id) && result !== undefined) answers.set(id, received.message)
        else setFree(memory)
      }
    },
    answerTo: (id) => {
      const result = answers.get(id)?.result
      answers.delete(id)
      return result
    },
    forget: (id) => {
      wanted.delete(id)
      setFree(answers.get(id)?.memory)
      answers.delete(id)
    },
  }
}

/** Memory for so much; undefined where all there may be is in use. What is too small is replaced. */
function memoryFor(bytes: number, free: ArrayBuffer[], made: { count: number }): ArrayBuffer | undefined {
  const fitting = free.findIndex(({ byteLength }) => byteLength >= bytes)
  if (fitting >= 0) return free.splice(fitting, 1)[0]
  if (free.pop() === undefined) {
    if (made.count === MEMORIES) return undefined
    made.count++
  }
  return new ArrayBuffer(bytes)
}

/** @param module calls `serveWorks` with its `workerData`. */
export function secondThread<Work, Result>(module: URL): SecondThread<Work, Result> {
  const { port1: port, port2 } = new MessageChannel()
  const places = new SharedArrayBuffer(PLACES * Int32Array.BYTES_PER_ELEMENT)
  const states = new Int32Array(places).fill(DONE)
  const free: ArrayBuffer[] = []
  const made = { count: 0 }
  const { wanted, receive, answerTo, forget } = returnsOf<Result>(port, free)
  let count = 0
  let isAlive = true
  const end = (): void => {
    isAlive = false
  }
  const worker = startWorker(module, { port: port2, places }, end)
  return {
    ask: (work, bytes = 0) => {
      receive()
      const id = count
      if (!isAlive || wanted.size === PLACES || !isOver(states[id % PLACES])) return undefined
      const memory = bytes === 0 ? undefined : memoryFor(bytes, free, made)
      if (bytes > 0 && memory === undefined) return undefined
      count++
      wanted.add(id)
      Atomics.store(states, id % PLACES, WAITING)
      port.postMessage({ id, work, memory }, memory === undefined ? [] : [memory])
      return { id }
    },
    take: ({ id }) => {
      const place = id % PLACES
      try {
        if (!wanted.has(id) || withdraw(states, place) || !isAlive) return undefined
        if (Atomics.wait(states, place, BEGUN, PATIENCE_MS) === 'timed-out') end()
        receive()
        return answerTo(id)
      } finally {
        forget(id)
      }
    },
    drop: ({ id }) => {
      if (wanted.has(id)) withdraw(states, id % PLACES)
      forget(id)
    },
    giveBack: (memory) => {
      free.push(memory)
    },
    close: () => {
      end()
      port.close()
      void worker?.terminate()
    },
  }
}

function isOver(state: number): boolean {
  return state === DONE || state === WITHDRAWN
}

/** @returns whether nobody had begun. */
function withdraw(states: Int32Array, place: number): boolean {
  return Atomics.compareExchange(states, place, WAITING, WITHDRAWN) === WAITING
}
