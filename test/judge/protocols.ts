/** @file The two protocols of the fake server: what a request asks for, and how a correct reply or a refusal looks. */
import { z } from 'zod'
import { type Random, random } from '../../src/base/random.ts'

/** What a model may not know. */
export type Feature = 'json_schema' | 'tools' | 'logprobs' | 'max_tokens' | 'temperature' | 'seed'

export interface Asked {
  /** `completions` is OpenAI's for plain text. */
  readonly protocol: 'openai' | 'completions' | 'anthropic'
  readonly model: string
  /** The messages but for those of the system, as JSON; of a completion its prompt. */
  readonly question: string
  /** Temperature and seed, as JSON. */
  readonly sampling: string
  readonly schema: unknown
  readonly form: 'json_schema' | 'tools' | null
  readonly toolName: string
  readonly topLogprobs: number | null
  readonly promptTokens: number
  readonly features: ReadonlySet<Feature>
}

export interface Reply {
  readonly body: Record<string, unknown>
  readonly completionTokens: number
}

const schema = z.record(z.string(), z.unknown())

const chatRequest = z.object({
  model: z.string(),
  messages: z.array(z.object({ role: z.string(), content: z.string() })),
  temperature: z.number().optional(),
  seed: z.number().optional(),
  max_tokens: z.number().optional(),
  logprobs: z.boolean().optional(),
  top_logprobs: z.number().optional(),
  response_format: z.object({ json_schema: z.object({ schema }) }).optional(),
  tools: z.array(z.object({ function: z.object({ name: z.string(), parameters: schema }) })).optional(),
})

const completionsRequest = z.object({
  model: z.string(),
  prompt: z.string(),
  temperature: z.number().optional(),
  seed: z.number().optional(),
  logprobs: z.number().optional(),
})

const messagesRequest = z.object({
  model: z.string(),
  max_tokens: z.number(),
  messages: z.array(z.object({ role: z.string(), content: z.string() })),
  temperature: z.number().optional(),
  output_config: z.object({ format: z.object({ schema }) }).optional(),
  tools: z.array(z.object({ name: z.string(), input_schema: schema })).optional(),
})

/** Undefined for a route that is none. @throws for a body that the vendor would not take either. */
export function parseAsked(path: string, body: unknown): Asked | undefined {
  const promptTokens = Math.ceil(JSON.stringify(body).length / 4)
  if (path === '/v1/chat/completions') return askedOfOpenai(chatRequest.parse(body), promptTokens)
  if (path === '/v1/completions') return askedOfCompletions(completionsRequest.parse(body), promptTokens)
  if (path === '/v1/messages') return askedOfAnthropic(messagesRequest.parse(body), promptTokens)
  return undefined
}

function askedOfCompletions(body: z.infer<typeof completionsRequest>, promptTokens: number): Asked {
  const { model, prompt, temperature, seed, logprobs } = body
  return {
    protocol: 'completions',
    model,
    question: prompt,
    sampling: JSON.stringify([temperature, seed]),
    schema: null,
    form: null,
    toolName: '',
    topLogprobs: logprobs ?? null,
    promptTokens,
    features: featuresOf({ logprobs, temperature, seed }),
  }
}

function askedOfOpenai(body: z.infer<typeof chatRequest>, promptTokens: number): Asked {
  const tool = body.tools?.[0].function
  const format = body.response_format?.json_schema
  return {
    protocol: 'openai',
    model: body.model,
    question: questionOf(body.messages),
    sampling: JSON.stringify([body.temperature, body.seed]),
    schema: format?.schema ?? tool?.parameters ?? null,
    form: format !== undefined ? 'json_schema' : tool !== undefined ? 'tools' : null,
    toolName: tool?.name ?? '',
    topLogprobs: body.logprobs === true ? (body.top_logprobs ?? 0) : null,
    promptTokens,
    features: featuresOf({
      json_schema: format,
      tools: tool,
      logprobs: body.logprobs,
      max_tokens: body.max_tokens,
      temperature: body.temperature,
      seed: body.seed,
    }),
  }
}

function askedOfAnthropic(body: z.infer<typeof messagesRequest>, promptTokens: number): Asked {
  const tool = body.tools?.[0]
  const format = body.output_config?.format
  return {
    protocol: 'anthropic',
    model: body.model,
    question: questionOf(body.messages),
    sampling: JSON.stringify([body.temperature]),
    schema: format?.schema ?? tool?.input_schema ?? null,
    form: format !== undefined ? 'json_schema' : tool !== undefined ? 'tools' : null,
    toolName: tool?.name ?? '',
    topLogprobs: null,
    promptTokens,
    features: featuresOf({ json_schema: format, tools: tool, temperature: body.temperature }),
  }
}

function questionOf(messages: readonly { role: string; content: string }[]): string {
  return JSON.stringify(messages.filter(({ role }) => role !== 'system'))
}

function featuresOf(fields: Partial<Record<Feature, unknown>>): Set<Feature> {
  const known: readonly Feature[] = ['json_schema', 'tools', 'logprobs', 'max_tokens', 'temperature', 'seed']
  return new Set(known.filter((name) => fields[name] !== undefined))
}

/** The words of OpenAI, vLLM and Anthropic for what they do not know. */
const REFUSALS: { readonly [F in Feature]: { readonly message: string; readonly param: string | null } } = {
  json_schema: {
    message: "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model.",
    param: 'response_format',
  },
  tools: { message: '"auto" tool choice requires --enable-auto-tool-choice to be set', param: null },
  logprobs: { message: 'You are not allowed to request logprobs from this model', param: null },
  max_tokens: {
    message:
      "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
    param: 'max_tokens',
  },
  temperature: {
    message:
      "Unsupported value: 'temperature' does not support 0 with this model. Only the default (1) value is supported.",
    param: 'temperature',
  },
  seed: { message: 'Unrecognized request argument supplied: seed', param: null },
}

const ANTHROPIC_REFUSALS: { readonly [F in Feature]?: string } = {
  json_schema: 'output_config.format: Extra inputs are not permitted',
  tools: 'tools: this model does not support tool use',
  temperature: '`temperature` may only be set to 1 for this model',
}

export function refusalOf(asked: Asked, refuses: readonly Feature[]): unknown {
  const refused = refuses.find((feature) => asked.features.has(feature))
  if (refused === undefined) return undefined
  if (asked.protocol !== 'anthropic') {
    return { error: { ...REFUSALS[refused], type: 'invalid_request_error', code: null } }
  }
  const message = ANTHROPIC_REFUSALS[refused] ?? REFUSALS[refused].message
  return { type: 'error', error: { type: 'invalid_request_error', message } }
}

/** @param isPlain Answers as if no form had been asked for: "ignored", followed by the text. */
export function correctReply(asked: Asked, text: string, isPlain: boolean): Reply {
  const completionTokens = Math.max(1, Math.ceil(text.length / 4))
  const form = isPlain ? null : asked.form
  const content = isPlain && asked.form !== null ? `ignored: ${text}` : text
  const body = BODIES[asked.protocol](asked, content, form)
  return { body: { ...body, usage: usageOf(asked, completionTokens) }, completionTokens }
}

const BODIES: {
  readonly [P in Asked['protocol']]: (asked: Asked, text: string, form: Asked['form']) => Record<string, unknown>
} = { openai: openaiBody, completions: completionsBody, anthropic: anthropicBody }

function usageOf(asked: Asked, completionTokens: number): Record<string, number> {
  const { promptTokens } = asked
  if (asked.protocol === 'anthropic') return { input_tokens: promptTokens, output_tokens: completionTokens }
  const total = promptTokens + completionTokens
  return { prompt_tokens: promptTokens, completion_tokens: completionTokens, total_tokens: total }
}

function openaiBody(asked: Asked, text: string, form: Asked['form']): Record<string, unknown> {
  const call = { id: 'call_1', type: 'function', function: { name: asked.toolName, arguments: text } }
  const message =
    form === 'tools'
      ? { role: 'assistant', content: null, refusal: null, tool_calls: [call] }
      : { role: 'assistant', content: text, refusal: null }
  const logprobs = asked.topLogprobs === null ? null : { content: scored(text, asked.topLogprobs), refusal: null }
  const choice = { index: 0, message, logprobs, finish_reason: 'stop' }
  return { id: 'chatcmpl-1', object: 'chat.completion', created: 1, model: asked.model, choices: [choice] }
}

/** As vLLM says it, with the reason of a stop. */
function completionsBody(asked: Asked, text: string): Record<string, unknown> {
  const logprobs = asked.topLogprobs === null ? null : { token_logprobs: wordsOf(text).map(() => -0.5) }
  const choice = { index: 0, text, logprobs, finish_reason: 'stop', stop_reason: null }
  return { id: 'cmpl-1', object: 'text_completion', created: 1, model: asked.model, choices: [choice] }
}

function wordsOf(text: string): string[] {
  return text.match(/\S+\s*/g) ?? []
}

/** Tokens are words; the likelier of two is the one that was written. */
function scored(text: string, count: number): unknown[] {
  return wordsOf(text).map((token) => {
    const likely = 0.5 + random(0, token).uniform() / 2
    const others = [
      { token, logprob: Math.log(likely), bytes: null },
      { token: 'No', logprob: Math.log(1 - likely), bytes: null },
    ]
    return { ...others[0], top_logprobs: others.slice(0, count) }
  })
}

function anthropicBody(asked: Asked, text: string, form: Asked['form']): Record<string, unknown> {
  const isTool = form === 'tools'
  const call = { type: 'tool_use', id: 'toolu_1', name: asked.toolName, input: isTool ? JSON.parse(text) : null }
  return {
    id: 'msg_1',
    type: 'message',
    role: 'assistant',
    model: asked.model,
    content: isTool ? [call] : [{ type: 'text', text }],
    stop_reason: isTool ? 'tool_use' : 'end_turn',
    stop_sequence: null,
  }
}

const node = z.object({
  type: z.union([z.string(), z.array(z.string())]).optional(),
  enum: z.array(z.unknown()).optional(),
  const: z.unknown().optional(),
  properties: z.record(z.string(), z.unknown()).optional(),
  items: z.unknown().optional(),
  minItems: z.number().optional(),
  maxItems: z.number().optional(),
  minimum: z.number().optional(),
  maximum: z.number().optional(),
})

/** A value that fits a JSON schema of the plain kind: objects, lists, enums, bounded numbers, text. */
export function fillSchema(of: unknown, draws: Random): unknown {
  const shape = node.parse(of)
  if (shape.const !== undefined) return shape.const
  if (shape.enum !== undefined) return shape.enum[draws.below(shape.enum.length)]
  const { minimum: low = 0, maximum: high = low + 1 } = shape
  switch (Array.isArray(shape.type) ? shape.type[0] : shape.type) {
    case 'object': {
      const properties = Object.entries(shape.properties ?? {})
      return Object.fromEntries(properties.map(([name, inner]) => [name, fillSchema(inner, draws)]))
    }
    case 'array': {
      const { minItems = 1, maxItems = minItems } = shape
      const length = minItems + draws.below(maxItems - minItems + 1)
      return Array.from({ length }, () => fillSchema(shape.items, draws))
    }
    case 'integer':
      return Math.ceil(low) + draws.below(Math.floor(high) - Math.ceil(low) + 1)
    case 'number':
      return low + Math.round(draws.uniform() * (high - low) * 1000) / 1000
    case 'boolean':
      return draws.below(2) === 1
    default:
      return `because of ${draws.below(1000)}`
  }
}
