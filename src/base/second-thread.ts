/**
 * @file A second thread for pure work that is known before it is needed: asked early, and taken later without a turn of the
 * event loop, which computations leave no room for. Whoever comes first begins a piece of work, so that nobody waits for a
 * thread that is busy, slow to start or dead, and what is taken is the same whoever made it.
 */
import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker, type WorkerOptions } from 'node:worker_threads'

/** What a piece of work gives, with the memory that goes over to the other thread, and how it is made. */
export interface Made<Result> {
  readonly result: Result
  readonly memory: readonly ArrayBuffer[]
}

/** The kinds of work. Each may use memory that is left over from earlier work. */
export type Works<Work, Result> = (work: Work, spare?: ArrayBuffer) => Made<Result>

export interface Ticket {
  readonly id: number
}

export interface SecondThread<Work, Result> {
  /** Undefined where the thread has too much to do, or does not run. */
  ask(work: Work): Ticket | undefined
  /** Undefined where the thread has not begun it, and now will not, or failed: the caller makes it. */
  take(ticket: Ticket): Result | undefined
  /** What was asked is not wanted after all. */
  drop(ticket: Ticket): void
  /** Memory of a result that is no longer used, for results to come. */
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
/** Pieces of memory that are kept for later. */
const SPARES = 2
/** A piece of work takes milliseconds. After this the thread counts as dead. */
const PATIENCE_MS = 3_000

interface Asked<Work> {
  readonly id: number
  readonly work: Work
  readonly spare?: ArrayBuffer
}

/** The result, or undefined where the work failed, or the spare memory of what was withdrawn. */
interface Answer<Result> {
  readonly id: number
  readonly result?: Result
  readonly spare?: ArrayBuffer
}

interface Given {
  readonly port: MessagePort
  readonly places: SharedArrayBuffer
}

/** The other side: what the module of the thread calls. `given` is its `workerData`. */
export function serveWorks<Work, Result>({ port, places }: Given, make: Works<Work, Result>): void {
  const states = new Int32Array(places)
  const answer = (message: Answer<Result>, memory: readonly ArrayBuffer[]): void =>
    port.postMessage(message, [...memory])
  port.on('message', ({ id, work, spare }: Asked<Work>) => {
    const place = id % PLACES
    if (Atomics.compareExchange(states, place, WAITING, BEGUN) !== WAITING) {
      if (spare !== undefined) answer({ id, spare }, [spare])
      return
    }
    try {
      const { result, memory } = make(work, spare)
      answer({ id, result }, memory)
    } catch {
      answer({ id }, []) // Whoever takes it makes it again, and meets the same error where it can be told.
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

/** What came back, as far as it is still wanted, and memory that is left over. */
interface Returns<Result> {
  readonly wanted: Set<number>
  readonly spares: ArrayBuffer[]
  receive(): void
  answerTo(id: number): Result | undefined
  forget(id: number): void
}

function returnsOf<Result>(port: MessagePort): Returns<Result> {
  const answers = new Map<number, Result | undefined>()
  const wanted = new Set<number>()
  const spares: ArrayBuffer[] = []
  return {
    wanted,
    spares,
    receive: () => {
      for (;;) {
        const received: { readonly message: Answer<Result> } | undefined = receiveMessageOnPort(port)
        if (received === undefined) return
        const { id, result, spare } = received.message
        if (spare !== undefined) spares.push(spare)
        else if (wanted.has(id)) answers.set(id, result)
      }
    },
    answerTo: (id) => answers.get(id),
    forget: (id) => {
      wanted.delete(id)
      answers.delete(id)
    },
  }
}

/** @param module calls `serveWorks` with its `workerData`. */
export function secondThread<Work, Result>(module: URL): SecondThread<Work, Result> {
  const { port1: port, port2 } = new MessageChannel()
  const places = new SharedArrayBuffer(PLACES * Int32Array.BYTES_PER_ELEMENT)
  const states = new Int32Array(places).fill(DONE)
  const { wanted, spares, receive, answerTo, forget } = returnsOf<Result>(port)
  let count = 0
  let isAlive = true
  const end = (): void => {
    isAlive = false
  }
  const worker = startWorker(module, { port: port2, places }, end)
  return {
    ask: (work) => {
      receive()
      const id = count
      if (!isAlive || wanted.size === PLACES || !isOver(states[id % PLACES])) return undefined
      count++
      wanted.add(id)
      Atomics.store(states, id % PLACES, WAITING)
      const spare = spares.pop()
      port.postMessage({ id, work, ...(spare !== undefined && { spare }) }, spare === undefined ? [] : [spare])
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
      if (spares.length < SPARES) spares.push(memory)
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
