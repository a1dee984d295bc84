/** @file How a server is asked for a completion, and how its reply is read: the protocols of OpenAI and of Anthropic. */
import { z } from 'zod'
import { random } from '../base/random.ts'
import { ChatError } from '../judge/chat.ts'
import type { ChatName, OpenServer } from '../judge/provider.ts'
import type { JsonRequest } from '../judge/providers/http.ts'
import { isSameModel } from '../judge/providers/model-fit.ts'
import { malformed, tokenCount } from '../judge/providers/protocol.ts'
import { redactKeys } from '../judge/secret.ts'
import type { Completion, GenerateRequest, Sampling } from '../rollout/generator.ts'
import type { Endpoint } from './generate-settings.ts'
import { filterParams, REMOTE_HABITS } from './remote-habits.ts'

/** Who is asked, and in what way. */
export interface Remote extends OpenServer {
  readonly name: ChatName
  readonly endpoint: Endpoint
}

/** What a reply says. */
interface Reply extends Omit<Completion, 'request' | 'ids' | 'finish'> {
  readonly model: string
  readonly finish: 'stop' | 'length' | 'filtered' | 'unsaid'
  readonly promptTokens: number
}

interface Protocol {
  /** Where the document goes, after the server's address. */
  path(endpoint: Endpoint): string
  readonly headers: Readonly<Record<string, string>>
  body(remote: Remote, request: GenerateRequest, sampling: Sampling): object
  readonly reply: z.ZodType<Reply>
}

/** A completion is asked for by its own seed, so that samples differ, and repeat as far as the server keeps to seeds. */
function seedOf({ id, sample }: GenerateRequest, { seed }: Sampling): number {
  return random(seed, 'rollout', id, sample).below(2 ** 31)
}

/** A prompt as text: its messages and the beginning of the answer, with blank lines between. */
function plainText({ prompt, continued }: GenerateRequest): string {
  if (!('raw' in prompt)) return [...prompt.messages.map(({ content }) => content), continued].join('\n\n')
  if (typeof prompt.raw !== 'string') throw new Error('a server is asked by text, not by token ids')
  return prompt.raw + continued
}

function messagesOf({ prompt, continued }: GenerateRequest): { readonly role: string; readonly content: string }[] {
  const asked = 'raw' in prompt ? [] : prompt.messages
  return continued === '' ? [...asked] : [...asked, { role: 'assistant', content: continued }]
}

/** Models that take no parameters of sampling take none that says what is so anyway. */
function unlessOne(name: string, value: number): Readonly<Record<string, number>> {
  return value === 1 ? {} : { [name]: value }
}

function openaiBody({ name, endpoint, isVendor }: Remote, request: GenerateRequest, sampling: Sampling): object {
  const habits = REMOTE_HABITS[name.provider]
  const isChat = endpoint === 'chat'
  const isTold = isChat && request.continued !== '' && habits.continues === 'told'
  const { temperature, topP, maxTokens, stop, logprobs } = sampling
  return {
    model: name.model,
    ...(isChat ? { messages: messagesOf(request) } : { prompt: plainText(request) }),
    ...(isTold && { add_generation_prompt: false, continue_final_message: true }),
    [isVendor && isChat ? 'max_completion_tokens' : 'max_tokens']: maxTokens,
    ...(isVendor
      ? { ...unlessOne('temperature', temperature), ...unlessOne('top_p', topP) }
      : { temperature, top_p: topP }),
    ...filterParams(habits, sampling),
    ...(habits.takesSeed && { seed: seedOf(request, sampling) }),
    ...(stop.length > 0 && { stop }),
    ...(logprobs && { logprobs: isChat ? true : 1 }),
  }
}

/** Anthropic takes no white space at the end of what it goes on from. */
function anthropicBody({ name }: Remote, request: GenerateRequest, sampling: Sampling): object {
  const messages = messagesOf({ ...request, continued: request.continued.trimEnd() })
  const system = messages.filter(({ role }) => role === 'system').map(({ content }) => content)
  return {
    model: name.model,
    max_tokens: sampling.maxTokens,
    messages: messages.filter(({ role }) => role !== 'system'),
    ...(system.length > 0 && { system: system.join('\n\n') }),
    ...unlessOne('temperature', sampling.temperature),
    ...unlessOne('top_p', sampling.topP),
    ...filterParams(REMOTE_HABITS.anthropic, sampling),
    ...(sampling.stop.length > 0 && { stop_sequences: sampling.stop }),
  }
}

const someText = z.string().nullish().catch(null)

/** Of chat, which llama.cpp also gives for completions, and of completions; null where a token has none. */
const logprobs = z
  .union([
    z.object({ content: z.array(z.object({ logprob: z.number() })) }).transform(({ content }) => content),
    z
      .object({ token_logprobs: z.array(z.number()) })
      .transform(({ token_logprobs }) => token_logprobs.map((logprob) => ({ logprob }))),
  ])
  .transform((tokens) => tokens.map(({ logprob }) => logprob))
  .nullish()
  .catch(null)

const choice = z
  .object({
    text: z.string().optional(),
    message: z.object({ content: z.string().nullish() }).optional(),
    finish_reason: someText,
    /** vLLM's: the stop string, or the id of a token. */
    stop_reason: someText,
    logprobs,
  })
  .refine(({ text, message }) => text !== undefined || message !== undefined, { path: ['message'] })

const OPENAI_ENDS: ReadonlyMap<string, Reply['finish']> = new Map([
  ['stop', 'stop'],
  ['length', 'length'],
  ['content_filter', 'filtered'],
])

const openaiReply = z
  .object({
    model: z.string(),
    choices: z.tuple([choice]),
    usage: z.object({ prompt_tokens: tokenCount, completion_tokens: tokenCount }),
  })
  .transform(
    ({ model, choices: [written], usage }): Reply => ({
      model,
      text: written.text ?? written.message?.content ?? '',
      finish: OPENAI_ENDS.get(written.finish_reason ?? '') ?? 'unsaid',
      stop: written.stop_reason ?? null,
      logps: written.logprobs ?? null,
      tokens: usage.completion_tokens,
      promptTokens: usage.prompt_tokens,
    }),
  )

const ANTHROPIC_ENDS: ReadonlyMap<string, Reply['finish']> = new Map([
  ['end_turn', 'stop'],
  ['stop_sequence', 'stop'],
  ['max_tokens', 'length'],
  ['model_context_window_exceeded', 'length'],
  ['refusal', 'filtered'],
])

const anthropicReply = z
  .object({
    model: z.string(),
    content: z.array(z.object({ text: z.string().optional() })),
    stop_reason: someText,
    stop_sequence: someText,
    usage: z.object({ input_tokens: tokenCount, output_tokens: tokenCount }),
  })
  .transform(
    ({ model, content, stop_reason, stop_sequence, usage }): Reply => ({
      model,
      text: content.map(({ text = '' }) => text).join(''),
      finish: ANTHROPIC_ENDS.get(stop_reason ?? '') ?? 'unsaid',
      stop: stop_sequence ?? null,
      logps: null,
      tokens: usage.output_tokens,
      promptTokens: usage.input_tokens,
    }),
  )

const openai: Protocol = {
  path: (endpoint) => (endpoint === 'chat' ? '/chat/completions' : '/completions'),
  headers: {},
  body: openaiBody,
  reply: openaiReply,
}

/** The version of 2026-10-21 has no temperature. */
const anthropic: Protocol = {
  path: () => '/v1/messages',
  headers: { 'anthropic-version': '2023-06-01' },
  body: anthropicBody,
  reply: anthropicReply,
}

function protocolOf({ name }: Remote): Protocol {
  return name.provider === 'anthropic' ? anthropic : openai
}

export function requestOf(remote: Remote, request: GenerateRequest, sampling: Sampling): JsonRequest {
  const { path, headers, body } = protocolOf(remote)
  return { path: path(remote.endpoint), headers, body: JSON.stringify(body(remote, request, sampling)) }
}

/**
 * The completion in a reply, without the keys that it may echo, and the tokens of prompt and completion together. One that
 * ends at its length is a completion too.
 * @throws ChatError where the reply holds none, or one of another model.
 */
export function readCompletion(
  remote: Remote,
  request: GenerateRequest,
  reply: unknown,
): { readonly completion: Completion; readonly taken: number } {
  const { server, name } = remote
  const parsed = protocolOf(remote).reply.safeParse(reply)
  if (!parsed.success) throw malformed(server, `has no fitting '${parsed.error.issues[0].path.join('.')}'`)
  const { model, finish, promptTokens, ...written } = parsed.data
  const usage = { promptTokens, completionTokens: written.tokens }
  const facts = { isTransient: false, maybePaid: true, usage }
  const answered = redactKeys(model, server.secrets)
  if (!isSameModel(name.model, answered)) {
    const problem = `another model answered: ${answered.slice(0, 100)}`
    throw new ChatError(`${server.name}: ${problem}`, { ...facts, kind: 'wrong-model' })
  }
  if (finish === 'filtered') {
    throw new ChatError(`${server.name}: the completion was filtered or refused`, { ...facts, kind: 'content-filter' })
  }
  if (finish === 'unsaid') throw malformed(server, 'does not say that it is whole')
  const text = redactKeys(written.text, server.secrets)
  const isTrimmed = name.provider === 'anthropic' && request.continued !== request.continued.trimEnd()
  return {
    completion: { ...written, request, ids: [], finish, text: isTrimmed ? text.trimStart() : text },
    taken: promptTokens + written.tokens,
  }
}
