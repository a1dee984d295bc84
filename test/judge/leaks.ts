/** @file A server that echoes the key it was sent wherever a reply or an error can hold text, and where it finds keys in bytes. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { seeQuestion } from './answers.ts'
import { type Asked, correctReply, parseAsked } from './protocols.ts'

/** The forms in which a key may stand in a file. */
export function formsOfKey(key: string): string[] {
  const bytes = Buffer.from(key)
  const hex = bytes.toString('hex')
  const backwards = [...key].reverse().join('')
  // In base64 what stands before the key shifts it by 0, 1 or 2 bytes; the outer characters depend on their neighbours.
  const shifted = ['', 'x', 'xy'].map((before) => Buffer.from(`${before}${key}`).toString('base64').slice(4, -4))
  const urls = shifted.map((form) => form.replaceAll('+', '-').replaceAll('/', '_'))
  const escaped = [encodeURIComponent(key), JSON.stringify(key).slice(1, -1), key.replaceAll('/', '\\/')]
  return [
    key,
    backwards,
    hex,
    hex.toUpperCase(),
    Buffer.from(backwards).toString('hex'),
    ...shifted,
    ...urls,
    ...escaped,
  ]
}

const LEAK = 12

/** Parts of 12 characters and more of a key that stand in a text in some form, also over line ends. */
export function findLeaks(text: string, key: string): string[] {
  const parts = new Set<string>()
  for (const form of formsOfKey(key)) {
    for (let at = 0; at + LEAK <= form.length; at++) parts.add(form.slice(at, at + LEAK))
  }
  const found = new Set<string>()
  for (const view of [text, text.replace(/\s|\\[nrt]/g, '')]) {
    for (let at = 0; at + LEAK <= view.length; at++) {
      const part = view.slice(at, at + LEAK)
      if (parts.has(part)) found.add(part)
    }
  }
  return [...found]
}

interface Echo {
  readonly key: string
  readonly asked: Asked
  readonly request: IncomingMessage
  readonly response: ServerResponse
}

function sendBody(response: ServerResponse, status: number, body: string, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body)
}

function refuse(status: number, error: (echo: Echo) => unknown, headers?: (echo: Echo) => Record<string, string>) {
  return (echo: Echo): void => sendBody(echo.response, status, JSON.stringify(error(echo)), headers?.(echo))
}

/** A whole reply that holds a verdict, or Yes, and what `say` makes of the key. `change`: other fields of either. */
function reply(
  say: (key: string) => string,
  change: { readonly [At in 'body' | 'verdict']?: (key: string) => object } = {},
) {
  return ({ key, asked, response }: Echo): void => {
    const verdict = { mark: seeQuestion(asked).mark, reason: say(key), label: 'correct', ...change.verdict?.(key) }
    const { body } = correctReply(asked, asked.schema === null ? `Yes ${say(key)}` : JSON.stringify(verdict), false)
    sendBody(response, 200, JSON.stringify({ ...body, ...change.body?.(key) }))
  }
}

/** How the key comes back. */
export const ECHOES: Readonly<Record<string, (echo: Echo) => void>> = {
  '401 with the key': refuse(401, ({ key }) => ({
    error: { message: `Incorrect API key provided: ${key}.`, code: key, type: key },
  })),
  '401 with the header': refuse(
    401,
    ({ request }) => ({ error: { message: `Your headers: ${JSON.stringify(request.headers)}` } }),
    ({ key }) => ({ 'www-authenticate': `Bearer realm="${key}"`, 'set-cookie': `key=${encodeURIComponent(key)}` }),
  ),
  '403 with the start of the key': refuse(403, ({ key }) => ({ error: `no access for ${key.slice(0, 30)}…` })),
  '403 over lines': refuse(403, ({ key }) => ({
    error: { message: `key:\n  ${key.slice(0, 20)}\n  ${key.slice(20)}` },
  })),
  '400 that names a parameter': refuse(400, ({ key }) => ({
    error: { message: `unknown ${key}`, param: key, code: null },
  })),
  '404 backwards': refuse(404, ({ key }) => ({ message: `none for ${[...key].reverse().join('')}` })),
  '422 in a list': refuse(422, ({ key }) => [{ error: { message: Buffer.from(key).toString('base64'), type: 'x' } }]),
  '402 in hex': refuse(402, ({ key }) => ({ error: { message: Buffer.from(key).toString('hex') } })),
  '429 in a long text': refuse(
    429,
    ({ key }) => ({ error: { message: `${'slow down '.repeat(29)} ${key} ${key}` } }),
    () => ({ 'retry-after': '5000' }),
  ),
  '307 with the key in the address': ({ key, request, response }) => {
    const to = `http://${request.headers.host?.replace('127.0.0.1', 'localhost')}/stolen?key=${encodeURIComponent(key)}`
    response.writeHead(307, { location: to }).end(key)
  },
  '400 as HTML': ({ key, response }) => sendBody(response, 400, `<html>${key}</html>`, { 'content-type': 'text/html' }),
  'HTML instead of a reply': ({ key, response }) => sendBody(response, 200, `<html>${key}</html>`),
  'a cut reply': ({ key, response }) => sendBody(response, 200, `{"id":"${key}","model":"${key}`),
  'no reply of a chat model': ({ key, response }) =>
    sendBody(response, 200, JSON.stringify({ [key]: key, model: key })),
  'a verdict with the key': reply((key) => `I was asked with ${key}`),
  'a verdict in base64': reply((key) => `see ${Buffer.from(`Authorization: Bearer ${key}`).toString('base64')}`),
  'a verdict in base64url': reply((key) => `see ${Buffer.from(`x${key}`).toString('base64url')}`),
  'a verdict in hex': reply((key) => Buffer.from(key).toString('hex').toUpperCase()),
  'a verdict backwards': reply((key) => [...key].reverse().join('')),
  'a verdict with a part': reply((key) => `it ends with ${key.slice(-25)}`),
  'a verdict over lines': reply((key) => `${key.slice(0, 25)}\n\n${key.slice(25)}`),
  'another model': reply(() => '', { body: (key) => ({ model: key }) }),
  'an unreadable verdict': reply(() => '', { verdict: (key) => ({ [key]: key }) }),
}

export interface LeakyServer {
  readonly url: string
  /** How often each echo was played. */
  readonly played: ReadonlyMap<string, number>
  /** Requests that followed the redirect. */
  stolen(): number
  close(): Promise<void>
}

/** Plays the echoes in turn. */
export async function startLeakyServer(): Promise<LeakyServer> {
  const names = Object.keys(ECHOES)
  const played = new Map<string, number>()
  let [count, stolen] = [0, 0]
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const body = Buffer.concat(chunks).toString('utf8')
    const asked = parseAsked(request.url ?? '', body === '' ? {} : JSON.parse(body))
    if (asked === undefined) {
      stolen++
      return sendBody(response, 404, '{}')
    }
    const header = request.headers['x-api-key'] ?? request.headers.authorization?.replace('Bearer ', '')
    const name = names[count++ % names.length]
    played.set(name, (played.get(name) ?? 0) + 1)
    ECHOES[name]({ key: String(header), asked, request, response })
  }
  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => response.destroy(new Error('a bug', { cause: error })))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  return {
    url: `http://127.0.0.1:${address.port}`,
    played,
    stolen: () => stolen,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
