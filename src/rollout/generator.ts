/** @file The port of rollouts: prompts → completions. The local decoder implements it. */
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
  /** The tokens that were written, without the one that ends an answer. Those of a stop string are among them. */
  readonly ids: readonly number[]
  /** Why it ends: at an end-of-turn token or a stop string, or because no more tokens were allowed. */
  readonly finish: 'stop' | 'length'
  /** The stop string at which it ends; null where the model ended it, or its length. */
  readonly stop: string | null
  /** log p of each of `ids` under the model itself: without temperature, penalty and filters. Null unless wanted. */
  readonly logps: readonly number[] | null
}

/** How tokens are chosen. Filters are those of transformers, in its order. */
export interface Sampling {
  /** 0 is greedy: the most likely token, without random numbers and filters. */
  readonly temperature: number
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

/** Completes prompts. */
export interface Generator {
  readonly name: string
  /** Completions as they are finished, in any order. What a completion is does not depend on the others asked for. */
  generate(requests: Iterable<GenerateRequest>, sampling: Sampling, signal: AbortSignal): AsyncGenerator<Completion>
}
