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
  /** The graphs of a layer of which so much learns: the same for all layers that compute the same. */
  layerFor(learning: Learning, layer: number): LayerParts
  run(graph: Graph, feeds: Tensors, into: Tensors): Promise<void>
  /** Writes the rows of the embedding for some tokens, scaled. @throws RangeError for an id that has none. */
  embed(ids: ArrayLike<number>, into: Tensor<FloatArray>): void
  /** Rotary tables of each kind of layer for tokens at these positions; null where it has none. */
  angles(positions: ArrayLike<number>): readonly (RotaryTables | null)[]
  /** What the passes need to know of a row. */
  prepare(row: Row): PreparedRow
  dispose(): Promise<void>
}

export interface PreparedRow {
  readonly row: Row
  readonly tokens: number
  /** For each layer. Those of one kind share them. */
  readonly layers: readonly RowView[]
}

/** How the layers of one kind see a row. */
export interface RowView {
  /** null where positions are not turned. */
  readonly angles: RotaryTables | null
  readonly blocks: readonly AttentionBlock[]
}

export function makeMachine(backend: Backend, config: ModelConfig, weights: ModelWeights, cuts = defaultCuts): Machine {
  const family = families[config.family]
  const frequencies = config.kinds.map(({ rope }) => rope && inverseFrequencies(rope, weights.ropeFactors))
  const angles: Machine['angles'] = (positions) =>
    frequencies.map((own) => own && rotaryTables(backend, own, positions))
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
      const graphs = heads.get(key) ?? buildHead(family, config, asked)
      heads.set(key, graphs)
      return graphs
    },
    layerFor: (learning, layer) => {
      const options = { learning, turned: config.kinds[config.kindOf[layer]].rope?.size ?? 0 }
      const key = JSON.stringify(options)
      const parts = layers.get(key) ?? buildLayer(family, config, options)
      layers.set(key, parts)
      return parts
    },
    run: async (graph, feeds, into) => (await compiled(graph)).run(feeds, into),
    embed: (ids, into) => embedRows(weights.embedding, ids, into, config.embeddingScale),
    angles,
    prepare: (row) => {
      const turned = angles(depthsOf(row))
      const windows = new Map(
        [...new Set(config.kinds.map(({ window }) => window))].map((window) => [
          window,
          attentionBlocks(row, cuts.blockTokens, window),
        ]),
      )
      const views = config.kinds.map(({ window }, kind) => ({
        angles: turned[kind],
        blocks: windows.get(window) ?? [],
      }))
      return { row, tokens: row.ids.length, layers: config.kindOf.map((kind) => views[kind]) }
    },
    dispose: async () => {
      for (const program of programs.values()) await (await program).dispose()
    },
  }
}

function embedRows(table: WeightTensor, ids: ArrayLike<number>, into: Tensor<FloatArray>, scale: number): void {
  const [rows, width] = table.shape
  for (let at = 0; at < ids.length; at++) {
    const id = ids[at]
    if (!(id >= 0 && id < rows)) throw new RangeError(`token id ${id} is not in the vocabulary of ${rows}`)
    into.data.set(table.data.subarray(id * width, (id + 1) * width), at * width)
  }
  if (scale !== 1) for (let at = 0; at < ids.length * width; at++) into.data[at] *= scale
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
