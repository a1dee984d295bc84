/** @file What an HTTP status says about a request: why it failed, whether to ask again and when, whether it was paid. */
import { z } from 'zod'
import { ChatError, type ChatErrorFacts } from '../chat.ts'
import { redact, type Secret } from '../secret.ts'

/** Whom error messages name, and what must not stand in them. */
export interface Speaker {
  /** The model's name. */
  readonly name: string
  readonly secrets: readonly Secret[]
}

export interface Complaint {
  readonly parameter: string | null
  readonly words: string
}

/** A status that tells of no success, with what the server complains of: the parameter that it names, its words. */
export class HttpError extends ChatError {
  readonly status: number
  readonly complaint: Complaint

  constructor(message: string, facts: ChatErrorFacts, status: number, complaint: Complaint) {
    super(message, facts)
    this.status = status
    this.complaint = complaint
  }
}

const LONGEST_QUOTE = 300

/** A server's words on one line, short, without keys and control characters. */
export function quote(text: string, secrets: readonly Secret[]): string {
  const line = redact(text, secrets)
    .replace(/[\s\p{Cc}]+/gu, ' ')
    .replace(/(https?:\/\/)[^/\s@]*@/gi, '$1')
    .trim()
  return line.length > LONGEST_QUOTE ? `${line.slice(0, LONGEST_QUOTE)}…` : line
}

const word = z.string().nullish().catch(null)
const details = z.object({ message: word, type: word, code: word, param: word })

/** Where a server says no more than a text. */
function onlyMessage(message: string): z.output<typeof details> {
  return { message, type: null, code: null, param: null }
}

/** OpenAI and Anthropic say `{error: {message, …}}`, vLLM also `{message, …}`, others `{error | detail: "…"}`, Gemini a list. */
const errorBody = z.union([
  z.object({ error: details }).transform(({ error }) => error),
  z.tuple([z.object({ error: details })]).transform(([{ error }]) => error),
  z.object({ error: z.string() }).transform(({ error }) => onlyMessage(error)),
  z.object({ detail: z.string() }).transform(({ detail }) => onlyMessage(detail)),
  details,
])

/** The error of a status that is not 200. Its body is quoted only where it is one of the known error objects. */
export function httpError(
  speaker: Speaker,
  response: Pick<Response, 'status' | 'headers'>,
  body: unknown,
  nowMs: number,
): HttpError {
  const parsed = errorBody.safeParse(body)
  const { message = null, type = null, code = null, param = null } = parsed.success ? parsed.data : {}
  const isQuota = [type, code].includes('insufficient_quota') || /credit balance is too low/i.test(message ?? '')
  const facts = isQuota ? TERMINAL('quota') : factsOf(response.status)
  const retryAfterMs = parseRetryAfter(response.headers, nowMs)
  const complaint = {
    parameter: param === null ? null : quote(param, speaker.secrets),
    words: quote(message ?? '', speaker.secrets),
  }
  return new HttpError(
    `${speaker.name}: HTTP ${response.status}${complaint.words === '' ? '' : `: ${complaint.words}`}`,
    retryAfterMs === undefined ? facts : { ...facts, retryAfterMs },
    response.status,
    complaint,
  )
}

const TERMINAL = (kind: ChatErrorFacts['kind']): ChatErrorFacts => ({ kind, isTransient: false, maybePaid: false })

/**
 * 503 and 529 are refused before the model works. After 500, 502 and 504 nobody knows: a gateway may have lost a reply
 * that was made.
 */
function factsOf(status: number): ChatErrorFacts {
  if (status === 401 || status === 403) return TERMINAL('unauthorized')
  if (status === 402) return TERMINAL('quota')
  if (status === 408) return { kind: 'timeout', isTransient: true, maybePaid: true }
  if (status === 429) return { kind: 'rate-limit', isTransient: true, maybePaid: false }
  if (status === 503 || status === 529) return { kind: 'server-error', isTransient: true, maybePaid: false }
  if (status >= 500) return { kind: 'server-error', isTransient: true, maybePaid: true }
  return TERMINAL('refused-request')
}

/** As RFC 9110 wants it: what `Date.parse` takes besides is garbage, and `-5` would be a year. */
const HTTP_DATE = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/

/**
 * How long the server asks to wait, in milliseconds: `retry-after-ms`, or `retry-after` in seconds or as a date, which
 * is read against the server's own clock where it tells it. Undefined for what is none of these.
 */
export function parseRetryAfter(headers: Headers, nowMs: number): number | undefined {
  const exact = parseAmount(headers.get('retry-after-ms'))
  if (exact !== undefined) return exact
  const wait = headers.get('retry-after')?.trim() ?? ''
  const seconds = parseAmount(wait)
  if (seconds !== undefined) return seconds * 1000
  const until = parseDate(wait)
  return until === undefined ? undefined : Math.max(0, until - (parseDate(headers.get('date') ?? '') ?? nowMs))
}

function parseAmount(text: string | null): number | undefined {
  return text !== null && /^\d{1,15}(?:\.\d{1,15})?$/.test(text.trim()) ? Number(text) : undefined
}

function parseDate(text: string): number | undefined {
  const time = HTTP_DATE.test(text) ? Date.parse(text) : Number.NaN
  return Number.isNaN(time) ? undefined : time
}
