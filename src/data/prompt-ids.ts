/** @file The tokens of a prompt that has none of its own yet. */
import type { Tokenizer } from '../text/tokenizer.ts'
import type { Prompt } from './records.ts'

/** `tokenizer` is asked for only where the prompt is text. */
export function promptIds(
  prompt: Prompt,
  tokenizer: () => Pick<Tokenizer, 'chatPrompt' | 'rawPrompt'>,
): readonly number[] {
  if ('messages' in prompt) return tokenizer().chatPrompt(prompt.messages)
  return typeof prompt.raw === 'string' ? tokenizer().rawPrompt(prompt.raw) : prompt.raw
}
