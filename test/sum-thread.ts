/** @file A second thread for tests: sums numbers, says when it begins, and may be held. */
import { workerData } from 'node:worker_threads'
import { type Made, serveWorks } from '../src/base/second-thread.ts'

export interface Sum {
  readonly numbers: readonly number[]
  /** The first number becomes 1 when the work begins, which then waits until the second is 1. */
  readonly gate?: Int32Array
  readonly ms?: number
}

export interface Summed {
  readonly sum: number
  /** The numbers again, in the memory that was asked for, or other. */
  readonly copy: Float64Array<ArrayBuffer>
}

function sum({ numbers, gate, ms = 0 }: Sum, memory: ArrayBuffer | undefined): Made<Summed> {
  if (gate !== undefined) {
    Atomics.store(gate, 0, 1)
    Atomics.wait(gate, 1, 0)
  }
  const until = performance.now() + ms
  while (performance.now() < until);
  if (numbers.includes(13)) throw new Error('thirteen')
  if (numbers.includes(-1)) process.exit(1)
  const copy = new Float64Array(memory ?? new ArrayBuffer(8 * numbers.length), 0, numbers.length)
  copy.set(numbers)
  const result = { sum: numbers.reduce((a, b) => a + b, 0), copy }
  return { result, memory: memory === undefined ? [copy.buffer] : [] }
}

serveWorks(workerData, sum)
