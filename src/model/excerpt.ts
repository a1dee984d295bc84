/**
 * @file The first layers of a model with invented weights, in the forms in which the real ones would be kept: what a trial
 * of its speed computes with. Of files nothing but headers is read.
 */
import { type BlockTensor, blockSizes } from '../engine/block-tensor.ts'
import { elementCount } from '../engine/dims.ts'
import { toBfloat16, toFloat16 } from '../engine/half.ts'
import type { Form } from '../engine/stored.ts'
import type { ModelConfig } from './config.ts'
import { families } from './families.ts'
import { type Keep, keeperOf } from './keep.ts'
import type { TensorSource } from './tensor-source.ts'
import { type KeptTensor, type KeptWeights, loadWeights, tensorShapes } from './weights.ts'

export interface Excerpt {
  readonly config: ModelConfig
  readonly weights: KeptWeights
}

export interface ExcerptSizes {
  readonly layers: number
  readonly vocabularySize: number
}

/** @param source of the model; undefined for one that begins anew. */
export function excerptOf(
  whole: ModelConfig,
  source: Pick<TensorSource, 'names' | 'form'> | undefined,
  keep: Keep,
  { layers, vocabularySize }: ExcerptSizes,
): Excerpt {
  const family = families[whole.family]
  const config = { ...whole, layers, vocabularySize, kindOf: whole.kindOf.slice(0, layers) }
  const shapes = tensorShapes(family, config)
  const shapeOf = (name: string): readonly number[] => shapes.get(name) ?? []
  const formOf = (name: string): Form | null => (source?.names.has(name) ? source.form(name) : null)
  const invented: TensorSource = {
    path: '',
    names: new Set(shapes.keys()),
    shape: shapeOf,
    read: (name) => inventedValues(shapeOf(name)),
    form: formOf,
    readKept: (name) => inventedTensor(shapeOf(name), formOf(name)),
    close: () => {},
  }
  // Small models are kept otherwise than large ones: the size of the whole one counts.
  return { config, weights: loadWeights(invented, family, config, keeperOf(keep, family, whole)) }
}

/** Numbers of the size of weights. Their pattern is repeated: to draw hundreds of millions would take longer than the trial. */
const pattern = Float32Array.from({ length: 4096 }, (_, at) => ((at * 7919) % 97) / 2400 - 0.02)

function repeat<Values extends Float32Array | Uint16Array>(into: Values, first: Values): Values {
  into.set(first.subarray(0, into.length))
  for (let filled = first.length; filled < into.length; filled *= 2) into.copyWithin(filled, 0, filled)
  return into
}

/** Vectors of ones, as scales of norms are. */
function inventedValues(shape: readonly number[]): Float32Array<ArrayBuffer> {
  const values = new Float32Array(elementCount(shape))
  return shape.length === 1 ? values.fill(1) : repeat(values, pattern)
}

function inventedTensor(shape: readonly number[], form: Form | null): KeptTensor {
  if (form === null) return { data: inventedValues(shape), shape }
  if (form.storage === 'blocks') return inventedBlocks([shape[0], shape[1]], form)
  const toHalf = form.storage === 'bfloat16' ? toBfloat16 : toFloat16
  return { storage: form.storage, data: repeat(new Uint16Array(elementCount(shape)), toHalf(pattern)), shape }
}

function inventedBlocks(
  shape: BlockTensor['shape'],
  { storage, bits, block, hasMinimums }: Extract<Form, Pick<BlockTensor, 'storage'>>,
): BlockTensor {
  const { rows, blocks, rowBytes } = blockSizes({ bits, block, shape })
  return {
    storage,
    bits,
    block,
    shape,
    packed: new Uint8Array(rows * rowBytes).fill(0x5a),
    scales: new Float32Array(rows * blocks).fill(0.004),
    ...(hasMinimums && { minimums: new Float32Array(rows * blocks).fill(-0.03) }),
  }
}
