/** @file A model of random weights, to be trained from scratch. */
import { type Random, random } from '../base/random.ts'
import { elementCount } from '../engine/dims.ts'
import { families } from './families.ts'
import { inFloat32 } from './keep.ts'
import { type LoadedModel, loadConfig } from './load.ts'
import type { Norm } from './norm.ts'
import type { TensorSource } from './tensor-source.ts'
import { loadWeights, tensorShapes } from './weights.ts'

/** As `initializer_range` in transformers, where config.json does not say. */
const DEVIATION = 0.02

/**
 * The model that a folder's config.json describes, as transformers initialises it: normal weights of deviation
 * `initializer_range`, norms that change nothing but the scale, biases of zeros.
 */
export function initialModel(path: string, seed: number): LoadedModel {
  const { config, json } = loadConfig(path)
  const range: unknown = Object(json).initializer_range
  const deviation = typeof range === 'number' && range > 0 ? range : DEVIATION
  const family = families[config.family]
  const shapes = tensorShapes(family, config)
  const shapeOf = (name: string): readonly number[] => shapes.get(name) ?? []
  const valuesOf = (name: string): Float32Array<ArrayBuffer> =>
    initialValues(name, elementCount(shapeOf(name)), { seed, deviation, norm: family.norm })
  const source: TensorSource = {
    path,
    names: new Set(shapes.keys()),
    shape: shapeOf,
    read: valuesOf,
    form: () => null,
    readKept: (name) => ({ data: valuesOf(name), shape: shapeOf(name) }),
    close: () => {},
  }
  return { path, config, json, weights: loadWeights(source, family, config, inFloat32) }
}

function initialValues(
  name: string,
  length: number,
  { seed, deviation, norm }: { readonly seed: number; readonly deviation: number; readonly norm: Norm },
): Float32Array<ArrayBuffer> {
  if (name.endsWith('.bias')) return new Float32Array(length)
  if (name.endsWith('norm.weight')) return new Float32Array(length).fill(norm.tensors['weight'])
  const draw = random(seed, 'initial', name)
  return Float32Array.from({ length }, () => deviation * normal(draw))
}

/** The cosine of Box and Muller. */
function normal(draw: Random): number {
  return Math.sqrt(-2 * Math.log(1 - draw.uniform())) * Math.cos(2 * Math.PI * draw.uniform())
}
