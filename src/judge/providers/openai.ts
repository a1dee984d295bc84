/**
 * @file Chat models of OpenAI and of the servers that speak its protocol. Not streamed: a reply that comes as one JSON
 * document cannot be taken for whole when it is cut.
 */
import type OpenAI from 'openai'
import { z } from 'zod'
import type { ChatModel, ChatRequest, RequestShape, ScoredToken } from '../chat.ts'
import { type Accepted, type ReplyForm, schemaInstruction } from './dialect.ts'
import { createFetch, LIBRARY_TIMEOUT_MS, type Server } from './http.ts'
import { openaiBatches } from './openai-batch.ts'
import { type Answer, protocolModel, tokenCount } from './protocol.ts'

type Params = OpenAI.ChatCompletionCreateParamsNonStreaming

/** OpenAI's own limit. */
const MOST_ALTERNATIVES = 20

// JSON has no −∞: some servers write null.
const logprob = z
  .number()
  .nullable()
  .transform((value) => value ?? Number.NEGATIVE_INFINITY)
const alternative = z.object({ token: z.string(), logprob })
const scoredToken = alternative.extend({ top_logprobs: z.array(alternative) })

const message = z.object({
  content: z.string().nullish(),
  refusal: z.string().nullish(),
  tool_calls: z.array(z.object({ function: z.object({ name: z.string(), arguments: z.string() }) })).nullish(),
})

const completion = z.object({
  model: z.string(),
  choices: z.tuple([
    z.object({
      finish_reason: z.string().nullish(),
      message,
      // Whatever is not of this shape counts as none.
      logprobs: z
        .object({ content: z.array(scoredToken).nonempty() })
        .nullish()
        .catch(null),
    }),
  ]),
  usage: z.object({ prompt_tokens: tokenCount, completion_tokens: tokenCount, total_tokens: tokenCount.optional() }),
})
type Completion = z.infer<typeof completion>
type Choice = Completion['choices'][0]

/** @param isVendor Whether it is OpenAI itself, whose models' habits are known. */
export function openaiModel(server: Server, model: string, isVendor: boolean): ChatModel {
  return protocolModel({
    server,
    model,
    start: isVendor ? knownHabits(model) : { form: 'json-schema', without: new Set() },
    body: completion,
    connect: createClient,
    params: (request, sent) => paramsOf(request, model, sent, isVendor),
    send: (client, params, signal) => client.chat.completions.create(params, { signal }),
    read: readCompletion,
    batches: openaiBatches,
  })
}

/** The key is not given to the library: `createFetch` adds it. */
async function createClient(server: Server): Promise<OpenAI> {
  const library = await import('openai')
  return new library.default({
    apiKey: 'unused',
    adminAPIKey: null,
    organization: null,
    project: null,
    webhookSecret: null,
    baseURL: server.baseUrl,
    maxRetries: 0,
    timeout: LIBRARY_TIMEOUT_MS,
    logLevel: 'off',
    fetch: createFetch(server),
  })
}

/** Spares the requests that would find it out: reasoning models refuse sampling, models before 2024-08 JSON schemas. */
function knownHabits(model: string): Accepted {
  const isReasoner = /^(?:o\d|gpt-5)/.test(model)
  const isOld = /^gpt-(?:4|3\.5)(?:-|$)/.test(model)
  return {
    form: isOld ? 'tool' : 'json-schema',
    without: new Set(isReasoner ? ['temperature', 'topP', 'logprobs'] : []),
  }
}

function paramsOf(request: ChatRequest, model: string, sent: Accepted, isVendor: boolean): Params {
  const { schema, topP, seed, topLogprobs } = request
  const isTold = schema !== null && sent.form === 'text'
  const has = (name: Parameters<typeof sent.without.has>[0]): boolean => !sent.without.has(name)
  return {
    model,
    messages: [
      ...(isTold ? [{ role: 'system' as const, content: schemaInstruction(schema) }] : []),
      ...request.messages,
    ],
    [has('tokensName') === isVendor ? 'max_completion_tokens' : 'max_tokens']: request.maxTokens,
    ...(has('temperature') && { temperature: request.temperature }),
    ...(topP !== null && has('topP') && { top_p: topP }),
    ...(seed !== null && has('seed') && { seed }),
    ...(topLogprobs > 0 &&
      has('logprobs') && { logprobs: true, top_logprobs: Math.min(topLogprobs, MOST_ALTERNATIVES) }),
    ...(schema !== null && formParams(schema, sent.form)),
  }
}

function formParams({ name, json }: NonNullable<ChatRequest['schema']>, form: ReplyForm): Partial<Params> {
  if (form === 'json-schema') {
    return { response_format: { type: 'json_schema', json_schema: { name, schema: json, strict: true } } }
  }
  if (form === 'text') return {}
  return {
    tools: [{ type: 'function', function: { name, parameters: json } }],
    tool_choice: { type: 'function', function: { name } },
  }
}

function readCompletion({ model, choices, usage }: Completion, form: ReplyForm, request: RequestShape): Answer {
  const [choice] = choices
  const call = choice.message.tool_calls?.find((made) => made.function.name === request.schema?.name)
  // Gemini leaves thinking out of the completion but has it in the total.
  const rest = (usage.total_tokens ?? 0) - usage.prompt_tokens
  return {
    model,
    text: (form === 'tool' ? call?.function.arguments : undefined) ?? choice.message.content ?? '',
    end: endOf(choice),
    usage: { promptTokens: usage.prompt_tokens, completionTokens: Math.max(usage.completion_tokens, rest) },
    logprobs: scoredTokens(choice),
  }
}

function endOf({ finish_reason: reason, message: { refusal } }: Choice): Answer['end'] {
  if (reason === 'content_filter' || (refusal ?? '') !== '') return 'filtered'
  if (reason === 'length') return 'length'
  return reason === 'stop' || reason === 'tool_calls' ? 'whole' : 'unsaid'
}

function scoredTokens({ logprobs }: Choice): ScoredToken[] | null {
  const tokens = logprobs?.content.map(({ token, logprob, top_logprobs: others }) => {
    const isAmong = others.some((other) => other.token === token)
    return { token, logprob, alternatives: isAmong ? others : [...others, { token, logprob }] }
  })
  return tokens ?? null
}
