/** @file In which form the weights of a model are kept in memory. */
import { toBlocks } from '../engine/block-tensor.ts'
import { elementCount } from '../engine/dims.ts'
import { float32Of, isBlocks } from '../engine/stored.ts'
import type { ModelConfig } from './config.ts'
import type { Family } from './layer.ts'
import {
  EMBEDDING,
  HEAD,
  type Keeper,
  type KeptTensor,
  layerShapes,
  tensorShapes,
  type WeightTensor,
} from './weights.ts'

/**
 * How weights are kept: all in float32, as weights that learn must be; as the files hold them; or the linears of the
 * layers rounded to blocks of so many bits, the others as the files hold them.
 */
export type Keep = 'float32' | 'stored' | 'int8' | 'int4'

/**
 * Blocks are decoded once where all weights in float32 take no more than this: unfolding them at every use costs 5 to 17 %
 * of a product, and a small model has the memory to spare.
 */
const SMALL_BYTES = 2e9

/** The reader of float32. */
export const inFloat32: Keeper<WeightTensor> = (source, name, shape) => ({ data: source.read(name), shape })

/** The reader for a way of keeping weights. */
export function keeperOf(keep: Keep, family: Family, config: ModelConfig): Keeper<KeptTensor> {
  if (keep === 'float32') return inFloat32
  const isSmall = float32Bytes(family, config) <= SMALL_BYTES
  const linears = new Set(
    [...layerShapes(family, config)].filter(([, shape]) => shape.length === 2).map(([name]) => name),
  )
  const headName = config.tiedHead ? EMBEDDING : HEAD
  return (source, name, shape) => {
    if (shape.length !== 2) return inFloat32(source, name, shape)
    // Every row of tokens meets the whole head: it would stand decoded in a buffer of its size anyway.
    if (name === headName) return inFloat32(source, name, shape)
    const isLinear = linears.has(name.replace(/^model\.layers\.\d+\./, ''))
    const tensor = source.readKept(name)
    if (keep === 'stored' || !isLinear) return isBlocks(tensor) && isSmall ? float32Of(tensor) : tensor
    const bits = keep === 'int4' ? 4 : 8
    return isBlocks(tensor) && tensor.bits <= bits ? tensor : toBlocks(float32Of(tensor), bits)
  }
}

/** What all weights of a model would take in float32. */
export function float32Bytes(family: Family, config: ModelConfig): number {
  let count = 0
  for (const shape of tensorShapes(family, config).values()) count += elementCount(shape)
  return 4 * count
}
