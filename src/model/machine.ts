/** @file What the passes of one model share: its programs, compiled when first needed, its weights and its buffers. */
import {
  type Backend,
  type FloatArray,
  type FloatTensors,
  type Graph,
  type Program,
  rowsOf,
  type Tensor,
  type Tensors,
} from '../engine/backend.ts'
import { type AttentionGraphs, buildAttention } from './attention.ts'
import type { ModelConfig } from './config.ts'
import { families } from './families.ts'
import { buildHead, type HeadGraphs, type HeadStatistics } from './head.ts'
import { buildLayer, type LayerParts, type Learning } from './layer.ts'
import { inverseFrequencies, type RotaryTables, rotaryTables } from './rope.ts'
import { type AttentionBlock, attentionBlocks, depthsOf, type Row } from './row.ts'
import type { ModelWeights, WeightTensor } from './weights.ts'
import { makeWorkspace, type Workspace } from './workspace.ts'

/** How work is cut. The results do not depend on it beyond rounding. */
export interface Cuts {
  /** Query tokens of one attention block. */
  readonly blockTokens: number
  /** Tokens that go through a part of a layer at once. */
  readonly chunkTokens: number
  /** Scored tokens whose logits are in memory at once. */
  readonly headTokens: number
}

export const defaultCuts: Cuts = { blockTokens: 128, chunkTokens: 512, headTokens: 128 }

export interface Machine {
  readonly backend: Backend
  readonly config: ModelConfig
  readonly weights: ModelWeights
  readonly cuts: Cuts
  readonly workspace: Workspace
  readonly attention: AttentionGraphs
  /** The graphs of the head that give so much. */
  headFor(asked: HeadStatistics): HeadGraphs
  /** The graphs of a layer of which so much learns. */
  layerFor(learning: Learning): LayerParts
  run(graph: Graph, feeds: Tensors, into: Tensors): Promise<void>
  /** Writes the rows of the embedding for some tokens. @throws RangeError for an id that has none. */
  embed(ids: ArrayLike<number>, into: Tensor<FloatArray>): void
  /** Rotary tables [T, headSize / 2] for tokens at these positions. */
  angles(positions: ArrayLike<number>): RotaryTables
  /** What the passes need to know of a row. */
  prepare(row: Row): PreparedRow
  dispose(): Promise<void>
}

export interface PreparedRow {
  readonly row: Row
  readonly tokens: number
  /** Rotary tables, [T, headSize / 2]. */
  readonly angles: RotaryTables
  readonly blocks: readonly AttentionBlock[]
}

export function makeMachine(backend: Backend, config: ModelConfig, weights: ModelWeights, cuts = defaultCuts): Machine {
  const family = families[config.family]
  const frequencies = inverseFrequencies(config, weights.ropeFactors)
  const programs = new Map<Graph, Promise<Program>>()
  const heads = new Map<string, HeadGraphs>()
  const layers = new Map<string, LayerParts>()
  const compiled = (graph: Graph): Promise<Program> => {
    const known = programs.get(graph) ?? backend.compile(graph)
    programs.set(graph, known)
    return known
  }
  return {
    backend,
    config,
    weights,
    cuts,
    workspace: makeWorkspace(backend),
    attention: buildAttention(config),
    headFor: (asked) => {
      const key = JSON.stringify(asked)
      const graphs = heads.get(key) ?? buildHead(config, asked)
      heads.set(key, graphs)
      return graphs
    },
    layerFor: (learning) => {
      const key = JSON.stringify(learning)
      const parts = layers.get(key) ?? buildLayer(family, config, learning)
      layers.set(key, parts)
      return parts
    },
    run: async (graph, feeds, into) => (await compiled(graph)).run(feeds, into),
    embed: (ids, into) => embedRows(weights.embedding, ids, into),
    angles: (positions) => rotaryTables(backend, frequencies, positions),
    prepare: (row) => ({
      row,
      tokens: row.ids.length,
      angles: rotaryTables(backend, frequencies, depthsOf(row)),
      blocks: attentionBlocks(row, cuts.blockTokens, config.slidingWindow),
    }),
    dispose: async () => {
      for (const program of programs.values()) await (await program).dispose()
    },
  }
}

function embedRows(table: WeightTensor, ids: ArrayLike<number>, into: Tensor<FloatArray>): void {
  const [rows, width] = table.shape
  for (let at = 0; at < ids.length; at++) {
    const id = ids[at]
    if (!(id >= 0 && id < rows)) throw new RangeError(`token id ${id} is not in the vocabulary of ${rows}`)
    into.data.set(table.data.subarray(id * width, (id + 1) * width), at * width)
  }
}

/** Tensors with a row for each token, and those that all tokens share. */
export interface PartFeeds {
  readonly tokens: Tensors
  readonly shared: Tensors
}

/**
 * Runs a part of a layer over tokens in chunks. `into` has a row for each token; `totals` are fed and written again
 * with every chunk.
 */
export async function runPart(
  machine: Machine,
  graph: Graph,
  feeds: PartFeeds,
  into: { readonly tokens: Tensors; readonly totals?: FloatTensors },
): Promise<void> {
  const [{ shape }] = Object.values(feeds.tokens)
  for (let start = 0; start < shape[0]; start += machine.cuts.chunkTokens) {
    const end = Math.min(start + machine.cuts.chunkTokens, shape[0])
    const cut = (tensors: Tensors): Record<string, Tensor> =>
      Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, rowsOf(tensor, start, end)]))
    await machine.run(graph, { ...feeds.shared, ...cut(feeds.tokens) }, { ...cut(into.tokens), ...into.totals })
  }
}
