/** @file The way of requests: by a proxy where the environment names one. Knows nothing of what is asked. */
import { codeOf, messageOf, UserError } from './errors.ts'

type Environment = Readonly<Record<string, string | undefined>>

export type Fetch = (input: string | URL, init?: RequestInit) => Promise<Response>

/** A request that did not get through while a proxy is set. */
export class ProxyError extends Error {
  override name = 'ProxyError'
  /** Of the system, such as ECONNREFUSED, where there is one. */
  readonly code: string | undefined
  /** Whether the proxy itself has refused: asking again does not help. */
  readonly isRefusal: boolean
  /** Whether the request may have come to whom it was for: not where the proxy opened no way to it. */
  readonly isSent: boolean

  constructor(proxy: string, cause: unknown) {
    // undici tells of a refusal by a text only
    const [, status] = /^Proxy \D*\((\d{3})\)/.exec(messageOf(cause)) ?? []
    const code = status === undefined ? codeOf(cause) : undefined
    super(status === undefined ? `${code ?? messageOf(cause)}; proxy ${proxy}` : `the proxy ${proxy} answers ${status}`)
    this.code = code
    this.isRefusal = status?.startsWith('4') === true
    this.isSent = status === undefined
  }
}

/**
 * The `fetch` of an environment: by HTTP_PROXY or HTTPS_PROXY, but for what NO_PROXY names; in lower case they win. What is
 * on this machine is never asked of a proxy. Without these variables it is the platform's, and nothing is loaded.
 * @throws UserError for an address of a proxy that is none.
 */
export function fetchBy(environment: Environment): Fetch {
  const http = readProxy(environment, 'http_proxy')
  const https = readProxy(environment, 'https_proxy') ?? http
  if (http === undefined && https === undefined) return (input, init) => fetch(input, init)
  const spared = readSpared(environment['no_proxy'] ?? environment['NO_PROXY'] ?? '')
  let opening: Promise<Fetch> | undefined
  return async (input, init) => {
    const url = new URL(input)
    const proxy = url.protocol === 'https:' ? https : http
    if (proxy === undefined || isThisMachine(url.hostname) || spared(url)) return fetch(url, init)
    opening ??= openProxied(http?.href ?? '', https?.href ?? '')
    const proxied = await opening
    try {
      return await proxied(url, init)
    } catch (error) {
      init?.signal?.throwIfAborted()
      throw new ProxyError(proxy.host, firstCause(error))
    }
  }
}

function firstCause(error: unknown): unknown {
  return error instanceof Error && error.cause !== undefined ? firstCause(error.cause) : error
}

/** undici's own `fetch`: that of the platform does not understand the agents of another version. */
async function openProxied(httpProxy: string, httpsProxy: string): Promise<Fetch> {
  const undici = await import('undici')
  // What is asked by plain HTTP is named to the proxy: many let nobody through to port 80 by CONNECT.
  const dispatcher = new undici.EnvHttpProxyAgent({ httpProxy, httpsProxy, noProxy: '', proxyTunnel: false })
  // The same class of the standard, in the types of another version.
  const proxied = undici.fetch as unknown as (input: URL, init: object) => Promise<Response>
  return async (input, init) => proxied(new URL(input), { ...init, ...(await written(init)), dispatcher })
}

/** A form as bytes: undici's `fetch` knows no forms of the platform's. */
async function written({ body, headers }: RequestInit = {}): Promise<RequestInit> {
  if (!(body instanceof FormData)) return {}
  const form = new Response(body)
  const all = new Headers(headers)
  all.set('content-type', form.headers.get('content-type') ?? '')
  return { body: await form.arrayBuffer(), headers: Object.fromEntries(all) }
}

/** What NO_PROXY names: hosts with their subdomains, each perhaps with a port, or `*` for all. */
function readSpared(text: string): (url: URL) => boolean {
  const entries = text
    .toLowerCase()
    .split(/[\s,]+/)
    .filter((entry) => entry !== '')
    .map((entry) => /^(?:\*?\.)?(.+?)(?::(\d+))?$/.exec(entry) ?? [])
  return ({ hostname, port, protocol }) => {
    const own = port || (protocol === 'https:' ? '443' : '80')
    return entries.some(
      ([, host, only]) =>
        (only === undefined || only === own) && (host === '*' || hostname === host || hostname.endsWith(`.${host}`)),
    )
  }
}

function readProxy(environment: Environment, name: 'http_proxy' | 'https_proxy'): URL | undefined {
  const text = (environment[name] ?? environment[name.toUpperCase()] ?? '').trim()
  if (text === '') return undefined
  const address = text.includes('://') ? text : `http://${text}`
  const url = URL.canParse(address) ? new URL(address) : undefined
  if (url !== undefined && /^https?:$/.test(url.protocol) && url.hostname !== '') return url
  throw new UserError(`${name.toUpperCase()}: expected an address such as http://proxy:8080, found something else`)
}

function isThisMachine(host: string): boolean {
  return /^(localhost|.+\.localhost|127(\.\d+){3}|\[::1\])$/.test(host)
}
