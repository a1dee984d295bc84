/**
 * @file The one HTTP request of a call, around the `fetch` of the vendors' libraries. The libraries build addresses and
 * bodies; keys, limits and the question whether a reply is whole are here, and the libraries never see a key.
 */
import { codeOf, messageOf } from '../../base/errors.ts'
import { parseJson } from '../../base/lines.ts'
import { type Fetch, ProxyError } from '../../base/proxy.ts'
import { ChatError, type ChatErrorFacts } from '../chat.ts'
import { stoppedError } from '../stopped.ts'
import type { Endpoints } from './endpoints.ts'
import { httpError, quote, type Speaker } from './http-error.ts'

export interface Server extends Speaker {
  /** The address that the library appends its paths to. */
  readonly baseUrl: string
  /** The headers that carry the key, new ones for each request. */
  readonly authorize: () => Headers
  /** For a whole request, its body included. The platform's fetch ends a silence of five minutes by itself. */
  readonly timeoutMs: number
  readonly now: () => number
  readonly fetch: Fetch
  /** Where several serve the model: each as a server of its own. `baseUrl` is that of the first. */
  readonly endpoints?: Endpoints<Server>
}

/** Of an unpacked body: no judge writes that much. */
const MAX_BODY_BYTES = 10 << 20
const MAX_ERROR_BYTES = 64 << 10

/** Headers of the libraries that are sent on. Environment variables can add others, which nobody asked for here. */
const KEPT_HEADERS = ['accept', 'content-type', 'anthropic-version', 'anthropic-beta']

/** For the libraries, which end requests by timers of their own: longer than any of ours. */
export const LIBRARY_TIMEOUT_MS = 2 ** 31 - 1

type LibraryFetch = (input: string | URL | Request, init?: RequestInit) => Promise<Response>

/** A `fetch` that gives whole JSON replies, and for everything else throws a ChatError. */
export function createFetch(server: Server): LibraryFetch {
  return async (input, init = {}) => {
    const given = new Headers(init.headers)
    const headers = server.authorize()
    for (const name of KEPT_HEADERS) if (given.has(name)) headers.set(name, given.get(name) ?? '')
    return fetchWhole(server, String(input), { ...init, headers })
  }
}

/** Asks the server; of several the one whose turn it is, and others where that helps. */
export function askServer<Reply>(server: Server, ask: (one: Server) => Promise<Reply>): Promise<Reply> {
  return server.endpoints === undefined ? ask(server) : server.endpoints.ask(ask)
}

async function fetchWhole(server: Server, url: string, init: RequestInit): Promise<Response> {
  // A redirect is an answer of its own: followed, it would carry the key to wherever it points.
  const response = await server.fetch(url, { ...init, redirect: 'manual' }).catch((error: unknown) => {
    throw connectionError(server, error)
  })
  return response.ok ? readReply(server, response) : refuse(server, response)
}

/** A document for a server. `path` follows its address. */
export interface JsonRequest {
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** Posts a JSON document once, without a vendor's library. @throws ChatError for whatever is not a whole JSON reply. */
export function postJson(server: Server, { path, headers, body }: JsonRequest, signal: AbortSignal): Promise<unknown> {
  const all = { 'content-type': 'application/json', ...headers }
  const fetchReply = createFetch(server)
  return sendOnce(server, signal, async (callSignal) => {
    const reply = await fetchReply(server.baseUrl + path, { method: 'POST', headers: all, body, signal: callSignal })
    return reply.json()
  })
}

async function readReply(server: Server, response: Response): Promise<Response> {
  const fail = (kind: ChatErrorFacts['kind'], problem: string): never => {
    throw new ChatError(`${server.name}: ${problem}`, { kind, isTransient: true, maybePaid: true })
  }
  const body = await readBody(response, MAX_BODY_BYTES)
  if (body.end === 'too-large') return fail('malformed-reply', 'the reply is larger than 10 MB')
  if (body.end === 'cut') return fail('truncated', 'the connection ended within the reply')
  if (body.bytes.length === 0) return fail('malformed-reply', 'the reply is empty')
  const parsed = parseJson(body.bytes)
  if ('problem' in parsed) {
    const isCut = parsed.problem !== 'not UTF-8' && body.bytes.toString('utf8').trimStart().startsWith('{')
    return isCut ? fail('truncated', 'the reply is cut JSON') : fail('malformed-reply', 'the reply is not JSON')
  }
  // The libraries ask for its JSON: it is not to be read a second time.
  const reply = new Response(null, { headers: { 'content-type': 'application/json' } })
  return Object.assign(reply, { json: async () => parsed.value })
}

/** @throws HttpError for a response that tells of no success. */
export async function refuse(server: Server, response: Response): Promise<never> {
  const { bytes } = await readBody(response, MAX_ERROR_BYTES)
  const parsed = parseJson(bytes)
  throw httpError(server, response, 'value' in parsed ? parsed.value : null, server.now())
}

interface Body {
  readonly bytes: Buffer
  readonly end: 'whole' | 'cut' | 'too-large'
}

/** Reads no more than `limit` bytes, counted after unpacking. */
async function readBody(response: Response, limit: number): Promise<Body> {
  const chunks: Uint8Array[] = []
  let byteCount = 0
  const finish = (end: Body['end']): Body => ({ bytes: Buffer.concat(chunks), end })
  if (response.body === null) return finish('whole')
  try {
    for await (const chunk of response.body) {
      byteCount += chunk.length
      if (byteCount > limit) return finish('too-large')
      chunks.push(chunk)
    }
  } catch {
    return finish('cut')
  }
  return finish('whole')
}

/** Errors after which it is known that no request went out. */
const NOT_SENT = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'EADDRNOTAVAIL'])

/** What became of a request that `fetch` could not bring to its end. */
export function connectionError(server: Server, error: unknown): ChatError {
  const code = codeOf(error instanceof Error ? (error.cause ?? error) : error) ?? ''
  const isTold = code !== '' && !(error instanceof ProxyError) // which names the proxy, too
  const problem = `${server.name}: no reply (${isTold ? code : quote(messageOf(error), server.secrets)})`
  if (code === 'UND_ERR_CONNECT_TIMEOUT') {
    return new ChatError(problem, { kind: 'timeout', isTransient: true, maybePaid: false })
  }
  if (code === 'UND_ERR_HEADERS_TIMEOUT') {
    return new ChatError(problem, { kind: 'timeout', isTransient: true, maybePaid: true })
  }
  if (error instanceof ProxyError && !error.isSent) {
    return new ChatError(problem, { kind: 'network', isTransient: !error.isRefusal, maybePaid: false })
  }
  const isUntrusted = /CERT|^ERR_(?:TLS|SSL)|^UNABLE_TO_/.test(code)
  return new ChatError(problem, {
    kind: 'network',
    isTransient: !isUntrusted,
    maybePaid: !isUntrusted && !NOT_SENT.has(code),
  })
}

/**
 * Sends once, with a timeout, and gives errors as ChatErrors.
 * @throws ChatError `stopped` where the caller's signal ended it: maybe paid if the request was on its way.
 */
export async function sendOnce<T>(
  server: Server,
  signal: AbortSignal,
  send: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  if (signal.aborted) throw stoppedError(false)
  // A signal for each call: the libraries never take their listeners off the one that they are given.
  const call = new AbortController()
  const { promise: ended, reject: end } = makePromise()
  const stop = (): void => end(stoppedError(true))
  const timer = setTimeout(() => end(timedOut(server)), server.timeoutMs)
  signal.addEventListener('abort', stop, { once: true })
  try {
    // Raced, since what is sent does not always heed its signal: undici may wait for a stream that unpacks.
    return await Promise.race([send(call.signal), ended])
  } catch (error) {
    call.abort() // what may still be under way
    throw chatErrorIn(error) ?? unexpected(server, error)
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', stop)
  }
}

function makePromise(): { readonly promise: Promise<never>; readonly reject: (error: ChatError) => void } {
  let reject: (error: ChatError) => void = () => {}
  const promise = new Promise<never>((_, refuse) => {
    reject = refuse
  })
  return { promise, reject }
}

function timedOut({ name, timeoutMs }: Server): ChatError {
  const facts: ChatErrorFacts = { kind: 'timeout', isTransient: true, maybePaid: true }
  return new ChatError(`${name}: no whole reply within ${timeoutMs / 1000} s`, facts)
}

/** The libraries wrap what their `fetch` throws. */
function chatErrorIn(error: unknown): ChatError | undefined {
  if (error instanceof ChatError) return error
  return error instanceof Error ? chatErrorIn(error.cause) : undefined
}

/** Without the error itself as cause: it may hold headers. */
function unexpected({ name, secrets }: Server, error: unknown): ChatError {
  const facts: ChatErrorFacts = { kind: 'network', isTransient: false, maybePaid: true }
  return new ChatError(`${name}: ${quote(messageOf(error), secrets)}`, facts)
}
