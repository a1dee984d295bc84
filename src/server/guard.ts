/**
 * @file Who may ask. The server runs on a machine where other users and web pages can reach it: names of other hosts (DNS
 * rebinding), other origins (CSRF), requests without the cookie, too many and too large ones are refused.
 */
import type { IncomingMessage } from 'node:http'
import type { HttpBindings } from '@hono/node-server'
import type { Context, MiddlewareHandler } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import { getCookie } from 'hono/cookie'
import type { Secret } from './token.ts'

export const LOGIN = '/login'
const MAX_BODY_BYTES = 1 << 20

export const HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "font-src 'self'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; '),
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'cache-control': 'no-store',
}

/** A status and why, for a request that is refused before anything is read of it. */
export interface Refusal {
  readonly status: 400 | 403
  readonly error: string
}

/** Names under which this server may be asked for: `hosts` with its port. */
export function refuseHost({ rawHeaders, url }: IncomingMessage, hosts: ReadonlySet<string>): Refusal | undefined {
  if (url === undefined || !url.startsWith('/')) return { status: 400, error: 'expected a path' }
  const given = rawHeaders.filter((_, at) => at % 2 === 1 && rawHeaders[at - 1].toLowerCase() === 'host')
  if (given.length !== 1) return { status: 400, error: 'expected one Host' }
  return hosts.has(given[0].toLowerCase()) ? undefined : { status: 403, error: 'this is not the name of this server' }
}

/** Requests of which `perSecond` may come for long, and `burst` at once. */
function makeRate(perSecond: number, burst: number): () => boolean {
  let left = burst
  let at = performance.now()
  return () => {
    const now = performance.now()
    left = Math.min(burst, left + ((now - at) / 1000) * perSecond)
    at = now
    if (left < 1) return false
    left--
    return true
  }
}

export type App = { Bindings: HttpBindings }

/** Everything but the login link needs the cookie. Who has none shares a small rate, so that nobody else is held up. */
export function requireCookie(name: string, cookie: Secret): MiddlewareHandler<App> {
  const known = makeRate(200, 1000)
  const unknown = makeRate(100, 500)
  return async (c, next) => {
    if (c.req.path === LOGIN && c.req.method === 'GET') return next()
    const isKnown = cookie.equals(getCookie(c, name) ?? '')
    if (!(isKnown ? known() : unknown())) return c.json({ error: 'too many requests' }, 429, { 'retry-after': '1' })
    if (!isKnown) return c.json({ error: 'not logged in: open the link that `stepdpo view` printed' }, 401)
    if (!isOwnFetch(c)) return c.json({ error: 'requests of other sites are refused' }, 403)
    return next()
  }
}

/** By what browsers say of a request (Fetch Metadata); other clients say nothing. */
function isOwnFetch(c: Context): boolean {
  const site = c.req.header('sec-fetch-site')
  return site === undefined || site === 'same-origin' || site === 'none'
}

const limitBody = bodyLimit({ maxSize: MAX_BODY_BYTES, onError: (c) => c.json({ error: 'more than 1 MiB' }, 413) })

/** What is written comes from a page of this very server, as JSON of a bounded size. */
export const guardWrites: MiddlewareHandler<App> = async (c, next) => {
  if (c.req.method === 'GET' || c.req.method === 'HEAD') return next()
  if (c.req.header('origin') !== `http://${c.req.header('host')}`) {
    return c.json({ error: 'requests of other sites are refused' }, 403)
  }
  const isJson = /^application\/json(;|$)/.test(c.req.header('content-type') ?? '')
  if (!isJson || c.req.header('content-encoding') !== undefined) return c.json({ error: 'expected JSON' }, 415)
  return limitBody(c, next)
}

export const addHeaders: MiddlewareHandler<App> = async (c, next) => {
  await next()
  for (const [name, value] of Object.entries(HEADERS)) {
    if (name !== 'cache-control' || !c.res.headers.has(name)) c.res.headers.set(name, value)
  }
}
