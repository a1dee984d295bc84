/** @file Single rows of a stored matrix in float32: the embedding of a token. */
import { float32Of, isStored, storedRows } from '../engine/stored.ts'
import type { KeptTensor } from './weights.ts'

/** Gives the rows of a matrix; a row of a float32 one is a view of it. */
export function rowReader(table: KeptTensor): (row: number) => Float32Array {
  const [, width] = table.shape
  if (!isStored(table)) return (row) => table.data.subarray(row * width, (row + 1) * width)
  return (row) => float32Of(storedRows(table, row, row + 1)).data
}
