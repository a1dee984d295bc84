/** @file Which model a name means: `gpt-4`, `claude-…`, `provider:model[@address]`, `local:PATH`, `implicit:PATH`, `arithmetic`, `replay:FILE`. */
import { UsageError } from '../base/errors.ts'
import { fetchBy } from '../base/proxy.ts'
import type { ChatModel } from './chat.ts'
import { anthropicModel } from './providers/anthropic.ts'
import { createEndpoints } from './providers/endpoints.ts'
import type { Server } from './providers/http.ts'
import { openaiModel } from './providers/openai.ts'
import { createSecret, type Secret } from './secret.ts'

/** A model behind HTTP. `baseUrl`: where the user named an address; `moreUrls`: others that serve the same. */
export interface ChatName {
  readonly kind: 'chat'
  readonly provider: Provider
  readonly model: string
  readonly baseUrl?: string
  readonly moreUrls?: readonly string[]
}

export type JudgeName =
  | ChatName
  /** A model of ours, run by our engine. */
  | { readonly kind: 'local'; readonly path: string }
  /** A trained policy, by its log-probabilities against those of its reference. */
  | { readonly kind: 'implicit'; readonly path: string }
  /** The rule that evaluates equations. */
  | { readonly kind: 'arithmetic' }
  /** A file of recorded replies. */
  | { readonly kind: 'replay'; readonly file: string }

export type Provider = 'openai' | 'anthropic' | 'vllm' | 'ollama' | 'openrouter' | 'llamacpp' | 'groq' | 'gemini'

interface Habits {
  readonly baseUrl: string
  /** Names another address, as it does for the vendor's own libraries. */
  readonly addressVariable?: string
  readonly keyVariable: string
  readonly needsKey: boolean
}

const PROVIDERS: { readonly [P in Provider]: Habits } = {
  openai: {
    baseUrl: 'https://api.openai.com/v1',
    addressVariable: 'OPENAI_BASE_URL',
    keyVariable: 'OPENAI_API_KEY',
    needsKey: true,
  },
  anthropic: {
    baseUrl: 'https://api.anthropic.com',
    addressVariable: 'ANTHROPIC_BASE_URL',
    keyVariable: 'ANTHROPIC_API_KEY',
    needsKey: true,
  },
  vllm: { baseUrl: 'http://127.0.0.1:8000/v1', keyVariable: 'VLLM_API_KEY', needsKey: false },
  ollama: { baseUrl: 'http://127.0.0.1:11434/v1', keyVariable: 'OLLAMA_API_KEY', needsKey: false },
  openrouter: { baseUrl: 'https://openrouter.ai/api/v1', keyVariable: 'OPENROUTER_API_KEY', needsKey: true },
  llamacpp: { baseUrl: 'http://127.0.0.1:8080/v1', keyVariable: 'LLAMA_API_KEY', needsKey: false },
  groq: { baseUrl: 'https://api.groq.com/openai/v1', keyVariable: 'GROQ_API_KEY', needsKey: true },
  gemini: {
    baseUrl: 'https://generativelanguage.googleapis.com/v1beta/openai',
    keyVariable: 'GEMINI_API_KEY',
    needsKey: true,
  },
}

export const PROVIDER_NAMES = Object.keys(PROVIDERS).join(', ')
const KNOWN = `${PROVIDER_NAMES}, local:PATH, implicit:PATH, replay:FILE and arithmetic`
const DEFAULT_TIMEOUT_MS = 120_000

/** Names of models that tell their provider; `ft:` are OpenAI's fine-tuned ones. */
const VENDORS: readonly (readonly [Provider, RegExp])[] = [
  ['openai', /^(?:gpt-(?!oss)|chatgpt-|o\d|ft:)/],
  ['anthropic', /^claude-/],
]

/** The model behind HTTP that a name means, undefined for any other name. @throws UsageError for a wrong model or address. */
export function parseServedName(name: string): ChatName | undefined {
  const vendor = VENDORS.find(([, names]) => names.test(name))?.[0]
  if (vendor !== undefined) return parseChatName(vendor, name)
  const [prefix, rest] = splitName(name)
  return isProvider(prefix) && rest !== '' ? parseChatName(prefix, rest) : undefined
}

/** What stands before the first colon, and after it. */
function splitName(name: string): [prefix: string, rest: string] {
  const colon = name.indexOf(':')
  return colon < 0 ? [name, ''] : [name.slice(0, colon), name.slice(colon + 1)]
}

/** @throws UsageError for a name that no provider is known for. */
export function parseJudgeName(name: string): JudgeName {
  if (name === 'arithmetic') return { kind: 'arithmetic' }
  const served = parseServedName(name)
  if (served !== undefined) return served
  const [prefix, rest] = splitName(name)
  if (!name.includes(':')) {
    throw new UsageError(`who serves '${name}'? Write provider:model, e.g. ollama:${name}. Known: ${KNOWN}`)
  }
  if (rest === '') throw new UsageError(`'${name}' names no model or file after the colon`)
  if (prefix === 'local' || prefix === 'implicit') return { kind: prefix, path: rest }
  if (prefix === 'replay') return { kind: 'replay', file: rest }
  throw new UsageError(`unknown provider '${prefix}'. Known: ${KNOWN}. For a tag of Ollama, write ollama:${name}`)
}

function isProvider(name: string): name is Provider {
  return Object.hasOwn(PROVIDERS, name)
}

/** An `@` is part of the model's name but before an address. */
function parseChatName(provider: Provider, text: string): ChatName {
  const at = text.search(/@https?:\/\//i)
  const model = at < 0 ? text : text.slice(0, at)
  if (!/^[\x21-\x7e]+$/.test(model)) throw new UsageError(`'${model}' is not the name of a model`)
  if (at < 0) return { kind: 'chat', provider, model }
  const addresses = text.slice(at + 1).split(',')
  const [baseUrl, ...moreUrls] = new Set(addresses.map((address) => parseAddress(address, 'the address after @')))
  return { kind: 'chat', provider, model, baseUrl, ...(moreUrls.length > 0 && { moreUrls }) }
}

/** The message does not quote the address: it may hold a password. */
function parseAddress(text: string, what: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    throw new UsageError(
      `${what} must be like https://host:port/path, without user, password, query and fragment: ` +
        'a key goes into its environment variable',
    )
  }
  return url.href.replace(/\/+$/, '')
}

export interface ChatOptions {
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Instead of the one in the environment. */
  readonly key?: Secret
  /** For a whole request; 120 s without it. */
  readonly timeoutMs?: number
}

/**
 * The judging model of a name. Nothing is loaded or sent before it is asked.
 * @throws UsageError as `openServer` does.
 */
export function createChatModel(name: ChatName, options: ChatOptions): ChatModel {
  const other = name.provider === 'anthropic' ? 'openai:…' : 'anthropic:…'
  const advice = `--reward_model ${other}, vllm:MODEL@http://localhost:8000/v1, ollama:MODEL, local:PATH, or arithmetic`
  const { server, isVendor } = openServer(name, { ...options, advice })
  return name.provider === 'anthropic' ? anthropicModel(server, name.model) : openaiModel(server, name.model, isVendor)
}

/** A server, and whether it is OpenAI's own. */
export interface OpenServer {
  readonly server: Server
  readonly isVendor: boolean
}

/**
 * Who serves the model of a name, and by which key. Where the user named an address, in the name or in the environment, no
 * key is needed, but the provider's is sent there if it is set.
 * @param options `advice`: what else to say than this name, for a message.
 * @throws UsageError for a key that is missing, and for keys and addresses that are none.
 */
export function openServer(
  name: ChatName,
  { environment, key, timeoutMs = DEFAULT_TIMEOUT_MS, advice }: ChatOptions & { readonly advice: string },
): OpenServer {
  const { provider, model } = name
  const habits = PROVIDERS[provider]
  const baseUrl = name.baseUrl ?? readAddress(environment, habits)
  const secret = key ?? readKey(environment, habits.keyVariable)
  if (secret === undefined && habits.needsKey && baseUrl === undefined) {
    throw new UsageError(`${habits.keyVariable} is not set. Set it, or use ${advice}`)
  }
  const isAnthropic = provider === 'anthropic'
  const urls = [baseUrl ?? habits.baseUrl, ...(name.moreUrls ?? [])].map((url) =>
    // The library for Anthropic appends /v1 itself.
    isAnthropic ? url.replace(/\/v1$/, '') : url,
  )
  // What was said by several is known by none of their addresses: they come and go, and what they say is the same.
  const place = urls.length > 1 ? '@several' : baseUrl === undefined ? '' : `@${baseUrl}`
  const server: Server = {
    name: `${provider}:${model}${place}`,
    secrets: secret === undefined ? [] : [secret],
    baseUrl: urls[0],
    authorize: () => (secret === undefined ? new Headers() : keyHeader(isAnthropic, secret)),
    timeoutMs,
    now: Date.now,
    fetch: fetchBy(environment),
  }
  const isVendor = provider === 'openai' && baseUrl === undefined
  if (urls.length === 1) return { server, isVendor }
  // Each by its own name, so that errors say where they come from.
  const servers = urls.map((url): Server => ({ ...server, name: `${provider}:${model}@${url}`, baseUrl: url }))
  return { server: { ...server, endpoints: createEndpoints(servers, Date.now) }, isVendor }
}

function keyHeader(isAnthropic: boolean, secret: Secret): Headers {
  return new Headers(isAnthropic ? { 'x-api-key': secret.reveal() } : { authorization: `Bearer ${secret.reveal()}` })
}

/** Undefined where the environment names no other address than the vendor's. */
function readAddress(
  environment: ChatOptions['environment'],
  { addressVariable, baseUrl }: Habits,
): string | undefined {
  const text = addressVariable === undefined ? '' : (environment[addressVariable]?.trim() ?? '')
  if (addressVariable === undefined || text === '') return undefined
  const address = parseAddress(text, addressVariable)
  return address.replace(/\/v1$/, '') === baseUrl.replace(/\/v1$/, '') ? undefined : address
}

function readKey(environment: ChatOptions['environment'], variable: string): Secret | undefined {
  const key = environment[variable]?.trim() ?? ''
  return key === '' ? undefined : parseKey(key, variable)
}

/** @param what What holds the key, for the message. @throws UsageError, which does not quote it. */
export function parseKey(key: string, what: string): Secret {
  if (!/^[\x21-\x7e]+$/.test(key)) throw new UsageError(`${what} holds characters that cannot be part of a key`)
  return createSecret(key)
}
