/**
 * @file Any language model of the Vercel AI SDK as a chat model. The SDK is no dependency: the types here are the part
 * of its LanguageModelV2 and LanguageModelV3 that is used.
 */
import { z } from 'zod'
import { messageOf } from '../../base/errors.ts'
import { ChatError, type ChatErrorFacts, type ChatModel, type ChatRequest } from '../chat.ts'
import { stoppedError } from '../stopped.ts'
import { type Accepted, createDialect, type ReplyForm, schemaInstruction } from './dialect.ts'
import { httpError, quote, type Speaker } from './http-error.ts'
import { type Answer, malformed, tokenCount, wholeReply } from './protocol.ts'

/** A language model of the AI SDK, e.g. `openai('gpt-4o')`. */
export interface AiSdkModel {
  readonly specificationVersion: string
  readonly provider: string
  readonly modelId: string
  doGenerate(options: AiSdkCall): PromiseLike<unknown>
}

export interface AiSdkCall {
  prompt: AiSdkMessage[]
  maxOutputTokens: number
  temperature?: number
  topP?: number
  seed?: number
  responseFormat?: { type: 'json'; schema: Record<string, unknown>; name: string }
  tools?: { type: 'function'; name: string; inputSchema: Record<string, unknown> }[]
  toolChoice?: { type: 'tool'; toolName: string }
  abortSignal: AbortSignal
}

export type AiSdkMessage =
  | { role: 'system'; content: string }
  | { role: 'user' | 'assistant'; content: { type: 'text'; text: string }[] }

/** V2 counts tokens as numbers, V3 by kinds with a total. */
const tokens = z.union([tokenCount, z.object({ total: tokenCount }).transform(({ total }) => total)])

/** V2 ends with a word, V3 with a word and what the provider called it. */
const reason = z.union([z.string(), z.object({ unified: z.string() }).transform(({ unified }) => unified)])

const generated = z.object({
  content: z.array(z.object({ type: z.string(), text: z.string().optional(), input: z.string().optional() })),
  finishReason: reason,
  usage: z.object({ inputTokens: tokens, outputTokens: tokens }),
  response: z.object({ modelId: z.string().optional() }).optional(),
})

/** Replies have no log-probabilities: the SDK has no common form for them. Its models do not retry by themselves. */
export function aiSdkModel(inner: AiSdkModel): ChatModel {
  const speaker: Speaker = { name: `ai-sdk:${inner.provider}:${inner.modelId}`, secrets: [] }
  const dialect = createDialect({ form: 'json-schema', without: new Set(['logprobs', 'tokensName']) })
  return {
    name: speaker.name,
    model: inner.modelId,
    hasLogprobs: false,
    complete: async (request, signal) => {
      if (signal.aborted) throw stoppedError(false)
      const sent = dialect.current
      try {
        const result = await inner.doGenerate(callOf(request, sent, signal))
        const parsed = generated.safeParse(result)
        if (!parsed.success) throw malformed(speaker, `has no fitting '${parsed.error.issues[0].path.join('.')}'`)
        const answer = answerOf(parsed.data, sent.form, inner.modelId)
        return wholeReply(answer, { speaker, model: inner.modelId, dialect, sent, request })
      } catch (error) {
        if (signal.aborted) throw stoppedError(true)
        throw dialect.learn(error instanceof ChatError ? error : chatErrorOf(error, speaker), sent, request)
      }
    },
  }
}

function callOf(request: ChatRequest, { form, without }: Accepted, abortSignal: AbortSignal): AiSdkCall {
  const { schema, temperature, topP, seed } = request
  const isTold = schema !== null && form === 'text'
  const prompt: AiSdkMessage[] = isTold ? [{ role: 'system', content: schemaInstruction(schema) }] : []
  for (const { role, content } of request.messages) {
    prompt.push(role === 'system' ? { role, content } : { role, content: [{ type: 'text', text: content }] })
  }
  return {
    prompt,
    maxOutputTokens: request.maxTokens,
    ...(!without.has('temperature') && { temperature }),
    ...(topP !== null && !without.has('topP') && { topP }),
    ...(seed !== null && !without.has('seed') && { seed }),
    ...(schema !== null && formOptions(schema, form)),
    abortSignal,
  }
}

function formOptions({ name, json }: NonNullable<ChatRequest['schema']>, form: ReplyForm): Partial<AiSdkCall> {
  const schema = { ...json }
  if (form === 'json-schema') return { responseFormat: { type: 'json', schema, name } }
  if (form === 'text') return {}
  return {
    tools: [{ type: 'function', name, inputSchema: schema }],
    toolChoice: { type: 'tool', toolName: name },
  }
}

function answerOf(result: z.infer<typeof generated>, form: ReplyForm, model: string): Answer {
  const call = form === 'tool' ? result.content.find(({ type }) => type === 'tool-call') : undefined
  return {
    model: result.response?.modelId ?? model,
    text: call?.input ?? result.content.map((part) => (part.type === 'text' ? (part.text ?? '') : '')).join(''),
    end: ENDS.get(result.finishReason) ?? 'unsaid',
    usage: { promptTokens: result.usage.inputTokens, completionTokens: result.usage.outputTokens },
    logprobs: null,
  }
}

const ENDS: ReadonlyMap<string, Answer['end']> = new Map([
  ['stop', 'whole'],
  ['tool-calls', 'whole'],
  ['length', 'length'],
  ['content-filter', 'filtered'],
])

/** The fields of the SDK's APICallError. */
const apiCallError = z.object({
  statusCode: z.number().int().min(200).max(599),
  responseHeaders: z.record(z.string(), z.string()).optional().catch(undefined),
  data: z.unknown().optional(),
})

/** Without the error itself as cause: it holds the request and headers. */
function chatErrorOf(error: unknown, speaker: Speaker): ChatError {
  const parsed = apiCallError.safeParse(error)
  if (parsed.success && parsed.data.statusCode !== 200) {
    const { statusCode: status, responseHeaders: headers, data } = parsed.data
    return httpError(
      speaker,
      { status, headers: new Headers(headers) },
      data ?? { message: messageOf(error) },
      Date.now(),
    )
  }
  const facts: ChatErrorFacts = { kind: 'network', isTransient: true, maybePaid: true }
  return new ChatError(`${speaker.name}: ${quote(messageOf(error), speaker.secrets)}`, facts)
}
