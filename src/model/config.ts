/** @file What the engine must know of a model. Each family reads it from its own config.json. */

export type FamilyName = 'llama' | 'mistral' | 'qwen2' | 'qwen3' | 'phi' | 'phi3' | 'smollm3' | 'gemma3_text'

/** How rotary frequencies are changed for longer contexts. */
export type RopeScaling =
  | { readonly kind: 'none' }
  | { readonly kind: 'linear'; readonly factor: number }
  | {
      readonly kind: 'llama3'
      readonly factor: number
      readonly lowFrequencyFactor: number
      readonly highFrequencyFactor: number
      readonly originalPositions: number
    }
  | {
      readonly kind: 'yarn'
      readonly factor: number
      readonly originalPositions: number
      readonly betaFast: number
      readonly betaSlow: number
      /** Whether the bounds between which frequencies are mixed are whole dimensions. */
      readonly truncate: boolean
      readonly attentionFactor: number
    }
  | {
      /** As far as the model was pretrained; beyond, its frequencies are others. */
      readonly kind: 'longrope'
      /** Divisors of the frequencies. */
      readonly factors: readonly number[]
      readonly originalPositions: number
      readonly attentionFactor: number
    }

/** Rotary positions. */
export interface Rope {
  readonly theta: number
  readonly scaling: RopeScaling
  /** How many dimensions of each head are turned: the first ones, an even number. */
  readonly size: number
}

/** In what the layers of one model may differ. */
export interface LayerKind {
  /** A token sees this many tokens, itself included; null sees all before it. */
  readonly window: number | null
  /** null: no positions but those that the mask gives. */
  readonly rope: Rope | null
}

export interface ModelConfig {
  readonly family: FamilyName
  readonly vocabularySize: number
  readonly hiddenSize: number
  readonly intermediateSize: number
  readonly layers: number
  readonly heads: number
  readonly keyValueHeads: number
  readonly headSize: number
  readonly normEpsilon: number
  readonly maxPositions: number
  readonly tiedHead: boolean
  /** The linears of a layer that have a bias. */
  readonly biased: readonly string[]
  /** What the products of queries and keys are multiplied by. */
  readonly attentionScale: number
  /** What embedded tokens are multiplied by. */
  readonly embeddingScale: number
  /** The kinds of layers that there are. */
  readonly kinds: readonly LayerKind[]
  /** Of each layer, which of them it is. */
  readonly kindOf: readonly number[]
}
