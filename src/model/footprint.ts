/** @file What training takes in memory, by its parts, from the configuration of a model and the sizes of a row. */
import type { Graph } from '../engine/backend.ts'
import { elementCount } from '../engine/dims.ts'
import { liveBytes } from '../engine/live-bytes.ts'
import { buildAttention } from './attention.ts'
import type { ModelConfig } from './config.ts'
import { families } from './families.ts'
import type { Keeping } from './forward.ts'
import { buildHead } from './head.ts'
import { type Keep, keptSizes } from './keep.ts'
import { buildLayer, type LayerParts, type Learning } from './layer.ts'
import { type LoraSettings, loraScale, targetModules } from './lora.ts'
import { defaultCuts } from './machine.ts'
import { slotsOf } from './stored-feeds.ts'
import type { TensorSource } from './tensor-source.ts'
import { layerName, tensorShapes } from './weights.ts'

const BYTES = 4

export interface FootprintOptions {
  readonly keep: Keep
  /** null where all weights learn. */
  readonly lora: LoraSettings | null
  readonly keeping: Exclude<Keeping, 'nothing'>
  /** Whether a second copy of the weights stands beside those that learn. */
  readonly hasCopy: boolean
  /** Of the largest row. */
  readonly tokens: number
  readonly scored: number
}

/** In bytes. */
export interface Footprint {
  /** As they are kept. */
  readonly weights: number
  /** What learns beside the weights, its gradients and the optimizer's two moments. */
  readonly learning: number
  /** A frozen copy of weights that learn. */
  readonly reference: number
  /** Where stored weights become float32. */
  readonly decoded: number
  /** What a row's forward pass keeps for its backward pass, and the buffers of both. */
  readonly activations: number
  /** What programs hold between: ONNX Runtime's arenas. */
  readonly programs: number
}

/** ONNX Runtime's arenas grow by doubling and keep what they had: measured on SmolLM2, Qwen2.5-0.5B and TinyLlama shapes. */
const ARENA = 1.35

/** Parameters of an adapter, and those of a whole model. */
export function learningCount(config: ModelConfig, lora: LoraSettings | null): number {
  const family = families[config.family]
  if (lora === null) {
    let count = 0
    for (const shape of tensorShapes(family, config).values()) count += elementCount(shape)
    return count
  }
  const linears = family.linears(config)
  let count = 0
  for (const modules of targetModules(config, lora.targets)) {
    for (const module of modules) {
      const { inputs, outputs } = linears.get(module) ?? { inputs: 0, outputs: 0 }
      count += lora.rank * (inputs + outputs)
    }
  }
  return count
}

/** @param source the weights, of which headers are read; undefined for new ones. */
export function footprint(config: ModelConfig, source: TensorSource | undefined, options: FootprintOptions): Footprint {
  const { lora, hasCopy } = options
  const sizes = keptSizes(source, families[config.family], config, options.keep)
  let weights = 0
  for (const { bytes } of sizes.values()) weights += bytes
  const learning = learningCount(config, lora)
  const parts = layerParts(config, lora)
  const isStored = (name: string): boolean => sizes.get(layerName(0, name))?.isStored ?? false
  return {
    weights,
    learning: BYTES * learning * (lora === null ? 3 : 4),
    reference: hasCopy ? weights : 0,
    decoded: decodedBytes(parts, isStored),
    activations: activationBytes(config, parts, options),
    programs: ARENA * programBytes(config, parts, options),
  }
}

export function totalBytes(parts: Footprint): number {
  return Object.values(parts).reduce((sum, bytes) => sum + bytes, 0)
}

function layerParts(config: ModelConfig, lora: LoraSettings | null): LayerParts {
  const learning: Learning =
    lora === null
      ? { kind: 'full' }
      : {
          kind: 'lora',
          rank: lora.rank,
          scale: loraScale(lora),
          targets: targetModules(config, lora.targets)[0],
          dropout: lora.dropout > 0,
        }
  return buildLayer(families[config.family], config, { learning, turned: config.kinds[0].rope?.size ?? 0 })
}

/** The buffers of `storedFeeds`, each as large as the largest tensor that it takes. */
function decodedBytes({ project, mix }: LayerParts, isStored: (name: string) => boolean): number {
  const slots: number[] = []
  for (const graph of [project, mix].flatMap(({ forward, backward }) => [forward, backward])) {
    const own = slotsOf(graph, isStored)
    for (const { attributes, shape } of graph.inputs) {
      const slot = own.get(attributes.name)
      if (slot !== undefined) slots[slot] = Math.max(slots[slot] ?? 0, BYTES * elementCount(shape.map(Number)))
    }
  }
  return slots.reduce((sum, bytes) => sum + bytes, 0)
}

/** As `forwardLayers`, `layerState`, `backwardLayers` and `headSloped` take them. */
function activationBytes(config: ModelConfig, parts: LayerParts, options: FootprintOptions): number {
  const { hiddenSize, heads, keyValueHeads, headSize, layers, vocabularySize } = config
  const { tokens, scored, keeping, lora } = options
  const state = 2 * heads * headSize + 2 * keyValueHeads * headSize // query, attended, key, value
  const saved = [...parts.project.saved.values(), ...parts.mix.saved.values()].reduce((sum, width) => sum + width, 0)
  const kept = keeping === 'products' ? layers * (state + saved) : state
  const passing = state + 2 * hiddenSize // the reference's layers, which keep nothing
  const backward = state + 2 * hiddenSize // d query, d key, d value, d attended, d rest, d hidden
  const dropped = lora !== null && lora.dropout > 0 ? 3 * maskWidth(config, lora) : 0 // two in turns, and one that is drawn where the thread is late
  const perToken = (layers + 1) * hiddenSize + kept + passing + backward + dropped
  const masks = tokens * tokens
  const head = scored * hiddenSize + (lora === null ? vocabularySize * hiddenSize : 0)
  return BYTES * (tokens * perToken + masks + head)
}

function maskWidth(config: ModelConfig, lora: LoraSettings): number {
  const linears = families[config.family].linears(config)
  return targetModules(config, lora.targets)[0].reduce((sum, module) => sum + (linears.get(module)?.inputs ?? 0), 0)
}

function programBytes(config: ModelConfig, { project, mix }: LayerParts, options: FootprintOptions): number {
  const { tokens, scored, keeping, lora } = options
  const { blockTokens, chunkTokens, headTokens } = defaultCuts
  const head = buildHead(families[config.family], config, { collision: false, kl: false })
  const sizes = new Map([
    ['T', Math.min(tokens, chunkTokens)],
    ['Q', Math.min(tokens, blockTokens)],
    ['K', tokens],
    ['S', Math.min(scored, headTokens)],
  ])
  const attention = buildAttention(config)
  const own = [project, mix].flatMap((part) =>
    keeping === 'products' ? [part.forwardSaving, part.backwardSaved] : [part.forward, part.backward],
  )
  const graphs: Graph[] = [...own, project.forward, mix.forward, attention.forward, attention.backward, head.forward]
  graphs.push(lora === null ? head.backward : head.forwardSloped)
  return graphs.reduce((sum, graph) => sum + liveBytes(graph, sizes), 0)
}
