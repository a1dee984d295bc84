/**
 * @file What a reply depends on, as one hash. The encoding is JSON of lists whose places are fixed: strings are quoted,
 * so no text can run into its neighbour, and nothing is normalised, so that texts that differ have keys that differ.
 */
import { sha256 } from '../base/hash.ts'
import type { ChatMessage, ChatModel, ChatRequest } from './chat.ts'

const ENCODING = 'stepdpo-ask-1'

/** Typed by the request: a field that is added there does not compile until it is here. */
const messageFields: { readonly [Field in keyof Required<ChatMessage>]: (message: ChatMessage) => unknown } = {
  role: (message) => message.role,
  content: (message) => message.content,
}

const requestFields: { readonly [Field in keyof Required<ChatRequest>]: (request: ChatRequest) => unknown } = {
  messages: ({ messages }) => messages.map((message) => Object.values(messageFields).map((read) => read(message))),
  // The schema's own order of properties stays: models write them in that order.
  schema: ({ schema }) => (schema === null ? null : [schema.name, schema.json]),
  maxTokens: ({ maxTokens }) => finite(maxTokens),
  temperature: ({ temperature }) => finite(temperature),
  topP: ({ topP }) => (topP === null ? null : finite(topP)),
  seed: ({ seed }) => (seed === null ? null : finite(seed)),
  topLogprobs: ({ topLogprobs }) => finite(topLogprobs),
  sample: ({ sample }) => finite(sample),
}

/** JSON writes what is not finite as null, which is another request. */
function finite(value: number): number {
  if (!Number.isFinite(value)) throw new Error(`a chat request holds the number ${value}`)
  return value
}

/**
 * The key of a request to a model under a version of its prompt: SHA-256, in hexadecimal.
 * @throws Error for a number that is not finite.
 */
export function cacheKey(
  model: Pick<ChatModel, 'name' | 'model'>,
  promptVersion: string,
  request: ChatRequest,
): string {
  const fields = Object.entries(requestFields).map(([name, read]) => [name, read(request)])
  return sha256(JSON.stringify([ENCODING, model.name, model.model, promptVersion, fields]))
}
