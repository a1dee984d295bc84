/** @file One question to a chat model and its reply, whoever the provider is. */
import type { FailureKind } from '../data/judgement.ts'
import type { Batches } from './batch.ts'

export interface ChatMessage {
  readonly role: 'system' | 'user' | 'assistant'
  readonly content: string
}

/** All that a reply depends on, but for the model and where it runs: every field is part of the cache's key. */
export interface ChatRequest {
  readonly messages: readonly ChatMessage[]
  /** What the reply must be: an object of this JSON schema. Without it the reply is text. */
  readonly schema: { readonly name: string; readonly json: Readonly<Record<string, unknown>> } | null
  /** The most tokens of the reply. */
  readonly maxTokens: number
  readonly temperature: number
  readonly topP: number | null
  readonly seed: number | null
  /** How many alternatives of each token are wanted with their log-probabilities; 0: none. */
  readonly topLogprobs: number
  /** Tells apart several replies to one question. */
  readonly sample: number
}

/** What the reading of a reply takes of its request. */
export interface RequestShape extends Pick<ChatRequest, 'maxTokens' | 'topP' | 'seed' | 'topLogprobs'> {
  readonly schema: Pick<NonNullable<ChatRequest['schema']>, 'name'> | null
}

/** A token of the reply with the alternatives that the model had, itself among them. */
export interface ScoredToken {
  readonly token: string
  readonly logprob: number
  readonly alternatives: readonly { readonly token: string; readonly logprob: number }[]
}

/** A whole reply: one that was cut, filtered or is not what was asked for is a ChatError. */
export interface ChatReply {
  /** JSON where a schema was given and `form` is not `text`. */
  readonly text: string
  /** How the schema was asked for. */
  readonly form: 'json-schema' | 'tool' | 'text'
  /** What the provider calls the model. */
  readonly model: string
  readonly promptTokens: number
  readonly completionTokens: number
  /** Null where the provider has none. */
  readonly logprobs: readonly ScoredToken[] | null
}

/** A provider's model. */
export interface ChatModel {
  /** `openai:gpt-4`, `anthropic:claude-…`, `openai:qwen@http://localhost:8000/v1`; no keys, no user info, no query. */
  readonly name: string
  /** The name that prices are listed under, e.g. `gpt-4`. */
  readonly model: string
  /** Where several servers serve it: theirs. */
  readonly addresses?: readonly string[]
  /** Whether replies can carry log-probabilities; null where only asking tells. */
  readonly hasLogprobs: boolean | null
  /** Sends one request, once. @throws ChatError for whatever comes back that is not a whole reply. */
  complete(request: ChatRequest, signal: AbortSignal): Promise<ChatReply>
  /** Of models behind a protocol that has one; whether the server has it, asking tells. */
  readonly batches?: Batches
}

/** What failed at one of several servers. */
export interface AddressFailure {
  readonly address: string
  readonly kind: FailureKind
  readonly why: string
}

export interface ChatErrorFacts {
  readonly kind: FailureKind
  /** Whether asking again may help. */
  readonly isTransient: boolean
  /** What `Retry-After` said; not yet bounded. */
  readonly retryAfterMs?: number
  /** Whether the provider may have charged for it: false where it refused, true where nobody knows. */
  readonly maybePaid: boolean
  /** What was charged, where the failed reply says so (a reply that was cut at its length, a filtered one). */
  readonly usage?: { readonly promptTokens: number; readonly completionTokens: number }
  /** Of a model that several serve: the last failure of each that was asked. */
  readonly byAddress?: readonly AddressFailure[]
  /** That others of them go on: nobody else has to wait as `retryAfterMs` says. */
  readonly hasOthers?: boolean
}

/** A call that gave no whole reply. Its message holds no key, no header and no address with user info. */
export class ChatError extends Error {
  override name = 'ChatError'
  readonly facts: ChatErrorFacts

  constructor(message: string, facts: ChatErrorFacts, options?: ErrorOptions) {
    super(message, options)
    this.facts = facts
  }
}

/** One error of several about one request, the last failure of each address in its message. */
export function joinFailures(errors: readonly ChatError[], facts: ChatErrorFacts): ChatError {
  const known = new Map(errors.flatMap((error) => (error.facts.byAddress ?? []).map((one) => [one.address, one])))
  const last = errors[errors.length - 1]
  if (known.size === 0) return last
  const byAddress = [...known.values()]
  const message = byAddress.length === 1 ? last.message : byAddress.map(({ why }) => why).join('; ')
  return new ChatError(message, { ...facts, byAddress }, { cause: last })
}

/** Asks a model through whatever stands between: cache, budget, limits, retries. */
export interface Asker {
  /** @throws ChatError where no whole reply came in the end. */
  ask(
    request: ChatRequest,
    signal: AbortSignal,
  ): Promise<{ readonly reply: ChatReply; readonly isCached: boolean; readonly cost: number | null }>
}
