/**
 * @file The port to a batch API: a job of many requests is answered within a day, for less. Knows no vendor. All but
 * making a job is free, and harmless to repeat.
 */
import type { ChatError, ChatReply, ChatRequest, RequestShape } from './chat.ts'
import type { Accepted } from './providers/dialect.ts'

export interface BatchStatus {
  /** What the vendor calls the job. */
  readonly batch: string
  readonly isEnded: boolean
  readonly requests: number
  readonly completed: number
  readonly failed: number
  /** What became of a request that has no result when the job has ended. */
  readonly absent: ChatError
  /** Where the results are, on the vendor's server. */
  readonly files: readonly string[]
}

/** The body of a reply, as a direct request would have got it, or why there is none. */
export type BatchAnswer = { readonly body: unknown } | ChatError

export interface BatchResult {
  readonly key: string
  readonly answer: BatchAnswer
}

/** A job that was noted before it was sent, and whose name was not. */
export interface LostJob {
  readonly token: string
  readonly requests: number
  /** When it was noted. */
  readonly time: Date
}

/** The batch API for one model. Its functions throw ChatErrors, caused by a UserError where the server has no such API. */
export interface Batches {
  /** The most of one job. */
  readonly maxRequests: number
  readonly maxBytes: number
  /** How the next requests are to be written. `noted`: how others were written, perhaps by another process. */
  accepted(noted?: Accepted): Accepted
  /** A request as a line of JSON; `key` comes back with its result. */
  write(key: string, request: ChatRequest, sent: Accepted): string
  /** Brings requests to the vendor. The result makes the job of them and gives its name: what costs, and cannot be stopped. */
  prepare(lines: readonly string[], token: string, signal: AbortSignal): Promise<() => Promise<string>>
  status(batch: string, signal: AbortSignal): Promise<BatchStatus>
  /** Results of a job of so many requests, in any order; what is no result is left out. */
  results(status: BatchStatus, requests: number, signal: AbortSignal): AsyncGenerator<BatchResult>
  /** Jobs that may be the lost one, newest first. `isCertain`: it carries the token; otherwise its results tell. */
  search(job: LostJob, signal: AbortSignal): Promise<readonly { batch: string; isCertain: boolean }[]>
  /** Reads an answer as a direct request's. */
  read(answer: BatchAnswer, sent: Accepted, shape: RequestShape): ChatReply | ChatError
}
