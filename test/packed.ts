/** @file Groups as an update of preferences takes them. */
import type { EncodedGroup } from '../src/batch/encode.ts'
import { type PackedBatch, packBatches } from '../src/batch/pack.ts'
import { type PackedObjective, packFor } from '../src/train/update.ts'

export function packedFor(
  objective: PackedObjective,
  batches: readonly (readonly EncodedGroup[])[],
): readonly PackedBatch[] {
  return packBatches(batches, (groups) => packFor(groups, objective))
}
