/** @file A batch API from what is particular to a vendor. */
import { z } from 'zod'
import { UserError } from '../../base/errors.ts'
import type { BatchAnswer, Batches, BatchStatus, LostJob } from '../batch.ts'
import { ChatError, type ChatErrorFacts, type ChatReply, type ChatRequest, type RequestShape } from '../chat.ts'
import type { Accepted, Dialect } from './dialect.ts'
import { type Server, sendOnce } from './http.ts'
import { HttpError, type Speaker } from './http-error.ts'
import { resultLines } from './result-lines.ts'

/** A job as a vendor's reply says it. */
export interface VendorJob extends BatchStatus {
  /** Null where the vendor takes no notes. */
  readonly token: string | null
  readonly createdMs: number
}

export interface BatchVendor<Client> {
  readonly maxRequests: number
  readonly maxBytes: number
  /** One request of a job. */
  line(key: string, body: unknown): unknown
  /** Brings the requests of a job. Costs nothing. */
  upload(client: Client, lines: readonly string[], signal: AbortSignal): Promise<unknown>
  /** Of what it gives: what `create` takes. */
  readonly uploaded: z.ZodType<string>
  create(client: Client, asked: { uploaded: string; token: string; signal: AbortSignal }): Promise<unknown>
  retrieve(client: Client, batch: string, signal: AbortSignal): Promise<unknown>
  /** A page of jobs, newest first. */
  list(client: Client, after: string | undefined, signal: AbortSignal): Promise<unknown>
  /** Of what the three above give. */
  job(speaker: Speaker): z.ZodType<VendorJob>
  /** Of a line of results. */
  result(speaker: Speaker): z.ZodType<{ readonly key: string; readonly answer: BatchAnswer }>
  /** For the files of results. */
  readonly headers: Readonly<Record<string, string>>
}

/** A model's side: how it writes requests and reads replies. */
export interface BatchSpeech<Client> {
  readonly server: Server
  connect(): Promise<Client>
  readonly dialect: Dialect
  params(request: ChatRequest, sent: Accepted): unknown
  /** @throws ChatError */
  read(body: unknown, sent: Accepted, request: RequestShape): ChatReply
}

/** For what carries a whole job. */
const JOB_TIMEOUT_MS = 1_800_000
const MOST_PAGES = 20
/** How far the vendor's clock may be from ours. */
const CLOCK_SKEW_MS = 600_000
const SPARE_LINES = 1000

export function batchesOf<Client>(speech: BatchSpeech<Client>, vendor: BatchVendor<Client>): Batches {
  const { server, connect, dialect } = speech
  const jobSchema = vendor.job(server)
  const resultSchema = vendor.result(server)
  const send = async <T>(
    signal: AbortSignal,
    call: (client: Client, callSignal: AbortSignal) => Promise<T>,
    timeoutMs = server.timeoutMs,
  ): Promise<T> => {
    const client = await connect()
    return sendOnce({ ...server, timeoutMs }, signal, (callSignal) => call(client, callSignal))
  }
  const readJob = (reply: unknown): VendorJob => fitting(server, jobSchema, reply)
  return {
    maxRequests: vendor.maxRequests,
    maxBytes: vendor.maxBytes,
    accepted: (noted) => (noted === undefined || isSame(noted, dialect.current) ? dialect.current : noted),
    write: (key, request, sent) => JSON.stringify(vendor.line(key, speech.params(request, sent))),
    prepare: async (lines, token, signal) => {
      const upload = (client: Client, own: AbortSignal) => vendor.upload(client, lines, own)
      const sent = await send(signal, upload, JOB_TIMEOUT_MS).catch((error: unknown) => missing(server, error))
      const uploaded = fitting(server, vendor.uploaded, sent)
      return async () => {
        const never = new AbortController().signal
        const create = (client: Client, own: AbortSignal) => vendor.create(client, { uploaded, token, signal: own })
        const reply = await send(never, create, JOB_TIMEOUT_MS).catch((error: unknown) => missing(server, error))
        return readJob(reply).batch
      }
    },
    status: async (batch, signal) => readJob(await send(signal, (client, own) => vendor.retrieve(client, batch, own))),
    results: async function* ({ files }, requests, signal) {
      const maxLines = 2 * requests + SPARE_LINES
      for (const file of files) {
        for await (const line of resultLines(server, file, { headers: vendor.headers, maxLines, signal })) {
          const result = resultSchema.safeParse(line)
          if (result.success) yield result.data
        }
      }
    },
    search: async (lost, signal) => {
      const found: { batch: string; isCertain: boolean }[] = []
      let after: string | undefined
      for (let pages = 0; pages < MOST_PAGES; pages++) {
        const page = fitting(server, pageSchema, await send(signal, (client, own) => vendor.list(client, after, own)))
        const jobs = page.data.flatMap((one) => jobSchema.safeParse(one).data ?? []) // others' jobs may be of any kind
        for (const job of jobs) if (mayBe(job, lost)) found.push({ batch: job.batch, isCertain: job.token !== null })
        after = jobs.at(-1)?.batch
        const isOver = jobs.every(({ createdMs }) => createdMs < lost.time.getTime() - CLOCK_SKEW_MS)
        if (isOver || !page.has_more) break
      }
      return found
    },
    read: (answer, sent, shape) => {
      try {
        if (answer instanceof ChatError) throw answer
        return speech.read(answer.body, sent, shape)
      } catch (error) {
        if (!(error instanceof ChatError)) throw error
        return dialect.learn(error, sent, shape)
      }
    },
  }
}

const pageSchema = z.object({ data: z.array(z.unknown()), has_more: z.boolean() })

function mayBe({ token, requests, createdMs }: VendorJob, lost: LostJob): boolean {
  if (token !== null) return token === lost.token
  return requests === lost.requests && createdMs >= lost.time.getTime() - CLOCK_SKEW_MS
}

function isSame(a: Accepted, b: Accepted): boolean {
  return a.form === b.form && a.without.size === b.without.size && [...a.without].every((name) => b.without.has(name))
}

function fitting<T>(speaker: Speaker, schema: z.ZodType<T>, reply: unknown): T {
  const parsed = schema.safeParse(reply)
  if (parsed.success) return parsed.data
  const facts: ChatErrorFacts = { kind: 'malformed-reply', isTransient: true, maybePaid: true }
  const [issue] = parsed.error.issues
  throw new ChatError(`${speaker.name}: the batch API's reply has no fitting '${issue.path.join('.')}'`, facts)
}

/** A server without the routes. */
function missing({ name }: Speaker, error: unknown): never {
  if (!(error instanceof HttpError) || ![404, 405, 501].includes(error.status)) throw error
  const cause = new UserError(`${error.message}: ${name} has no batch API here, leave --batch_api out`)
  throw new ChatError(cause.message, error.facts, { cause })
}

/** A name that can stand in an address. */
export const vendorName = z.string().regex(/^[\w-]{1,200}$/)

/** A count in a report of progress. */
export const progressCount = z.number().int().nonnegative().catch(0)

export function batchFailure(speaker: Speaker, problem: string, facts: ChatErrorFacts): ChatError {
  return new ChatError(`${speaker.name}: ${problem}`, facts)
}
