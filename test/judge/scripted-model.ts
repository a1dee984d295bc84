/** @file A chat model in this process that answers, fails and hangs by a seeded script, and keeps its own bill. */

import { sha256 } from '../../src/base/hash.ts'
import { random } from '../../src/base/random.ts'
import {
  ChatError,
  type ChatErrorFacts,
  type ChatModel,
  type ChatReply,
  type ChatRequest,
} from '../../src/judge/chat.ts'

/** What becomes of one request. */
type Event = 'reply' | 'hang' | 'deaf' | 'bug' | ChatErrorFacts

const FAULTS: readonly Event[] = [
  'hang',
  'deaf',
  'bug',
  { kind: 'network', isTransient: true, maybePaid: true },
  { kind: 'timeout', isTransient: true, maybePaid: true },
  { kind: 'rate-limit', isTransient: true, maybePaid: false },
  { kind: 'rate-limit', isTransient: true, maybePaid: false, retryAfterMs: 2000 },
  { kind: 'rate-limit', isTransient: true, maybePaid: false, retryAfterMs: 3e9 },
  { kind: 'server-error', isTransient: true, maybePaid: true },
  { kind: 'server-error', isTransient: true, maybePaid: false, retryAfterMs: Number.NaN },
  { kind: 'quota', isTransient: false, maybePaid: false },
  { kind: 'unauthorized', isTransient: false, maybePaid: false },
  { kind: 'refused-request', isTransient: true, maybePaid: false },
  { kind: 'malformed-reply', isTransient: true, maybePaid: true },
  { kind: 'wrong-model', isTransient: false, maybePaid: true },
  { kind: 'truncated', isTransient: false, maybePaid: true, usage: { promptTokens: 20, completionTokens: 30 } },
  { kind: 'content-filter', isTransient: false, maybePaid: true, usage: { promptTokens: 20, completionTokens: 0 } },
]

/** One request as the server saw it. */
export interface Served {
  readonly content: string
  readonly event: Event
  /** What it really charged: null for what it was free to charge. */
  readonly usage: { readonly promptTokens: number; readonly completionTokens: number } | null
}

export interface ScriptedModel extends ChatModel {
  readonly served: Served[]
}

/** What the model says to a request, whenever it says something. */
export function replyTo(request: ChatRequest): ChatReply {
  const content = request.messages.map((message) => message.content).join('\n')
  return {
    text: sha256(content),
    form: 'text',
    model: 'scripted-1',
    promptTokens: 5 + (content.length % 7),
    completionTokens: 1 + (content.length % 11),
    logprobs: null,
  }
}

/** The n-th request with one content meets the same fate whoever sends it when; `faultShare` of them fail. */
export function scriptedModel(seed: number, faultShare: number, delayMs = 0): ScriptedModel {
  const served: Served[] = []
  const counts = new Map<string, number>()
  const drawEvent = (content: string): Event => {
    const count = counts.get(content) ?? 0
    counts.set(content, count + 1)
    const source = random(seed, 'server', content, count)
    return source.uniform() < faultShare ? FAULTS[source.below(FAULTS.length)] : 'reply'
  }
  const answer = async (request: ChatRequest, signal: AbortSignal): Promise<ChatReply> => {
    const content = request.messages.map((message) => message.content).join('\n')
    const event = drawEvent(content)
    const reply = replyTo(request)
    const note = (usage: Served['usage']): void => void served.push({ content, event, usage })
    if (event === 'reply') {
      note(reply)
      if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs))
      return reply
    }
    if (event === 'deaf') {
      note(reply)
      return new Promise(() => {})
    }
    if (event === 'hang') {
      note(reply)
      return new Promise((_, reject) =>
        signal.addEventListener('abort', () => reject(new DOMException('aborted', 'AbortError'))),
      )
    }
    if (event === 'bug') {
      note(null)
      throw new TypeError('x is not a function')
    }
    note(event.usage ?? (event.maybePaid ? reply : null))
    throw new ChatError(event.kind, event)
  }
  return {
    name: 'fake:scripted-1',
    model: 'scripted-1',
    hasLogprobs: false,
    served,
    complete: answer,
  }
}
