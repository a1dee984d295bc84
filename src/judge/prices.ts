/**
 * @file What models cost, in US dollars per million tokens: list prices of OpenAI (platform.openai.com/docs/pricing) and
 * Anthropic (docs.anthropic.com, "Pricing") as they were known in early 2026, not all of them looked up again. They
 * change: a file of the user's own (`readPrices`) comes first, and a cap is as good as the price it counts by.
 */
import { readFileSync } from 'node:fs'
import { parse } from 'yaml'
import { z } from 'zod'
import { messageOf, UserError } from '../base/errors.ts'
import type { ChatModel } from './chat.ts'

/** US dollars per million tokens. */
export interface Price {
  readonly input: number
  /** For input that the provider found in its cache. */
  readonly cachedInput: number
  readonly output: number
  /** What a request costs in the batch API, as a share of its price. */
  readonly batchShare: number
}

/** A model's name, without its date → its price. */
export type Prices = ReadonlyMap<string, Price>

/** What a reply took; `cachedTokens` are among the prompt's. */
export interface TokenCounts {
  readonly promptTokens: number
  readonly completionTokens: number
  readonly cachedTokens?: number
}

const NANO = 1e9
const FREE: Price = { input: 0, cachedInput: 0, output: 0, batchShare: 1 }
const BATCH_SHARE = 0.5 // of both vendors

/** Input, cached input, output. Where no price of cached input was listed, it is that of input. */
const listed: { readonly [model: string]: readonly [number, number, number] } = {
  'gpt-3.5-turbo': [0.5, 0.5, 1.5],
  'gpt-3.5-turbo-1106': [1, 1, 2],
  'gpt-3.5-turbo-0613': [1.5, 1.5, 2],
  'gpt-3.5-turbo-16k': [3, 3, 4],
  'gpt-4': [30, 30, 60],
  'gpt-4-32k': [60, 60, 120],
  'gpt-4-1106-preview': [10, 10, 30],
  'gpt-4-0125-preview': [10, 10, 30],
  'gpt-4-turbo': [10, 10, 30],
  'gpt-4.1': [2, 0.5, 8],
  'gpt-4.1-mini': [0.4, 0.1, 1.6],
  'gpt-4.1-nano': [0.1, 0.025, 0.4],
  'gpt-4.5-preview': [75, 37.5, 150],
  'gpt-4o': [2.5, 1.25, 10],
  'gpt-4o-2024-05-13': [5, 5, 15],
  'gpt-4o-mini': [0.15, 0.075, 0.6],
  'chatgpt-4o': [5, 5, 15],
  'gpt-5': [1.25, 0.125, 10],
  'gpt-5-chat': [1.25, 0.125, 10],
  'gpt-5-mini': [0.25, 0.025, 2],
  'gpt-5-nano': [0.05, 0.005, 0.4],
  'gpt-5-pro': [15, 15, 120],
  'gpt-5.1': [1.25, 0.125, 10],
  'gpt-5.2': [1.75, 0.175, 14],
  o1: [15, 7.5, 60],
  'o1-preview': [15, 7.5, 60],
  'o1-mini': [1.1, 0.55, 4.4],
  'o1-pro': [150, 150, 600],
  o3: [2, 0.5, 8],
  'o3-mini': [1.1, 0.55, 4.4],
  'o3-pro': [20, 20, 80],
  'o4-mini': [1.1, 0.275, 4.4],
  'claude-3-haiku': [0.25, 0.03, 1.25],
  'claude-3-sonnet': [3, 0.3, 15],
  'claude-3-opus': [15, 1.5, 75],
  'claude-3-5-haiku': [0.8, 0.08, 4],
  'claude-3-5-sonnet': [3, 0.3, 15],
  'claude-3-7-sonnet': [3, 0.3, 15],
  'claude-sonnet-4': [3, 0.3, 15],
  'claude-opus-4': [15, 1.5, 75],
  'claude-opus-4-1': [15, 1.5, 75],
  'claude-haiku-4-5': [1, 0.1, 5],
  'claude-sonnet-4-5': [3, 0.3, 15],
  'claude-opus-4-5': [5, 0.5, 25],
  'claude-sonnet-4-6': [3, 0.3, 15],
  'claude-opus-4-6': [5, 0.5, 25],
}

const LIST: Prices = new Map(
  Object.entries(listed).map(([model, [input, cachedInput, output]]) => [
    model,
    { input, cachedInput, output, batchShare: BATCH_SHARE },
  ]),
)

const LOCAL_PROVIDERS = new Set(['vllm', 'ollama', 'llamacpp', 'local', 'replay', 'arithmetic'])
const LOCAL_HOSTS = new Set(['localhost', '127.0.0.1', '[::1]', '0.0.0.0'])

/** What may follow a listed name: a date or `latest`. `gpt-5` says nothing of what `gpt-5-ultra` costs. */
const SNAPSHOT = /^(-\d{4}-\d{2}-\d{2}|-\d{4}|-\d{8}|-latest)?$/

/**
 * What a model costs: by the user's list, nothing where it runs on this machine, or by the vendors' lists. The longest
 * listed name that the model's name begins with decides, where only a date follows.
 * @returns null where nobody says, or several servers differ.
 */
export function findPrice(
  { name, model, addresses }: Pick<ChatModel, 'name' | 'model' | 'addresses'>,
  own: Prices = new Map(),
): Price | null {
  const price = longestMatch(own, model)
  if (price !== null) return price
  const provider = name.slice(0, Math.max(0, name.indexOf(':')))
  const [first, ...others] = addresses ?? [/@(https?:\/\/.+)$/.exec(name)?.[1]]
  if (first === undefined) return LOCAL_PROVIDERS.has(provider) ? FREE : longestMatch(LIST, model)
  const found = priceAt(first, model)
  // Which of several answers, nobody knows beforehand.
  return others.every((other) => other !== undefined && priceAt(other, model) === found) ? found : null
}

function priceAt(address: string, model: string): Price | null {
  const host = URL.canParse(address) ? new URL(address).hostname : ''
  if (LOCAL_HOSTS.has(host)) return FREE
  return /(^|\.)(openai|anthropic)\.com$/.test(host) ? longestMatch(LIST, model) : null
}

function longestMatch(prices: Prices, model: string): Price | null {
  let best = ''
  for (const name of prices.keys()) {
    if (name.length > best.length && model.startsWith(name) && SNAPSHOT.test(model.slice(name.length))) best = name
  }
  return prices.get(best) ?? null
}

const dollars = z.number().min(0).max(1e6)

const priceFile = z.record(
  z.string().min(1),
  z
    .strictObject({
      input: dollars,
      output: dollars,
      cached: dollars.optional(),
      batch: z.number().min(0).max(1).optional(),
    })
    .transform(({ input, output, cached, batch }) => ({
      input,
      cachedInput: cached ?? input,
      output,
      batchShare: batch ?? 1,
    })),
)

/**
 * Reads a YAML or JSON file of prices: `MODEL: { input: 2.5, output: 10, cached: 1.25, batch: 0.5 }`, in US dollars per
 * million tokens, the last two optional (`batch` is the share of the price that the batch API takes).
 * @throws UserError
 */
export function readPrices(path: string): Prices {
  let content: unknown
  try {
    content = parse(readFileSync(path, 'utf8'), { maxAliasCount: 0 })
  } catch (error) {
    throw new UserError(`cannot read the prices in ${path}: ${messageOf(error)}`, { cause: error })
  }
  const result = priceFile.safeParse(content)
  if (result.success) return new Map(Object.entries(result.data))
  const [issue] = result.error.issues
  throw new UserError(
    `${path}: expected prices as MODEL: { input: 2.5, output: 10 }, found ${issue.path.join('.')}: ${issue.message}`,
  )
}

/** What tokens cost, in nano-dollars, rounded up. Exact: prices are taken as whole nano-dollars per million tokens. */
export function costOf(counts: TokenCounts, price: Price): number {
  const cached = Math.min(counts.cachedTokens ?? 0, counts.promptTokens)
  const millionfold =
    times(counts.promptTokens - cached, price.input) +
    times(cached, price.cachedInput) +
    times(counts.completionTokens, price.output)
  return Number((millionfold + 999_999n) / 1_000_000n)
}

/** What a model costs in its vendor's batch API. */
export function batchPrice({ input, cachedInput, output, batchShare }: Price): Price {
  return {
    input: input * batchShare,
    cachedInput: cachedInput * batchShare,
    output: output * batchShare,
    batchShare: 1,
  }
}

/** Tokens × nano-dollars per million tokens. */
function times(tokens: number, dollarsPerMillion: number): bigint {
  return BigInt(tokens) * BigInt(Math.round(dollarsPerMillion * NANO))
}

/** Whole nano-dollars, never more than is given. */
export function toNano(dollars: number): number {
  return Math.floor(dollars * NANO)
}

export function toDollars(nano: number): number {
  return nano / NANO
}
