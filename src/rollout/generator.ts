/** @file The port of rollouts: prompts → completions. The local decoder implements it, and servers of models do. */
import { UserError } from '../base/errors.ts'
import type { Prompt } from '../data/records.ts'

/** One completion that is asked for. */
export interface GenerateRequest {
  /** With `sample` it names the random numbers: the same names give the same completion. */
  readonly id: string
  readonly prompt: Prompt
  /** What the answer has so far and goes on from; '' at the start. */
  readonly continued: string
  readonly sample: number
}

export interface Completion {
  readonly request: GenerateRequest
  /** What was written after `continued`, without the stop string. */
  readonly text: string
  /** The tokens that were written, without the one that ends an answer. Those of a stop string are among them. A server tells none. */
  readonly ids: readonly number[]
  /** How many were written; by a server, as it counts them. */
  readonly tokens: number
  /** Why it ends: at an end-of-turn token or a stop string, or because no more tokens were allowed. */
  readonly finish: 'stop' | 'length'
  /** The stop string at which it ends; null where the model ended it, or its length, or a server does not say. */
  readonly stop: string | null
  /** log p of each token under the model itself: without temperature, penalty and filters. Null unless wanted and told. */
  readonly logps: readonly number[] | null
}

/** How tokens are chosen. Filters are those of transformers, in its order. */
export interface Sampling {
  /** 0 is greedy: the most likely token, without random numbers and filters. */
  readonly temperature: number
  /** The temperature rises with each line that was written, up to the most. A server keeps the first one. */
  readonly heat?: { readonly perLine: number; readonly most: number }
  /** Only so many most likely tokens; 0 is all. */
  readonly topK: number
  /** Only the most likely tokens that together have this probability; 1 is all. */
  readonly topP: number
  /** Only tokens with this part of the probability of the most likely one; 0 is all. */
  readonly minP: number
  /** Divides the logits of tokens that occurred, in the prompt too, or multiplies negative ones (CTRL); 1 is none. */
  readonly repetitionPenalty: number
  /** Texts at which a completion ends. */
  readonly stop: readonly string[]
  readonly maxTokens: number
  readonly seed: number
  readonly logprobs: boolean
}

/** Some completions did not come. Asking for these again may help. */
export class IncompleteError extends UserError {
  override name = 'IncompleteError'
  /** By their kind. */
  readonly failures: ReadonlyMap<string, { readonly count: number; readonly example: string }>

  constructor(message: string, failures: IncompleteError['failures']) {
    super(message)
    this.failures = failures
  }
}

/** Completes prompts. */
export interface Generator {
  readonly name: string
  /**
   * Completions as they are finished, in any order. What a completion is does not depend on the others asked for.
   * @throws IncompleteError after all that came, where a server failed.
   */
  generate(requests: Iterable<GenerateRequest>, sampling: Sampling, signal: AbortSignal): AsyncGenerator<Completion>
}
