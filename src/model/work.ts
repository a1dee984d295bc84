/** @file How many operations training takes, from the configuration of a model and the rows of an update. */
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
  /** Whether a reference says something of the row. */
  readonly hasReference: boolean
}

/** The weights of all linears of the layers. */
export function linearCount(config: ModelConfig): number {
  let count = 0
  for (const { inputs, outputs } of families[config.family].linears(config).values()) count += inputs * outputs
  return count * config.layers
}

/** Floating-point operations of a row: forward, backward and what the reference needs. */
export function rowFlops(config: ModelConfig, { tokens, scored }: RowSize, options: WorkOptions): number {
  const { lora, recomputes, hasReference } = options
  const linears = 2 * linearCount(config) * tokens
  // A token sees half of the row on average; scores and their product with the values.
  const attention = 2 * tokens * tokens * config.heads * config.headSize * config.layers
  const factors = lora === null ? 0 : 2 * learningCount(config, lora) * tokens
  const head = 2 * config.vocabularySize * config.hiddenSize * scored
  const forwards = 1 + Number(recomputes)
  const reference = hasReference ? linears + attention + head : 0
  const learning = lora === null ? linears + head : factors
  return (
    forwards * (linears + attention + factors) + // forward, and again
    (linears + 2 * attention + factors) + // towards the inputs
    learning + // towards what learns
    2 * head + // logits, and the mean of the head's rows under them
    reference
  )
}

/** How often the weights of all layers are read for a row. */
export function rowPasses({ recomputes, hasReference }: WorkOptions): number {
  return 2 + Number(recomputes) + Number(hasReference)
}
