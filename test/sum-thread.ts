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
  /** The numbers again, in memory that goes over. */
  readonly copy: Float64Array<ArrayBuffer>
  /** Whether that was given. */
  readonly isSpare: boolean
}

function sum({ numbers, gate, ms = 0 }: Sum, spare?: ArrayBuffer): Made<Summed> {
  if (gate !== undefined) {
    Atomics.store(gate, 0, 1)
    Atomics.wait(gate, 1, 0)
  }
  const until = performance.now() + ms
  while (performance.now() < until);
  if (numbers.includes(13)) throw new Error('thirteen')
  if (numbers.includes(-1)) process.exit(1)
  const copy = spare === undefined ? Float64Array.from(numbers) : new Float64Array(spare, 0, numbers.length)
  copy.set(numbers)
  const result = { sum: numbers.reduce((a, b) => a + b, 0), copy, isSpare: spare !== undefined }
  return { result, memory: [copy.buffer] }
}

serveWorks(workerData, sum)
