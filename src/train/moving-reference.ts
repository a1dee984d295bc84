/** @file A reference that follows the policy: TR-DPO (Gorbatovski et al. 2024). Knows weights by name only. */

import type { Bytes } from '../base/files.ts'
import type { Tensor } from '../engine/backend.ts'
import { openSafetensors } from '../model/safetensors.ts'
import { safetensorsParts } from '../model/safetensors-write.ts'
import { type ModelWeights, namedWeights } from '../model/weights.ts'
import { readInto } from './state.ts'

/** The file of a checkpoint that holds a reference which has moved. */
export const REFERENCE = 'reference.safetensors'

/** ρ ← α π + (1 − α) ρ, in place. */
export function moveReference(policy: ModelWeights, reference: ModelWeights, alpha: number): void {
  const from = namedWeights<Tensor<Float32Array>>(policy)
  for (const [name, { data }] of namedWeights<Tensor<Float32Array>>(reference)) {
    const own = from.get(name)
    if (own === undefined) throw new Error(`the policy has no ${name}`)
    for (let at = 0; at < data.length; at++) data[at] += alpha * (own.data[at] - data[at])
  }
}

export function referenceParts(reference: ModelWeights): Iterable<Bytes> {
  return safetensorsParts(namedWeights(reference), new Map([['format', 'pt']]))
}

/** Puts back what `referenceParts` wrote. @throws InputError where the file is not of this model. */
export function restoreReference(path: string, reference: ModelWeights): void {
  const file = openSafetensors(path)
  try {
    for (const [name, { data }] of namedWeights<Tensor<Float32Array>>(reference)) readInto(file, name, data)
  } finally {
    file.close()
  }
}
