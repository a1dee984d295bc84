/** @file Asks until a reply can be read. */
import { type Asker, ChatError, type ChatReply, type ChatRequest } from './chat.ts'
import { addUsage, NO_USAGE, type StepVerdict, type Usage } from './port.ts'
import type { Readable } from './reply.ts'

export type Heard<T> =
  | { readonly value: T; readonly usage: Usage }
  | { readonly failed: Extract<StepVerdict, { state: 'failed' }>; readonly usage: Usage }

/** Sends the next of `requests`, the same question as another sample, only where the reply to one cannot be read. */
export async function askReadably<T>(
  asker: Asker,
  requests: readonly ChatRequest[],
  read: (reply: ChatReply) => Readable<T>,
  signal: AbortSignal,
): Promise<Heard<T>> {
  let usage = NO_USAGE
  let why = ''
  for (const request of requests) {
    try {
      const { reply, isCached, cost } = await asker.ask(request, signal)
      const { promptTokens, completionTokens } = reply
      const own = isCached ? { ...NO_USAGE, cached: 1 } : { calls: 1, cached: 0, promptTokens, completionTokens, cost }
      usage = addUsage(usage, own)
      const found = read(reply)
      if ('value' in found) return { value: found.value, usage }
      why = found.unreadable
    } catch (error) {
      if (!(error instanceof ChatError)) throw error
      return { failed: { state: 'failed', kind: error.facts.kind, why: error.message }, usage }
    }
  }
  return { failed: { state: 'failed', kind: 'unreadable-verdict', why }, usage }
}
