/** @file Where data come from: the server, or the files of a static copy. */
import { readStatic } from './static.ts'

/** The page is a static copy: nothing can be written, and nothing moves. */
export const isStatic = document.documentElement.hasAttribute('data-static')

/** The reply of a GET. Throws an Error with a sentence for people. */
export async function readJson<Reply>(path: string, signal: AbortSignal): Promise<Reply> {
  if (isStatic) return readStatic<Reply>(path)
  return receive<Reply>(() => fetch(path, { signal, headers: { accept: 'application/json' } }))
}

export async function sendJson<Reply>(path: string, body: unknown): Promise<Reply> {
  if (isStatic) throw new Error('This is a copy. Start `stepdpo view` to change something.')
  return receive<Reply>(() =>
    fetch(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  )
}

async function receive<Reply>(ask: () => Promise<Response>): Promise<Reply> {
  const response = await ask().catch((error: unknown) => {
    if (error instanceof DOMException && error.name === 'AbortError') throw error
    throw new Error('The server does not answer. Is `stepdpo view` still running?')
  })
  if (response.status === 401) throw new Error('Not logged in. Open the link that `stepdpo view` printed.')
  if (!response.ok) throw new Error(await reasonOf(response))
  const reply: Reply = await response.json()
  return reply
}

async function reasonOf(response: Response): Promise<string> {
  const reply: unknown = await response.json().catch(() => null)
  if (reply !== null && typeof reply === 'object' && 'error' in reply && typeof reply.error === 'string')
    return reply.error
  return `The server answered ${response.status}.`
}
