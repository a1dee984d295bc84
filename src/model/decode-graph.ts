/** @file The whole model as one graph that appends tokens to sequences, each with a cache of its own. */
import { type Graph, makeGraph } from '../engine/backend.ts'
import type { Dim } from '../engine/dims.ts'
import {
  add,
  append,
  attend,
  broadcast,
  concat,
  constant,
  gather,
  input,
  matmul,
  reshape,
  slice,
} from '../engine/ops.ts'
import type { Value } from '../engine/value.ts'
import type { ModelConfig } from './config.ts'
import { buildLogits } from './head.ts'
import { type Family, type InputOf, type LayerBuilder, namedInputs, normOf, turnHeads } from './layer.ts'
import { FACTOR_A, FACTOR_B } from './lora.ts'
import type { RotaryTables } from './rope.ts'
import { layerName } from './weights.ts'

/** The number of new tokens, of sequences, of tokens that each has room for, and of tokens whose logits are wanted. */
const TOKENS = 'N'
/** The rows of products where a lone token has two. */
const ROWS = 'M'
const SEQUENCES = 'B'
const ROOM = 'C'
const WANTED = 'R'

/** The buffers of a cache: for each layer one with keys and one with values, [sequences, heads, room, size] each. */
export interface CacheLayout {
  readonly names: readonly string[]
  readonly heads: number
  /** The size of a head, rounded up: the fused attention wants multiples of 8. */
  readonly size: number
}

export function cacheLayout({ layers, keyValueHeads, headSize }: ModelConfig): CacheLayout {
  const names = Array.from({ length: layers }, (_, layer) => [`keys ${layer}`, `values ${layer}`]).flat()
  return { names, heads: keyValueHeads, size: Math.ceil(headSize / 8) * 8 }
}

/** What a token takes in the caches of all layers, in float32. */
export function cacheBytes(config: ModelConfig): number {
  const { names, heads, size } = cacheLayout(config)
  return names.length * heads * size * Float32Array.BYTES_PER_ELEMENT
}

/** The output that is the cache of a name with the new tokens. */
export function appended(name: string): string {
  return `${name} appended`
}

/** The feeds of the rotary tables, for each kind of layer that has any. */
export function angleFeeds(angles: readonly (RotaryTables | null)[]): Record<string, RotaryTables['cos']> {
  return Object.fromEntries(
    angles.flatMap((tables, kind) =>
      tables ? [[`cos ${kind}`, tables.cos] as const, [`sin ${kind}`, tables.sin]] : [],
    ),
  )
}

export interface DecodeOptions {
  readonly factored?: Factored
  /**
   * x, cos and sin have M rows, of which attention takes the rows `tokens` [N] and gives each row the result of the token
   * `places` [M]: so a lone token can stand in two rows.
   */
  readonly spread: boolean
}

/**
 * x [N, hidden], cos and sin [N, rope size / 2] of each kind of layer, the lengths `ends` [B] that the sequences have with the new tokens, `rows`
 * [R] of those whose logits are wanted, caches, weights → logits [R, vocabulary] and the caches. Each sequence gets N / B
 * tokens; more than one only where there is one sequence.
 */
export function buildDecode(family: Family, config: ModelConfig, { factored, spread }: DecodeOptions): Graph {
  const { names, heads, size } = cacheLayout(config)
  const rowCount = spread ? ROWS : TOKENS
  const tokens = input('tokens', [TOKENS], 'int')
  const places = input('places', [ROWS], 'int')
  const ofTokens = (x: Value): Value => (spread ? gather(x, tokens) : x)
  const ofRows = (x: Value): Value => (spread ? gather(x, places) : x)
  const { headSize, hiddenSize, kinds, kindOf } = config
  const ends = input('ends', [SEQUENCES], 'int')
  const inputs = namedInputs()
  const outputs: Record<string, Value> = {}
  const appendTo = (name: string, rows: Value): Value => {
    outputs[appended(name)] = append(input(name, [SEQUENCES, heads, ROOM, size]), ofTokens(widened(rows, size)), ends)
    return outputs[appended(name)]
  }
  let x: Value = input('x', [rowCount, hiddenSize])
  for (let layer = 0; layer < config.layers; layer++) {
    const build = weightBuilder(family, config, layer, { inputs, factored, rowCount })
    const { query, key, value } = family.project(build, x)
    const attributes = { scale: config.attentionScale, window: kinds[kindOf[layer]].window }
    const [keys, values] = [appendTo(names[2 * layer], key), appendTo(names[2 * layer + 1], value)]
    const mixed = ofRows(attend(ofTokens(widened(query, size)), keys, values, attributes))
    x = family.mix(build, x, narrowed(mixed, size, headSize))
  }
  const last = gather(x, input('rows', [WANTED], 'int'))
  const { logits } = buildLogits(family, config, last)
  return makeGraph({ logits, ...outputs })
}

/** Low-rank factors that are inputs beside their weights, by the names of their modules in the model. */
export interface Factored {
  readonly modules: ReadonlySet<string>
  readonly rank: number
  readonly scale: number
}

/** The weights of one layer as inputs under their names in the checkpoint. */
function weightBuilder(
  family: Family,
  config: ModelConfig,
  layer: number,
  { inputs, factored, rowCount }: { readonly inputs: InputOf; readonly factored?: Factored; readonly rowCount: Dim },
): LayerBuilder {
  const linears = family.linears(config)
  const weight: InputOf = (name, shape) => inputs(layerName(layer, name), shape)
  const linear = (module: string, x: Value): Value => {
    const shape = linears.get(module)
    if (shape === undefined) throw new Error(`layer: no linear is called ${module}`)
    const y = matmul(x, weight(`${module}.weight`, [shape.outputs, shape.inputs]), { transposeB: true })
    const biased = shape.bias ? add(y, weight(`${module}.bias`, [shape.outputs])) : y
    if (factored === undefined || !factored.modules.has(layerName(layer, module))) return biased
    const { rank, scale } = factored
    const low = matmul(x, weight(`${module}${FACTOR_A}`, [rank, shape.inputs]), { transposeB: true, scale })
    return add(biased, matmul(low, weight(`${module}${FACTOR_B}`, [shape.outputs, rank]), { transposeB: true }))
  }
  const kind = config.kindOf[layer]
  const { rope } = config.kinds[kind]
  const turn = (heads: Value): Value => {
    if (rope === null) return heads
    const half = [rowCount, rope.size / 2]
    return turnHeads(heads, inputs(`cos ${kind}`, half), inputs(`sin ${kind}`, half))
  }
  return { config, linear, norm: normOf(family, config, weight), turn }
}

/** x [rows, heads, headSize] with zeros at the end of each head, as [rows, heads · size]. */
function widened(x: Value, size: number): Value {
  const [rows, heads, headSize] = x.shape
  const missing = size - Number(headSize)
  const wide = missing === 0 ? x : concat([x, broadcast(constant(0), [rows, heads, missing])], 2)
  return reshape(wide, [rows, Number(heads) * size])
}

/** The way back: [rows, heads · size] → [rows, heads · headSize]. */
function narrowed(x: Value, size: number, headSize: number): Value {
  if (size === headSize) return x
  const [rows, width] = x.shape
  const heads = Number(width) / size
  return reshape(slice(reshape(x, [rows, heads, size]), 2, 0, headSize), [rows, heads * headSize])
}
