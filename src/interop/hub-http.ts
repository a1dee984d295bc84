/** @file Requests to the Hub: redirects without the token, patience with what passes, errors that say what to do. */
import { codeOf, messageOf, UserError } from '../base/errors.ts'
import { parseJson } from '../base/lines.ts'
import { ProxyError } from '../base/proxy.ts'
import { redact } from '../judge/secret.ts'
import type { Hub } from './hub-access.ts'

export interface HubRequest {
  readonly url: string
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  /** A text or a blob, which can be sent again. */
  readonly body?: RequestInit['body']
  /** What is asked for, as errors name it. */
  readonly subject: string
  /** Statuses that are answers too, beside success. */
  readonly accepts?: readonly number[]
  /** Asks for what a file holds, which a server may have to fetch first. */
  readonly isContent?: boolean
}

/** What may not happen again: a cut connection, a busy server. */
export class PassingError extends Error {
  override name = 'PassingError'
  readonly waitMs: number
  /** After so many there is no use in another. */
  readonly attempts: number

  constructor(message: string, waitMs = 0, attempts = Number.POSITIVE_INFINITY) {
    super(message)
    this.waitMs = waitMs
    this.attempts = attempts
  }
}

/** The Hub, or the way to it, is not there for now: who has something in the cache can go on with it. */
export class UnreachableError extends UserError {
  override name = 'UnreachableError'
}

/** There is no such repository, revision or file. */
export class NotFoundError extends UserError {
  override name = 'NotFoundError'
}

const MOST_REDIRECTS = 5
const FIRST_WAIT_MS = 500
/** Of a name that nobody knows: a second look may find a network that has just come up. */
const ATTEMPTS_UNKNOWN = 2
const LONGEST_WAIT_MS = 5 * 60_000
/** Of a listing: a repository has at most some 100,000 files. */
const MAX_JSON_BYTES = 64 << 20

/**
 * Does `work` until it ends without a PassingError, and tells of each that comes before another try. The count of failures
 * begins anew when `done` is more than ever.
 * @throws UnreachableError after as many failures in a row as the Hub's patience has, or where a server wants us to wait
 * longer than 5 minutes.
 */
export async function persistently<T>(hub: Hub, work: () => Promise<T>, done: () => number = () => 0): Promise<T> {
  let reached = done()
  for (let failures = 1; ; failures++) {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof PassingError)) throw error
      if (done() > reached) {
        failures = 1
        reached = done()
      }
      if (error.waitMs > LONGEST_WAIT_MS) {
        throw new UnreachableError(`${error.message} (it asks to wait ${Math.round(error.waitMs / 1000)} s)`)
      }
      if (failures >= Math.min(error.attempts, hub.patience.attempts)) {
        const count = failures === 1 ? '' : ` (given up after ${failures} attempts)`
        throw new UnreachableError(error.message + count)
      }
      const waitMs = error.waitMs + FIRST_WAIT_MS * 2 ** (failures - 1)
      hub.tell(`trying again in ${waitMs / 1000} s: ${error.message}`)
      await hub.clock.sleep(waitMs, hub.signal)
    }
  }
}

/** Sends a request as often as it takes. @throws UserError for an answer that is no success. */
export function ask(hub: Hub, request: HubRequest): Promise<Response> {
  return persistently(hub, () => askOnce(hub, request))
}

/** @throws PassingError where asking again may help, UserError for any other answer that is no success. */
export async function askOnce(hub: Hub, request: HubRequest): Promise<Response> {
  const response = await follow(hub, request)
  const isRedirect = response.status >= 300 && response.status < 400 && request.method === 'HEAD'
  if (response.ok || isRedirect || request.accepts?.includes(response.status)) return response
  throw await refusal(hub, request.subject, response)
}

/** The JSON of an answer. @throws UserError where it is none, or too much. */
export async function askJson(hub: Hub, request: HubRequest): Promise<unknown> {
  return persistently(hub, async () => {
    const response = await askOnce(hub, request)
    const chunks: Uint8Array[] = []
    let size = 0
    for await (const chunk of bodyOf(hub, response, request.subject)) {
      size += chunk.length
      if (size > MAX_JSON_BYTES) throw new UserError(`${request.subject}: the answer of ${hub.endpoint} is over 64 MB`)
      chunks.push(chunk)
    }
    const parsed = parseJson(Buffer.concat(chunks))
    if ('value' in parsed) return parsed.value
    throw new UserError(`${request.subject}: expected JSON from ${hub.endpoint}, found ${parsed.problem}`)
  })
}

/** The bytes of an answer as they come. @throws PassingError where the connection ends within. */
export async function* bodyOf(hub: Hub, response: Response, subject: string): AsyncGenerator<Uint8Array> {
  if (response.body === null) return
  const reader = response.body.getReader()
  try {
    for (;;) {
      const next = await within(hub.patience.silenceMs, reader.read()).catch((error: unknown) => {
        throw connectionError(hub, subject, error)
      })
      if (next.done) return
      yield next.value
    }
  } finally {
    await reader.cancel().catch(() => {})
  }
}

/** Follows redirects by hand: the token goes to the endpoint's origin only. For HEAD, only within an origin. */
async function follow(hub: Hub, request: HubRequest): Promise<Response> {
  let url = new URL(request.url)
  for (let hops = 0; hops <= MOST_REDIRECTS; hops++) {
    const response = await send(hub, request, url)
    const location = response.headers.get('location')
    if (![301, 302, 303, 307, 308].includes(response.status) || location === null) return response
    const next = URL.canParse(location, url.href) ? new URL(location, url) : undefined
    if (request.method === 'HEAD' && next?.origin !== url.origin) return response
    await response.body?.cancel()
    const isSafe = next?.protocol === 'https:' || (next?.protocol === 'http:' && url.protocol === 'http:')
    if (next === undefined || !isSafe || request.body !== undefined) {
      throw new UserError(`${request.subject}: ${url.host} redirects to where this request must not go`)
    }
    url = next
  }
  throw new UserError(`${request.subject}: ${url.host} redirects more than ${MOST_REDIRECTS} times`)
}

async function send(hub: Hub, request: HubRequest, url: URL): Promise<Response> {
  const headers = new Headers(request.headers)
  headers.set('user-agent', 'stepdpo')
  headers.set('accept-encoding', 'identity') // ranges and hashes are of the file itself
  const isHome = url.origin === new URL(hub.endpoint).origin
  if (isHome && hub.token !== undefined) headers.set('authorization', `Bearer ${hub.token.reveal()}`)
  const { method = 'GET', body } = request
  const silence = new AbortController()
  const signal = AbortSignal.any([hub.signal, silence.signal])
  const { headersMs, silenceMs } = hub.patience
  // What is uploaded may take any time before there is an answer.
  const limitMs = body === undefined ? (request.isContent ? silenceMs : headersMs) : undefined
  try {
    return await within(limitMs, hub.fetch(url.href, { method, headers, body, redirect: 'manual', signal }))
  } catch (error) {
    silence.abort()
    throw connectionError(hub, request.subject, error)
  }
}

class SilenceError extends Error {}

/** What is awaited, unless nothing comes for too long; without a limit it is waited for. @throws SilenceError */
async function within<T>(limitMs: number | undefined, work: Promise<T>): Promise<T> {
  if (limitMs === undefined) return work
  let timer: NodeJS.Timeout | undefined
  const silence = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new SilenceError(`nothing came for ${limitMs / 1000} s`)), limitMs)
  })
  try {
    return await Promise.race([work, silence])
  } finally {
    clearTimeout(timer)
  }
}

/** Whatever `fetch` throws: the end of the whole where the signal ended it, and a passing trouble otherwise. */
function connectionError(hub: Hub, subject: string, error: unknown): Error {
  hub.signal.throwIfAborted()
  const cause = error instanceof Error ? (error.cause ?? error) : error
  const code = codeOf(cause) ?? ''
  const problem = cause instanceof ProxyError || code === '' ? cleanText(hub, messageOf(cause)) : code
  const message = `${subject}: no whole answer from ${hub.endpoint} (${problem})`
  const isFinal = /CERT|^ERR_(?:TLS|SSL)|^UNABLE_TO_/.test(code) || (cause instanceof ProxyError && cause.isRefusal)
  if (isFinal) return new UnreachableError(message)
  return code === 'ENOTFOUND' ? new PassingError(message, 0, ATTEMPTS_UNKNOWN) : new PassingError(message)
}

/** A text of a server without the token and without lines. */
export function cleanText(hub: Hub, text: string): string {
  const plain = redact(text, hub.token === undefined ? [] : [hub.token])
  return plain
    .replace(/[\p{Cc}\s]+/gu, ' ')
    .trim()
    .slice(0, 300)
}

async function refusal(hub: Hub, subject: string, response: Response): Promise<Error> {
  const { status } = response
  const told = cleanText(hub, response.headers.get('x-error-message') ?? '')
  const code = response.headers.get('x-error-code') ?? ''
  await response.body?.cancel()
  const answer = `${subject}: ${hub.endpoint} answers ${status}${told === '' ? '' : ` (${told})`}`
  if (status === 429 || status === 408 || status >= 500) return new PassingError(answer, retryAfterMs(response))
  if (status === 404) return new NotFoundError(`${answer}: ${notFound(code)}`)
  return new UserError(status === 401 || status === 403 ? `${answer}: ${accessAdvice(hub, code)}` : answer)
}

/** `RateLimit: "api";r=0;t=55`, as huggingface.co has it, or Retry-After. */
function retryAfterMs(response: Response): number {
  // https://www.ietf.org/archive/id/draft-ietf-httpapi-ratelimit-headers-09.html, as far as huggingface_hub reads it
  // Other answers tell by it what is left of the quota.
  const told = response.status === 429 ? (response.headers.get('ratelimit') ?? '') : ''
  const limit = /"\w+"\s*;\s*r\s*=\s*\d+\s*;\s*t\s*=\s*(\d+)/.exec(told)
  if (limit !== null) return Number(limit[1]) * 1000
  const text = response.headers.get('retry-after') ?? ''
  const waitMs = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now()
  return waitMs > 0 ? waitMs : 0
}

function accessAdvice(hub: Hub, code: string): string {
  const login =
    'set HF_TOKEN to a token of an account that may use it (huggingface.co/settings/tokens), or write it to HF_HOME/token'
  if (code === 'GatedRepo') {
    const terms = 'it is gated; accept its terms on its page in a browser'
    return hub.token === undefined ? `${terms}, then ${login}` : `${terms}, with the account of the token that is set`
  }
  if (hub.token === undefined) return `it is not there, or private; if it is private, ${login}`
  return 'it is not there, or the token that is set may not do this'
}

function notFound(code: string): string {
  if (code === 'RevisionNotFound') return 'there is no such revision'
  return code === 'EntryNotFound' ? 'there is no such file' : 'there is no such thing'
}
