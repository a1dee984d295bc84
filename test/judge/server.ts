/**
 * @file A server that speaks the protocols of OpenAI and Anthropic, answers as a pure function of what it is asked, and
 * fails as it is told. In a process of its own: `tsx test/judge/server.ts '{"seed": 1, "faultShare": 0.3}'` prints its
 * address on a line and runs until its input ends.
 */
import { setMaxListeners } from 'node:events'
import { appendFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { z } from 'zod'
import { sha256 } from '../../src/base/hash.ts'
import { random } from '../../src/base/random.ts'
import { FAULTS, type Fault, playFault } from './faults.ts'
import { type Asked, correctReply, type Feature, fillSchema, parseAsked, refusalOf } from './protocols.ts'

/** What the server did with a request, noted before it answers. */
export interface Served {
  /** From 0, in the order in which requests came. */
  readonly index: number
  /** Names what was asked: equal requests have equal hashes, whatever form the reply was asked in. */
  readonly question: string
  /** How often this question came before. */
  readonly attempt: number
  readonly fault: Fault | 'refusal' | null
  readonly model: string
  readonly promptTokens: number
  readonly completionTokens: number
  /** Whether a provider would charge for it: the model has worked, also where the reply was lost. */
  readonly isCharged: boolean
}

export interface ServerOptions {
  /** Of the address; any free one without it. */
  readonly port?: number
  readonly seed?: number
  /** How many attempts fail, drawn from the seed for each question and attempt: not from the order of arrival. */
  readonly faultShare?: number
  /** From which the plan draws. */
  readonly faults?: readonly Fault[]
  /** Attempts from this one on are answered. */
  readonly maxFaults?: number
  /** What its models do not know. */
  readonly refuses?: readonly Feature[]
  /** Takes no notice of what a reply must look like. */
  readonly ignoresSchema?: boolean
  /** Requests without it are answered by 401. */
  readonly key?: string
  readonly latencyMs?: number
  /** How long a hanging request stays open. */
  readonly hangMs?: number
  /** Gets a line of JSON for each request. */
  readonly logFile?: string
}

/** In this process the text of replies can be given, too. */
export interface LocalOptions extends ServerOptions {
  readonly answer?: (asked: Asked) => string
}

export interface FakeServer {
  /** Without a path. */
  readonly url: string
  readonly served: readonly Served[]
  /** The headers and bodies of all requests, as they came. */
  readonly received: readonly { readonly headers: IncomingMessage['headers']; readonly body: unknown }[]
  /** The next requests meet these, in order; `null` is a correct reply. */
  script(faults: readonly (Fault | null)[]): void
  close(): Promise<void>
}

/** Its routes: `/v1/chat/completions`, `/v1/completions`, `/v1/messages`, `GET /log` (what was served), `POST /script` (a list of faults). */
export async function startServer(options: LocalOptions = {}): Promise<FakeServer> {
  const served: Served[] = []
  const received: { headers: IncomingMessage['headers']; body: unknown }[] = []
  const scripted: (Fault | null)[] = []
  const attempts = new Map<string, number>()
  const closing = new AbortController()
  setMaxListeners(0, closing.signal)

  function note(entry: Omit<Served, 'index'>): void {
    const line = { index: served.length, ...entry }
    served.push(line)
    if (options.logFile !== undefined) appendFileSync(options.logFile, `${JSON.stringify(line)}\n`)
  }

  async function answer(asked: Asked, response: ServerResponse): Promise<void> {
    const question = sha256(JSON.stringify([asked.model, asked.question, asked.sampling]))
    const attempt = attempts.get(question) ?? 0
    attempts.set(question, attempt + 1)
    if (options.latencyMs !== undefined) await sleep(options.latencyMs)
    const common = { question, attempt, model: asked.model, promptTokens: asked.promptTokens }
    const refusal = refusalOf(asked, options.refuses ?? [])
    if (refusal !== undefined) {
      note({ ...common, fault: 'refusal', completionTokens: 0, isCharged: false })
      return sendJson(response, 400, refusal)
    }
    const fault = scripted.length > 0 ? (scripted.shift() ?? null) : plannedFault(options, question, attempt)
    const text = (options.answer ?? defaultAnswer)(asked)
    const reply = correctReply(asked, text, options.ignoresSchema === true)
    const isCharged = fault === null || FAULTS[fault].isCharged
    note({ ...common, fault, completionTokens: isCharged ? reply.completionTokens : 0, isCharged })
    if (fault === null) return sendJson(response, 200, reply.body)
    await playFault(fault, { response, asked, reply, hangMs: options.hangMs ?? 60_000, signal: closing.signal })
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? ''
    if (path === '/log') return sendJson(response, 200, served)
    const body: unknown = JSON.parse(await readText(request))
    if (path === '/script') {
      scripted.push(...faultList.parse(body))
      return sendJson(response, 200, {})
    }
    received.push({ headers: request.headers, body })
    const sentKey = request.headers['x-api-key'] ?? request.headers.authorization?.replace('Bearer ', '')
    if (options.key !== undefined && sentKey !== options.key) {
      const message = `Incorrect API key provided: ${sentKey}. Your header was: ${request.headers.authorization}`
      return sendJson(response, 401, { error: { message, type: 'invalid_request_error', code: 'invalid_api_key' } })
    }
    const asked = parseAsked(path, body)
    if (asked === undefined) return sendJson(response, 404, { error: { message: `no such route: ${path}` } })
    await answer(asked, response)
  }

  const server = createServer((request, response) => {
    handle(request, response).catch((error: unknown) => {
      if (!response.headersSent) sendJson(response, 500, { error: { message: String(error) } })
      else response.destroy()
    })
  })
  await new Promise<void>((resolve) => {
    server.listen(options.port ?? 0, '127.0.0.1', resolve)
  })
  return {
    url: `http://127.0.0.1:${portOf(server.address())}`,
    served,
    received,
    script: (faults) => {
      scripted.push(...faults)
    },
    close: () =>
      new Promise((resolve) => {
        closing.abort()
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

const faultName = z.custom<Fault>((value) => typeof value === 'string' && Object.hasOwn(FAULTS, value))
const faultList = z.array(faultName.nullable())

function plannedFault(options: ServerOptions, question: string, attempt: number): Fault | null {
  const { seed = 0, faultShare = 0, faults = ALL_FAULTS, maxFaults = Number.POSITIVE_INFINITY } = options
  const draws = random(seed, question, attempt)
  if (attempt >= maxFaults || draws.uniform() >= faultShare) return null
  return faults[draws.below(faults.length)]
}

export const ALL_FAULTS = Object.keys(FAULTS).filter((name): name is Fault => Object.hasOwn(FAULTS, name))

/** Something that fits the schema, drawn from what was asked. */
function defaultAnswer(asked: Asked): string {
  const draws = random(0, asked.model, asked.question, asked.sampling)
  return asked.schema === null ? `The answer is ${draws.below(1000)}.` : JSON.stringify(fillSchema(asked.schema, draws))
}

async function readText(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  return Buffer.concat(chunks).toString('utf8')
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

function portOf(address: AddressInfo | string | null): number {
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  return address.port
}

const optionsSchema: z.ZodType<ServerOptions> = z.strictObject({
  port: z.number().optional(),
  seed: z.number().optional(),
  faultShare: z.number().optional(),
  faults: z.array(faultName).optional(),
  maxFaults: z.number().optional(),
  refuses: z.array(z.enum(['json_schema', 'tools', 'logprobs', 'max_tokens', 'temperature', 'seed'])).optional(),
  ignoresSchema: z.boolean().optional(),
  key: z.string().optional(),
  latencyMs: z.number().optional(),
  hangMs: z.number().optional(),
  logFile: z.string().optional(),
})

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const server = await startServer(optionsSchema.parse(JSON.parse(process.argv[2] ?? '{}')))
  process.stdout.write(`${server.url}\n`)
  process.stdin.resume().on('end', () => void server.close())
}
