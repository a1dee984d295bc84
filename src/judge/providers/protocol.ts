/** @file A chat model from what is particular to a vendor: how a request is sent, and how its reply is to be read. */
import { z } from 'zod'
import {
  ChatError,
  type ChatErrorFacts,
  type ChatModel,
  type ChatReply,
  type ChatRequest,
  type RequestShape,
  type ScoredToken,
} from '../chat.ts'
import { redactKeys } from '../secret.ts'
import { type BatchSpeech, type BatchVendor, batchesOf } from './batches.ts'
import { type Accepted, createDialect, type Dialect, type ReplyForm } from './dialect.ts'
import { askServer, type Server, sendOnce } from './http.ts'
import type { Speaker } from './http-error.ts'
import { isSameModel } from './model-fit.ts'

/** What a vendor's reply says, in one vocabulary. */
export interface Answer {
  readonly model: string
  readonly text: string
  /** How the reply ended: `unsaid` where it does not tell that it is whole. */
  readonly end: 'whole' | 'length' | 'filtered' | 'unsaid'
  readonly usage: { readonly promptTokens: number; readonly completionTokens: number }
  readonly logprobs: readonly ScoredToken[] | null
}

/** `Body`: the part of a reply that is read. A reply without it, also one without usage, is malformed. */
export interface Protocol<Client, Params, Body> {
  readonly server: Server
  readonly model: string
  /** What is known of the model beforehand. */
  readonly start: Accepted
  readonly body: z.ZodType<Body>
  /** Loads the vendor's library, before the time of a request begins. `server`: one of those that serve the model. */
  connect(server: Server): Promise<Client>
  /** The body of a request. */
  params(request: ChatRequest, sent: Accepted): Params
  /** Sends one HTTP request. */
  send(client: Client, params: Params, signal: AbortSignal): Promise<unknown>
  readonly batches: BatchVendor<Client>
  /** `form`: how the schema was asked for; `text` where none was. */
  read(body: Body, form: ReplyForm, request: RequestShape): Answer
}

/** A count of tokens. */
export const tokenCount = z.number().int().nonnegative()

export function protocolModel<Client, Params, Body>(protocol: Protocol<Client, Params, Body>): ChatModel {
  const { server, model, start } = protocol
  const dialect = createDialect(start)
  const clients = new Map<Server, Promise<Client>>()
  const connect = (one: Server): Promise<Client> => {
    const client = clients.get(one) ?? protocol.connect(one)
    clients.set(one, client)
    return client
  }
  const read = (speaker: Speaker, reply: unknown, sent: Accepted, request: RequestShape): ChatReply => {
    const parsed = protocol.body.safeParse(reply)
    if (!parsed.success) throw malformed(speaker, `has no fitting '${parsed.error.issues[0].path.join('.')}'`)
    const answer = protocol.read(parsed.data, request.schema === null ? 'text' : sent.form, request)
    return wholeReply(answer, { speaker, model, dialect, sent, request })
  }
  const speechOf = (): BatchSpeech<Client> => ({
    server,
    connect: () => connect(server),
    dialect,
    params: protocol.params,
    read: (reply, sent, request) => read(server, reply, sent, request),
  })
  return {
    name: server.name,
    model,
    get hasLogprobs() {
      return dialect.hasLogprobs
    },
    complete: (request, signal) =>
      askServer(server, async (one) => {
        const client = await connect(one)
        const sent = dialect.current
        try {
          const reply = await sendOnce(one, signal, (callSignal) =>
            protocol.send(client, protocol.params(request, sent), callSignal),
          )
          return read(one, reply, sent, request)
        } catch (error) {
          throw error instanceof ChatError ? dialect.learn(error, sent, request) : error
        }
      }),
    // A batch stays with the server that took it: of several, no later request would find it.
    ...(server.endpoints === undefined
      ? { batches: batchesOf(speechOf(), protocol.batches) }
      : { addresses: server.endpoints.addresses }),
  }
}

/** An answer that may be anything, paid or not. */
export function malformed(speaker: Speaker, problem: string): ChatError {
  const facts: ChatErrorFacts = { kind: 'malformed-reply', isTransient: true, maybePaid: true }
  return new ChatError(`${speaker.name}: the reply ${problem}`, facts)
}

interface Asked {
  readonly speaker: Speaker
  readonly model: string
  readonly dialect: Dialect
  readonly sent: Accepted
  readonly request: RequestShape
}

/**
 * The reply, where it is whole and of the model that was asked, without the keys that it may echo.
 * @throws ChatError with the usage for one that is not: it is paid all the same.
 */
export function wholeReply(answer: Answer, { speaker, model, dialect, sent, request }: Asked): ChatReply {
  const answered = redactKeys(answer.model, speaker.secrets)
  const text = redactKeys(answer.text, speaker.secrets)
  const fail = (kind: ChatErrorFacts['kind'], problem: string, isTransient = false): never => {
    const facts: ChatErrorFacts = { kind, isTransient, maybePaid: true, usage: answer.usage }
    throw new ChatError(`${speaker.name}: ${problem}`, facts)
  }
  if (!isSameModel(model, answered)) return fail('wrong-model', `another model answered: ${answered.slice(0, 100)}`)
  if (answer.end === 'filtered') return fail('content-filter', 'the reply was filtered or refused')
  if (answer.end === 'length') return fail('truncated', `the reply is longer than ${request.maxTokens} tokens`)
  if (answer.end === 'unsaid') return fail('malformed-reply', 'the reply does not say that it is whole', true)
  if (text.trim() === '') return fail('malformed-reply', 'the reply holds no text', true)
  const logprobs = request.topLogprobs > 0 ? withoutKeys(answer.logprobs, speaker) : null
  const form = dialect.accept({ text, hasLogprobs: logprobs !== null }, sent, request)
  return { text, form, model: answered, ...answer.usage, logprobs }
}

function withoutKeys(tokens: Answer['logprobs'], { secrets }: Speaker): Answer['logprobs'] {
  const clean = <T extends { readonly token: string }>(one: T): T => ({ ...one, token: redactKeys(one.token, secrets) })
  return tokens?.map((one) => ({ ...clean(one), alternatives: one.alternatives.map(clean) })) ?? null
}
