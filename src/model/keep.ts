/** @file In which form the weights of a model are kept in memory. */
import { BLOCK, blockSizes, toBlocks } from '../engine/block-tensor.ts'
import { elementCount } from '../engine/dims.ts'
import type { Form } from '../engine/stored.ts'
import type { ModelConfig } from './config.ts'
import type { Family } from './layer.ts'
import type { TensorSource } from './tensor-source.ts'
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

/** The form in which a tensor is kept that a file has in `found`; null is float32. */
type Plan = (name: string, shape: readonly number[], found: Form | null) => Form | null

function planOf(keep: Keep, family: Family, config: ModelConfig): Plan {
  if (keep === 'float32') return () => null
  const isSmall = float32Bytes(family, config) <= SMALL_BYTES
  const linears = new Set(layerShapes(family, config).keys())
  const headName = config.tiedHead ? EMBEDDING : HEAD
  return (name, shape, found) => {
    // Every row of tokens meets the whole head: it would stand decoded in a buffer of its size anyway.
    if (shape.length !== 2 || name === headName) return null
    const isBlocks = found?.storage === 'blocks'
    if (keep === 'stored' || !linears.has(name.replace(/^model\.layers\.\d+\./, ''))) {
      return isBlocks && isSmall ? null : found
    }
    const bits = keep === 'int4' ? 4 : 8
    return isBlocks && found.bits <= bits ? found : { storage: 'blocks', bits, block: BLOCK, hasMinimums: false }
  }
}

/** The reader for a way of keeping weights. */
export function keeperOf(keep: Keep, family: Family, config: ModelConfig): Keeper<KeptTensor> {
  const plan = planOf(keep, family, config)
  return (source, name, shape) => {
    const found = source.form(name)
    const form = plan(name, shape, found)
    if (form === null) return inFloat32(source, name, shape)
    if (form === found || form.storage !== 'blocks') return source.readKept(name)
    return toBlocks(inFloat32(source, name, shape), form.bits)
  }
}

/** What a tensor will take in memory. */
export interface KeptSize {
  readonly bytes: number
  /** Not in float32. */
  readonly isStored: boolean
}

/** The sizes of all tensors of a model, as they will be kept; nothing but headers is read. */
export function keptSizes(
  source: TensorSource | undefined,
  family: Family,
  config: ModelConfig,
  keep: Keep,
): Map<string, KeptSize> {
  const plan = planOf(keep, family, config)
  const sizes = new Map<string, KeptSize>()
  for (const [name, shape] of tensorShapes(family, config)) {
    const form = plan(name, shape, source?.names.has(name) ? source.form(name) : null)
    sizes.set(name, { bytes: bytesInForm(shape, form), isStored: form !== null })
  }
  return sizes
}

function bytesInForm(shape: readonly number[], form: Form | null): number {
  const count = elementCount(shape)
  if (form === null) return 4 * count
  if (form.storage !== 'blocks') return 2 * count
  const { rows, blocks, rowBytes } = blockSizes({ ...form, shape: [shape[0], shape[1]] })
  return rows * (rowBytes + 4 * blocks * (form.hasMinimums ? 2 : 1))
}

/** What all weights of a model would take in float32. */
export function float32Bytes(family: Family, config: ModelConfig): number {
  let count = 0
  for (const shape of tensorShapes(family, config).values()) count += elementCount(shape)
  return 4 * count
}
