/** @file The table of model families. A new one is a file beside llama.ts and a line here. */
import type { ModelConfig } from './config.ts'
import type { Family } from './layer.ts'
import { llama } from './llama.ts'

export const families: { readonly [F in ModelConfig['family']]: Family } = {
  llama,
  mistral: llama, // the same layer; its sliding window is in the attention mask
}
