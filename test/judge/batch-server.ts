/**
 * @file A server with the batch APIs of OpenAI and Anthropic, which answers as a pure function of what it is asked, and
 * counts what it would charge for.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { z } from 'zod'
import { random } from '../../src/base/random.ts'
import { type Asked, correctReply, type Feature, fillSchema, parseAsked, refusalOf } from './protocols.ts'

/** What becomes of a request of a job. */
export type Fate = 'answered' | 'expired' | 'cancelled' | 'server-error' | 'absent'

export interface BatchServerOptions {
  readonly key?: string
  readonly refuses?: readonly Feature[]
  /** Knows no route. */
  readonly isBare?: boolean
  /** How often a job is looked at before it has ended. */
  readonly polls?: number
  readonly answer?: (asked: Asked) => string
  readonly fate?: (asked: Asked, attempt: number) => Fate
  /** The most requests of a job: larger ones fail as over the limit of tokens. */
  readonly room?: number
  /** Called with `POST /v1/batches` and the like: before a request is handled, and before it is answered. */
  readonly at?: (route: string, moment: 'before' | 'after') => Promise<void> | void
  /** Answers otherwise than it would: null ends the connection. */
  readonly tamper?: (route: string, body: string) => string | null
}

interface Job {
  readonly id: string
  readonly metadata: unknown
  readonly lines: readonly Line[]
  readonly created: number
  polls: number
  readonly isRefused: boolean
  readonly files: Map<string, string>
}

export interface BatchServer {
  readonly url: string
  /** Names of questions, each time that a model worked on them. */
  readonly charged: string[]
  readonly routes: string[]
  /** Newest first. */
  readonly jobs: Job[]
  readonly received: readonly { readonly headers: IncomingMessage['headers']; readonly body: string }[]
  /** Of all that was answered. */
  tokens(): { prompt: number; completion: number }
  close(): Promise<void>
}

const openaiLine = z.object({ custom_id: z.string(), method: z.literal('POST'), url: z.string(), body: z.unknown() })
const anthropicLine = z.object({ custom_id: z.string().regex(/^[\w-]{1,64}$/), params: z.unknown() })
type Line = { readonly id: string; readonly path: string; readonly body: unknown }

const createBody = z.strictObject({
  input_file_id: z.string(),
  endpoint: z.literal('/v1/chat/completions'),
  completion_window: z.literal('24h'),
  metadata: z.record(z.string(), z.string().max(512)),
})

export async function startBatchServer(options: BatchServerOptions = {}): Promise<BatchServer> {
  const { polls = 1, fate = () => 'answered', answer = defaultAnswer, refuses = [], room = 50_000 } = options
  const files = new Map<string, string>()
  const jobs: Job[] = []
  const charged: string[] = []
  const routes: string[] = []
  const received: { headers: IncomingMessage['headers']; body: string }[] = []
  const attempts = new Map<string, number>()
  const tokens = { prompt: 0, completion: 0 }

  /** The result of one request in the form of its vendor, and whether it is an error. */
  function work({ id, path, body }: Line): { line: unknown; isError: boolean } | undefined {
    const asked = parseAsked(path, body)
    if (asked === undefined) throw new Error(`no such route: ${path}`)
    const isOpenai = asked.protocol === 'openai'
    const question = JSON.stringify([asked.model, asked.question, asked.sampling])
    const attempt = attempts.get(question) ?? 0
    attempts.set(question, attempt + 1)
    const response = (status: number, of: unknown) => ({
      id: 'batch_req_1',
      custom_id: id,
      response: { status_code: status, request_id: 'r', body: of },
      error: null,
    })
    const failed = (code: string) => ({
      id: 'batch_req_1',
      custom_id: id,
      response: null,
      error: { code, message: `This request could not be executed: ${code}` },
    })
    const of = (result: unknown) => ({ custom_id: id, result })
    const refusal = refusalOf(asked, refuses)
    if (refusal !== undefined) {
      return { line: isOpenai ? response(400, refusal) : of({ type: 'errored', error: refusal }), isError: true }
    }
    const end = fate(asked, attempt)
    if (end === 'absent') return undefined
    if (end === 'expired' || end === 'cancelled') {
      const type = end === 'expired' ? 'expired' : 'canceled'
      return { line: isOpenai ? failed(`batch_${end}`) : of({ type }), isError: true }
    }
    charged.push(question)
    if (end === 'server-error') {
      const error = { type: isOpenai ? 'server_error' : 'api_error', message: 'Internal server error' }
      return {
        line: isOpenai ? response(500, { error }) : of({ type: 'errored', error: { type: 'error', error } }),
        isError: true,
      }
    }
    const reply = correctReply(asked, answer(asked), false)
    tokens.prompt += asked.promptTokens
    tokens.completion += reply.completionTokens
    return {
      line: isOpenai ? response(200, reply.body) : of({ type: 'succeeded', message: reply.body }),
      isError: false,
    }
  }

  function makeJob(lines: readonly Line[], metadata: unknown, isOpenai: boolean): Job {
    const id = `${isOpenai ? 'batch' : 'msgbatch'}_${jobs.length}`
    const isRefused = lines.length > room
    const results = isRefused ? [] : lines.flatMap((line) => work(line) ?? []).reverse()
    const textOf = (some: typeof results): string => some.map(({ line }) => `${JSON.stringify(line)}\n`).join('')
    const texts = isOpenai
      ? [textOf(results.filter(({ isError }) => !isError)), textOf(results.filter(({ isError }) => isError))]
      : [textOf(results)]
    const own = new Map(texts.map((text, at) => [isOpenai ? `file-${id}-${at}` : id, text]))
    for (const [name, text] of own) files.set(name, text)
    const job = { id, metadata, lines, created: Date.now(), polls: 0, isRefused, files: own }
    jobs.unshift(job)
    return job
  }

  function showJob(job: Job): unknown {
    const isEnded = job.polls > polls
    const total = job.lines.length
    if (!job.id.startsWith('batch_')) {
      const counts = { succeeded: isEnded ? total : 0, errored: 0, canceled: 0, expired: 0 }
      return {
        id: job.id,
        type: 'message_batch',
        processing_status: isEnded ? 'ended' : 'in_progress',
        created_at: new Date(job.created).toISOString(),
        request_counts: { processing: isEnded ? 0 : total, ...counts },
        results_url: isEnded ? `https://evil.example/${job.id}` : null,
      }
    }
    const [output, errors] = [...job.files].map(([name, text]) => (text === '' ? null : name))
    const message = 'Enqueued token limit reached for gpt-4o in organization org-x.'
    return {
      id: job.id,
      object: 'batch',
      status: isEnded ? (job.isRefused ? 'failed' : 'completed') : 'in_progress',
      created_at: Math.floor(job.created / 1000),
      output_file_id: isEnded ? output : null,
      error_file_id: isEnded ? errors : null,
      errors: job.isRefused ? { object: 'list', data: [{ code: 'token_limit_exceeded', message, line: null }] } : null,
      request_counts: { total, completed: isEnded ? total : Math.floor(total / 2), failed: 0 },
      metadata: job.metadata,
    }
  }

  /** The JSON of a reply, or a file of lines. */
  async function handle(route: string, request: IncomingMessage, body: string): Promise<unknown> {
    const id = /(?:batches|files)\/([\w-]+)/.exec(route)?.[1] ?? ''
    const job = jobs.find((one) => one.id === id)
    if (route === 'POST /v1/files') {
      const form = await new Response(body, {
        headers: { 'content-type': request.headers['content-type'] ?? '' },
      }).formData()
      const file = form.get('file')
      if (form.get('purpose') !== 'batch' || !(file instanceof File)) throw new Error('no file')
      files.set(`file-${files.size}`, await file.text())
      return { id: `file-${files.size - 1}`, object: 'file', purpose: 'batch' }
    }
    if (route === 'POST /v1/batches') {
      const { input_file_id, metadata } = createBody.parse(JSON.parse(body))
      const lines = (files.get(input_file_id) ?? '')
        .trimEnd()
        .split('\n')
        .map((line) => openaiLine.parse(JSON.parse(line)))
      return showJob(
        makeJob(
          lines.map(({ custom_id, url, body: of }) => ({ id: custom_id, path: url, body: of })),
          metadata,
          true,
        ),
      )
    }
    if (route === 'POST /v1/messages/batches') {
      const { requests } = z.object({ requests: z.array(anthropicLine) }).parse(JSON.parse(body))
      return showJob(
        makeJob(
          requests.map(({ custom_id, params }) => ({ id: custom_id, path: '/v1/messages', body: params })),
          null,
          false,
        ),
      )
    }
    if (route === 'GET /v1/batches' || route === 'GET /v1/messages/batches') {
      return { data: jobs.map(showJob), has_more: false }
    }
    if (job !== undefined && !route.endsWith('/results')) {
      job.polls++
      return showJob(job)
    }
    return files.get(id)
  }

  const server = createServer((request, response) => {
    const route = `${request.method} ${request.url?.replace(/\?.*/, '')}`
    answerTo(route, request, response).catch((error: unknown) => {
      if (!response.headersSent) send(response, 500, JSON.stringify({ error: { message: String(error) } }))
    })
  })
  async function answerTo(route: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const body = Buffer.concat(chunks).toString('utf8')
    received.push({ headers: request.headers, body })
    const general = route.replace(/((?:batches|files)\/)[\w-]+/, '$1ID')
    routes.push(general)
    const key = request.headers['x-api-key'] ?? request.headers.authorization?.replace('Bearer ', '')
    if (options.key !== undefined && key !== options.key) return send(response, 401, '{"error":{"message":"bad key"}}')
    await options.at?.(general, 'before')
    const result = await handle(route, request, body)
    await options.at?.(general, 'after')
    if (result === undefined || options.isBare) return send(response, 404, '{"error":{"message":"Not Found"}}')
    const text = typeof result === 'string' ? result : JSON.stringify(result)
    const shown = options.tamper === undefined ? text : options.tamper(general, text)
    if (shown !== null) return send(response, 200, shown)
    response.writeHead(200, { 'content-length': text.length }).write(text.slice(0, text.length / 2))
    response.destroy()
  }
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  return {
    url: `http://127.0.0.1:${address.port}`,
    charged,
    routes,
    jobs,
    received,
    tokens: () => tokens,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function defaultAnswer(asked: Asked): string {
  const draws = random(0, asked.model, asked.question, asked.sampling)
  return asked.schema === null ? `The answer is ${draws.below(1000)}.` : JSON.stringify(fillSchema(asked.schema, draws))
}

function send(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(text)
}
