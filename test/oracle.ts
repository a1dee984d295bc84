/**
 * @file What Python libraries computed (transformers, TRL, PEFT; see test/fixtures/oracle/manifest.json). Set
 * STEPDPO_FIXTURES to a folder made with another seed or variant to run the same tests on it.
 */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'
import type { TensorData } from '../src/engine/backend.ts'
import { openSafetensors } from '../src/model/safetensors.ts'

const COMMITTED = fileURLToPath(new URL('./fixtures/oracle', import.meta.url))
const ROOT = process.env.STEPDPO_FIXTURES ?? COMMITTED

export function oraclePath(path: string): string {
  return `${ROOT}/${path}`
}

/** Always of the repository: for tests with files that were made for it. */
export function committedPath(path: string): string {
  return `${COMMITTED}/${path}`
}

/** A JSON file of the oracle. The caller names its type: the files are ours. */
export function oracleJson<T>(path: string): T {
  return JSON.parse(readFileSync(oraclePath(path), 'utf8'))
}

export interface OracleTensor {
  readonly data: TensorData
  readonly shape: readonly number[]
}

/** Every tensor of a safetensors file of the oracle. */
export function oracleTensors(path: string): Map<string, OracleTensor> {
  const file = openSafetensors(oraclePath(path))
  try {
    return new Map(
      [...file.tensors].map(([name, { shape }]) => {
        const data = file.read(name)
        const plain = data instanceof Float32Array || data instanceof Float64Array || data instanceof Int32Array
        return [name, { data: plain ? data : file.readFloat32(name), shape }]
      }),
    )
  } finally {
    file.close()
  }
}

/** The largest difference, as a part of the largest magnitude that is expected. */
export function relativeError(found: ArrayLike<number>, expected: ArrayLike<number>): number {
  expect(found.length).toBe(expected.length)
  let difference = 0
  let magnitude = 0
  for (let at = 0; at < expected.length; at++) {
    // Written so that a NaN counts as a difference.
    if (!(Math.abs(found[at] - expected[at]) <= difference)) difference = Math.abs(found[at] - expected[at])
    magnitude = Math.max(magnitude, Math.abs(expected[at]))
  }
  return magnitude === 0 ? difference : difference / magnitude
}
