/**
 * @file What a server accepts of a request, learnt from what it refuses: structured replies by JSON schema, else by a
 * forced tool call, else as text; and without the parameters that it does not know.
 */
import { ChatError, type ChatReply, type ChatRequest, type RequestShape } from '../chat.ts'
import { type Complaint, HttpError } from './http-error.ts'

export type ReplyForm = ChatReply['form']

/** What some models refuse. `tokensName`: the usual name of the limit of tokens; without it, the other one. */
export const OPTIONAL = ['topP', 'temperature', 'seed', 'logprobs', 'tokensName'] as const
export type Optional = (typeof OPTIONAL)[number]

/** How the next request is to be written. */
export interface Accepted {
  readonly form: ReplyForm
  readonly without: ReadonlySet<Optional>
}

export interface Dialect {
  readonly current: Accepted
  /** Null until a reply came that tells. */
  readonly hasLogprobs: boolean | null
  /**
   * The error to throw for one that came. Where the server complained of something that the next request leaves out,
   * it is transient: asking again helps.
   */
  learn(error: ChatError, sent: Accepted, request: RequestShape): ChatError
  /** Takes a whole reply to account, and gives the form that it really has. */
  accept(
    reply: { readonly text: string; readonly hasLogprobs: boolean },
    sent: Accepted,
    request: RequestShape,
  ): ReplyForm
}

/** In this order: of `temperature and top_p cannot both be specified`, top_p goes first. */
const COMPLAINTS: readonly (readonly [Optional, RegExp])[] = [
  ['topP', /\btop_p\b/],
  ['temperature', /\btemperature\b/],
  ['seed', /\bseed\b/],
  ['logprobs', /logprobs\b/],
  ['tokensName', /\bmax_(?:completion_)?tokens\b/],
]

/** Not a value that is out of bounds: that is an error of the one who asks. */
const REFUSAL = new RegExp(
  [
    'unsupported|not support|no longer|removed|unrecogni[sz]ed|unknown|unexpected|deprecated|cannot|requires?|only',
    'not (?:be )?(?:permitted|allowed|available|enabled)|extra (?:inputs|fields)|invalid (?:parameter|schema)',
  ].join('|'),
  'i',
)

const FORM_COMPLAINTS: { readonly [F in ReplyForm]: RegExp } = {
  'json-schema': /response_format|json_?schema|output_(?:config|format)|structured output|guided|grammar/i,
  tool: /\btools?\b|tool_choice|\bfunctions?\b/i,
  text: /(?!)/, // nothing to refuse
}

const NEXT_FORM: { readonly [F in ReplyForm]: ReplyForm } = { 'json-schema': 'tool', tool: 'text', text: 'text' }

/** @param start What is known of the model beforehand. */
export function createDialect(start: Accepted): Dialect {
  let current = start
  let hasLogprobs: boolean | null = start.without.has('logprobs') ? false : null
  const proven = new Set<ReplyForm>()

  function learnFrom({ parameter, words }: Complaint, sent: Accepted, request: RequestShape): boolean {
    if (sent !== current) return true // another call has learnt since
    if (!REFUSAL.test(words)) return false
    const about = parameter ?? words
    const refused = COMPLAINTS.find(([name, pattern]) => isSent(name, sent, request) && pattern.test(about))?.[0]
    if (refused !== undefined) {
      current = { ...current, without: new Set([...current.without, refused]) }
      if (refused === 'logprobs') hasLogprobs = false
    } else if (request.schema !== null && FORM_COMPLAINTS[current.form].test(about)) {
      current = { ...current, form: NEXT_FORM[current.form] }
    }
    return sent !== current
  }

  return {
    get current() {
      return current
    },
    get hasLogprobs() {
      return hasLogprobs
    },
    learn: (error, sent, request) => {
      // llama.cpp answers 500 to what it does not know.
      const isOfRequest = error.facts.kind === 'refused-request' || error.facts.kind === 'server-error'
      if (!(error instanceof HttpError) || !isOfRequest) return error
      const isLearnt = learnFrom(error.complaint, sent, request)
      return isLearnt ? new ChatError(error.message, { ...error.facts, isTransient: true }) : error
    },
    accept: (reply, sent, request) => {
      // The arguments of a call have none, whoever the server is.
      const isTelling = isSent('logprobs', sent, request) && (request.schema === null || sent.form !== 'tool')
      if (isTelling && (reply.hasLogprobs || hasLogprobs === null)) hasLogprobs = reply.hasLogprobs
      if (request.schema === null || sent.form === 'text') return 'text'
      if (isJsonObject(reply.text)) {
        proven.add(sent.form)
        return sent.form
      }
      // The server took no notice of the schema. If it never did, it is asked in another way from now on.
      if (sent === current && !proven.has(sent.form)) current = { ...current, form: NEXT_FORM[sent.form] }
      return 'text'
    },
  }
}

function isSent(name: Optional, sent: Accepted, request: RequestShape): boolean {
  if (sent.without.has(name)) return false
  if (name === 'topP') return request.topP !== null
  if (name === 'seed') return request.seed !== null
  if (name === 'logprobs') return request.topLogprobs > 0
  return true
}

function isJsonObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
  } catch {
    return false
  }
}

/** What asks for JSON where the server has no way of its own to do so. */
export function schemaInstruction(schema: NonNullable<ChatRequest['schema']>): string {
  return `Reply with one JSON object that fits this JSON schema, and with nothing else:\n${JSON.stringify(schema.json)}`
}
