/** @file What the passes of one model share: its programs, compiled when first needed, its weights and its buffers. */
import {
  type Backend,
  type Feeds,
  type FloatArray,
  type FloatTensors,
  type Graph,
  rowsOf,
  type Tensor,
  type Tensors,
} from '../engine/backend.ts'
import { type Ahead, openAhead } from './ahead.ts'
import { type AttentionGraphs, buildAttention } from './attention.ts'
import type { ModelConfig } from './config.ts'
import { families } from './families.ts'
import { buildHead, type HeadGraphs, type HeadStatistics } from './head.ts'
import { buildLayer, type LayerOptions, type LayerParts, type Learning } from './layer.ts'
import { type RotaryTables, rotaryPlan, rotaryTables } from './rope.ts'
import type { Row } from './row.ts'
import type { RowView } from './row-views.ts'
import { deviceRunner, programRunner } from './runner.ts'
import { rowReader } from './stored-rows.ts'
import { viewMaker } from './view-maker.ts'
import type { KeptTensor, KeptWeights } from './weights.ts'
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
  /** As they are kept. What learns is in float32. */
  readonly weights: KeptWeights
  readonly cuts: Cuts
  readonly workspace: Workspace
  readonly attention: AttentionGraphs
  /** The graphs of the head that give so much. */
  headFor(asked: HeadStatistics): HeadGraphs
  /** The graphs of a layer of which so much learns: the same for all layers that compute the same. */
  layerFor(learning: Learning, layer: number): LayerParts
  run(graph: Graph, feeds: Feeds, into: Tensors): Promise<void>
  /** Writes the rows of the embedding for some tokens, scaled. @throws RangeError for an id that has none. */
  embed(ids: ArrayLike<number>, into: Tensor<FloatArray>): void
  /** Rotary tables of each kind of layer for tokens at these positions; null where it has none. */
  angles(positions: ArrayLike<number>): readonly (RotaryTables | null)[]
  /** What the passes need to know of a row. */
  prepare(row: Row): PreparedRow
  /** Begins to prepare a row beside what is computed until it is needed. */
  expect(row: Row): void
  /** What is made beside the passes. */
  readonly ahead: Ahead
  dispose(): Promise<void>
}

export interface PreparedRow {
  readonly row: Row
  readonly tokens: number
  /** For each layer. Those of one kind share them. */
  readonly layers: readonly RowView[]
}

export function makeMachine(backend: Backend, config: ModelConfig, weights: KeptWeights, own = defaultCuts): Machine {
  // On a device a row is one block.
  const cuts = backend.device === undefined ? own : { ...own, blockTokens: Number.MAX_SAFE_INTEGER }
  const family = families[config.family]
  const kinds = config.kinds.map(({ rope, window }) => ({
    plan: rope && rotaryPlan(rope, weights.ropeFactors),
    window,
  }))
  const ahead = openAhead(backend)
  const { expect, viewsOf } = viewMaker(ahead, backend.allocate, { kinds, blockTokens: cuts.blockTokens })
  const angles: Machine['angles'] = (positions) =>
    kinds.map(({ plan }) => plan && rotaryTables(backend.allocate, plan, positions))
  const headFor = remembered((asked: HeadStatistics) => buildHead(family, config, asked))
  const layerWith = remembered((options: LayerOptions) => buildLayer(family, config, options))
  const workspace = makeWorkspace(backend)
  const runner =
    backend.device === undefined ? programRunner(backend, workspace) : deviceRunner(backend.device, weights)
  return {
    backend,
    config,
    weights,
    cuts,
    workspace,
    attention: buildAttention(config),
    headFor,
    layerFor: (learning, layer) => layerWith({ learning, turned: config.kinds[config.kindOf[layer]].rope?.size ?? 0 }),
    run: runner.run,
    embed: (ids, into) => embedRows(weights.embedding, ids, into, config.embeddingScale),
    angles,
    expect,
    prepare: (row) => {
      const views = viewsOf(row)
      return { row, tokens: row.ids.length, layers: config.kindOf.map((kind) => views[kind]) }
    },
    ahead,
    dispose: async () => {
      ahead.close()
      await runner.dispose()
    },
  }
}

/** The result for equal options is made once. */
function remembered<Options, Result>(make: (options: Options) => Result): (options: Options) => Result {
  const results = new Map<string, Result>()
  return (options) => {
    const key = JSON.stringify(options)
    const known = results.get(key) ?? make(options)
    results.set(key, known)
    return known
  }
}

function embedRows(table: KeptTensor, ids: ArrayLike<number>, into: Tensor<FloatArray>, scale: number): void {
  const [rows, width] = table.shape
  const rowOf = rowReader(table)
  for (let at = 0; at < ids.length; at++) {
    const id = ids[at]
    if (!(id >= 0 && id < rows)) throw new RangeError(`token id ${id} is not in the vocabulary of ${rows}`)
    into.data.set(rowOf(id), at * width)
  }
  if (scale !== 1) for (let at = 0; at < ids.length * width; at++) into.data[at] *= scale
}

/** Tensors with a row for each token, and those that all tokens share. */
export interface PartFeeds {
  readonly tokens: Tensors
  readonly shared: Feeds
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
