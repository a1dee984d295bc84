/** @file The ways in which the fake server fails. */
import type { ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import type { Asked, Reply } from './protocols.ts'

/** What playing a fault needs. */
export interface Scene {
  readonly response: ServerResponse
  readonly asked: Asked
  /** What would have been the reply. */
  readonly reply: Reply
  readonly hangMs: number
  /** Ends what is slow. */
  readonly signal: AbortSignal
}

interface FaultKind {
  /** Whether the model has worked before it went wrong. */
  readonly isCharged: boolean
  play(scene: Scene): void | Promise<void>
}

/** A status with an error body. */
function status(code: number, error: Record<string, string>, headers: Record<string, string> = {}): FaultKind {
  return {
    isCharged: code === 500 || code === 502,
    play: ({ response }) => {
      const body = JSON.stringify({
        type: 'error',
        error: { type: 'api_error', message: 'something went wrong', ...error },
      })
      response.writeHead(code, { 'content-type': 'application/json', ...headers }).end(body)
    },
  }
}

function limited(headers: Record<string, string>): FaultKind {
  return status(429, { type: 'rate_limit_error', message: 'Rate limit reached' }, headers)
}

/** The correct reply with some fields replaced. */
function altered(change: (scene: Scene) => Record<string, unknown>): FaultKind {
  return {
    isCharged: true,
    play: (scene) => {
      const body = JSON.stringify({ ...scene.reply.body, ...change(scene) })
      scene.response.writeHead(200, { 'content-type': 'application/json' }).end(body)
    },
  }
}

/** A 200 with a body that is none. */
function body(text: string, type = 'application/json'): FaultKind {
  return {
    isCharged: true,
    play: ({ response }) => {
      response.writeHead(200, { 'content-type': type }).end(text)
    },
  }
}

/** The reply with another reason for its end. */
function ended(openaiReason: string, anthropicReason: string): FaultKind {
  return altered(({ asked, reply }) => {
    if (asked.protocol === 'anthropic') return { stop_reason: anthropicReason }
    const { choices } = reply.body
    return { choices: Array.isArray(choices) ? [{ ...choices[0], finish_reason: openaiReason }] : [] }
  })
}

/** Writes bytes to the socket, past node's own framing, and ends it: by FIN or by reset. */
function raw(write: (scene: Scene, text: string) => string | Buffer, end: 'fin' | 'reset'): FaultKind {
  return {
    isCharged: true,
    play: (scene) => {
      const { socket } = scene.response
      if (socket === null) return
      socket.write(write(scene, JSON.stringify(scene.reply.body)), () => {
        if (end === 'fin') socket.end()
        else socket.resetAndDestroy()
      })
    },
  }
}

const OK_HEAD = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n'

/** A body without a length: it ends where the connection ends. @param share Of its bytes that are sent. */
export function openEnded(text: string, byteCount: number): Buffer {
  return Buffer.concat([Buffer.from(`${OK_HEAD}Connection: close\r\n\r\n`), Buffer.from(text).subarray(0, byteCount)])
}

function half(text: string): string {
  return text.slice(0, text.length / 2)
}

const LARGE_BYTES = 16 << 20

/** 1 GiB of zeros in 1 MiB: a gzip file may hold many members. */
const BOMB = Buffer.concat(Array<Buffer>(1024).fill(gzipSync(Buffer.alloc(1 << 20))))

const kinds = {
  '429-seconds': limited({ 'retry-after': '1' }),
  '429-zero': limited({ 'retry-after': '0' }),
  '429-ms': limited({ 'retry-after-ms': '20' }),
  '429-date': {
    isCharged: false,
    play: (scene: Scene) => limited({ 'retry-after': new Date(Date.now() + 1000).toUTCString() }).play(scene),
  },
  '429-negative': limited({ 'retry-after': '-5' }),
  '429-huge': limited({ 'retry-after': '3000000' }),
  '429-garbage': limited({ 'retry-after': 'soon' }),
  '429-silent': limited({}),
  '429-quota': status(429, {
    type: 'insufficient_quota',
    code: 'insufficient_quota',
    message: 'You exceeded your quota',
  }),
  500: status(500, {}),
  502: status(502, {}),
  503: status(503, {}, { 'retry-after-ms': '10' }),
  529: status(529, { type: 'overloaded_error', message: 'Overloaded' }),
  400: status(400, { type: 'invalid_request_error', message: 'messages: roles must alternate' }),
  401: status(401, { type: 'authentication_error', message: 'invalid key' }),
  402: status(402, { message: 'Payment required' }),
  403: status(403, { type: 'permission_error', message: 'not for you' }),
  404: status(404, { type: 'not_found_error', message: 'no such model' }),
  422: status(422, { message: 'unprocessable' }),
  'reset-before-headers': raw(() => '', 'reset'),
  'reset-mid-header': raw(() => 'HTTP/1.1 200 OK\r\nContent-Ty', 'reset'),
  'reset-mid-body': raw(
    (_, text) => `${OK_HEAD}Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${half(text)}`,
    'reset',
  ),
  'fin-mid-body': raw((_, text) => `${OK_HEAD}Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${half(text)}`, 'fin'),
  'fin-open-ended': raw((_, text) => openEnded(text, Buffer.byteLength(text) >> 1), 'fin'),
  'fin-mid-chunk': raw(
    (_, text) => `${OK_HEAD}Transfer-Encoding: chunked\r\n\r\n${text.length.toString(16)}\r\n${half(text)}`,
    'fin',
  ),
  'fin-mid-gzip': raw((_, text) => {
    const packed = gzipSync(text)
    const head = Buffer.from(`${OK_HEAD}Content-Encoding: gzip\r\nConnection: close\r\n\r\n`)
    return Buffer.concat([head, packed.subarray(0, packed.length - 20)])
  }, 'fin'),
  hang: {
    isCharged: true,
    play: async ({ response, hangMs, signal }: Scene) => {
      await sleep(hangMs, undefined, { signal }).catch(() => {})
      response.destroy()
    },
  },
  'slow-bytes': {
    isCharged: true,
    play: async ({ response, reply, hangMs, signal }: Scene) => {
      const text = JSON.stringify(reply.body)
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) })
      for (const byte of Buffer.from(text)) {
        if (response.destroyed) return
        response.write(Buffer.of(byte))
        await sleep(Math.max(1, hangMs / text.length), undefined, { signal }).catch(() => {})
      }
      response.end()
    },
  },
  html: body('<!DOCTYPE html><html><body>Please log in</body></html>', 'text/html'),
  'empty-object': body('{}'),
  empty: body(''),
  'not-utf8': {
    isCharged: true,
    play: ({ response }: Scene) => {
      response.writeHead(200, { 'content-type': 'application/json' }).end(Buffer.from('{"a":"\u00ff"}', 'latin1'))
    },
  },
  'wrong-model': altered(({ asked }) => ({
    model: asked.protocol === 'openai' ? 'gpt-3.5-turbo-0125' : 'claude-3-haiku',
  })),
  'missing-usage': altered(() => ({ usage: undefined })),
  length: ended('length', 'max_tokens'),
  'content-filter': ended('content_filter', 'refusal'),
  'no-reason': ended('', ''),
  oversized: {
    isCharged: true,
    play: ({ response }: Scene) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      response.on('error', () => {}).end(Buffer.alloc(LARGE_BYTES, ' '))
    },
  },
  'gzip-bomb': {
    isCharged: true,
    play: ({ response }: Scene) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' })
      response.on('error', () => {}).end(BOMB)
    },
  },
  redirect: {
    isCharged: false,
    play: ({ response }: Scene) => {
      response.writeHead(307, { location: 'http://localhost:9/v1/chat/completions' }).end()
    },
  },
} satisfies Record<string, FaultKind>

export type Fault = `${keyof typeof kinds}`

export const FAULTS: { readonly [F in Fault]: FaultKind } = kinds

export async function playFault(fault: Fault, scene: Scene): Promise<void> {
  await FAULTS[fault].play(scene)
}
