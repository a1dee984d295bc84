/** @file Chat models of Anthropic. Not streamed, for the same reason as in openai.ts. */
import type Anthropic from '@anthropic-ai/sdk'
import { z } from 'zod'
import type { ChatModel, ChatRequest, RequestShape } from '../chat.ts'
import { anthropicBatches } from './anthropic-batch.ts'
import { type Accepted, type ReplyForm, schemaInstruction } from './dialect.ts'
import { createFetch, LIBRARY_TIMEOUT_MS, type Server } from './http.ts'
import { type Answer, protocolModel, tokenCount } from './protocol.ts'

type Params = Anthropic.MessageCreateParamsNonStreaming

const block = z.object({
  type: z.string(),
  text: z.string().optional(),
  name: z.string().optional(),
  input: z.unknown().optional(),
})

const message = z.object({
  type: z.literal('message'),
  model: z.string(),
  content: z.array(block),
  stop_reason: z.string().nullish(),
  usage: z.object({
    input_tokens: tokenCount,
    output_tokens: tokenCount,
    cache_creation_input_tokens: tokenCount.nullish(),
    cache_read_input_tokens: tokenCount.nullish(),
  }),
})
type Message = z.infer<typeof message>

export function anthropicModel(server: Server, model: string): ChatModel {
  return protocolModel({
    server,
    model,
    // The API has neither log-probabilities nor seeds.
    start: { form: 'json-schema', without: new Set(['logprobs', 'seed', 'tokensName']) },
    body: message,
    connect: createClient,
    // Not by `messages.create`, which prints warnings and refuses what it expects to take long.
    send: (client, params, signal) => client.post('/v1/messages', { body: params, signal }),
    params: (request, sent) => paramsOf(request, model, sent),
    read: readMessage,
    batches: anthropicBatches,
  })
}

/** The key is not given to the library: `createFetch` adds it. */
async function createClient(server: Server): Promise<Anthropic> {
  const library = await import('@anthropic-ai/sdk')
  return new library.default({
    apiKey: 'unused',
    webhookKey: null,
    baseURL: server.baseUrl,
    maxRetries: 0,
    timeout: LIBRARY_TIMEOUT_MS,
    logLevel: 'off',
    openTelemetry: false,
    fetch: createFetch(server),
  })
}

function paramsOf(request: ChatRequest, model: string, { form, without }: Accepted): Params {
  const { schema, topP } = request
  const system = request.messages.filter(({ role }) => role === 'system').map(({ content }) => content)
  if (schema !== null && form === 'text') system.unshift(schemaInstruction(schema))
  return {
    model,
    max_tokens: request.maxTokens,
    messages: request.messages.flatMap(({ role, content }) => (role === 'system' ? [] : [{ role, content }])),
    ...(system.length > 0 && { system: system.join('\n\n') }),
    ...(!without.has('temperature') && { temperature: request.temperature }),
    ...(topP !== null && !without.has('topP') && { top_p: topP }),
    ...(schema !== null && formParams(schema, form)),
  }
}

function formParams({ name, json }: NonNullable<ChatRequest['schema']>, form: ReplyForm): Partial<Params> {
  if (form === 'json-schema') return { output_config: { format: { type: 'json_schema', schema: json } } }
  if (form === 'text') return {}
  return { tools: [{ name, input_schema: { ...json, type: 'object' } }], tool_choice: { type: 'tool', name } }
}

function readMessage(body: Message, form: ReplyForm, request: RequestShape): Answer {
  const call = body.content.find(({ type, name }) => type === 'tool_use' && name === request.schema?.name)
  const text = body.content.map((part) => (part.type === 'text' ? (part.text ?? '') : '')).join('')
  const { input_tokens, cache_creation_input_tokens, cache_read_input_tokens, output_tokens } = body.usage
  const cachedTokens = (cache_creation_input_tokens ?? 0) + (cache_read_input_tokens ?? 0)
  return {
    model: body.model,
    text: form === 'tool' && call !== undefined ? (JSON.stringify(call.input) ?? '') : text,
    end: END_OF.get(body.stop_reason ?? '') ?? 'unsaid',
    usage: { promptTokens: input_tokens + cachedTokens, completionTokens: output_tokens },
    logprobs: null,
  }
}

const END_OF: ReadonlyMap<string, Answer['end']> = new Map([
  ['end_turn', 'whole'],
  ['stop_sequence', 'whole'],
  ['tool_use', 'whole'],
  ['max_tokens', 'length'],
  ['model_context_window_exceeded', 'length'],
  ['refusal', 'filtered'],
])
