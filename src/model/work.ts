/** @file How many operations training takes, from the configuration of a model and the sizes of its rows. */
import type { ModelConfig } from './config.ts'
import { families } from './families.ts'
import { learningCount } from './footprint.ts'
import type { LoraSettings } from './lora.ts'

/** The sizes of a packed row. */
export interface RowSize {
  readonly tokens: number
  readonly scored: number
}

export interface WorkOptions {
  readonly lora: LoraSettings | null
  /** Whether layers are computed again in the backward pass. */
  readonly recomputes: boolean
  /** Whether a reference is computed beside. */
  readonly hasReference: boolean
}

/** Floating-point operations, by where they are made. */
export interface Work {
  readonly layers: number
  readonly head: number
}

/** Of a row: forward, backward and what the reference needs. */
function rowWork(config: ModelConfig, { tokens, scored }: RowSize, options: WorkOptions): Work {
  const { lora, recomputes, hasReference } = options
  const linears = 2 * linearCount(config) * tokens
  // A token sees half of the row on average; scores and their product with the values.
  const attention = 2 * tokens * tokens * config.heads * config.headSize * config.layers
  const factors = lora === null || config.layers === 0 ? 0 : 2 * learningCount(config, lora) * tokens
  const head = 2 * config.vocabularySize * config.hiddenSize * scored
  const forward = linears + attention
  const forwards = 1 + Number(recomputes)
  return {
    layers:
      forwards * (forward + factors) +
      (linears + 2 * attention + factors) + // towards the inputs
      (lora === null ? linears : factors) + // towards what learns
      (hasReference ? forward : 0),
    // Logits, and the mean of the head's rows under them; where it learns, logits again and both gradients.
    head: head * (2 + (lora === null ? 3 : 0) + Number(hasReference)),
  }
}

/** The weights of all linears of the layers. */
export function linearCount(config: ModelConfig): number {
  let count = 0
  for (const { inputs, outputs } of families[config.family].linears(config).values()) count += inputs * outputs
  return count * config.layers
}

export function totalWork(config: ModelConfig, rows: readonly RowSize[], options: WorkOptions): Work {
  const total = { layers: 0, head: 0 }
  for (const row of rows) {
    const { layers, head } = rowWork(config, row, options)
    total.layers += layers
    total.head += head
  }
  return total
}
