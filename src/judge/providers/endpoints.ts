/**
 * @file Several servers of one model: each request goes to the least busy one. A server that fails rests for a while, and
 * what it surely was not paid for is asked of another at once; for all else the policy of retries decides.
 */
import type { FailureKind } from '../../data/judgement.ts'
import { type AddressFailure, ChatError, type ChatErrorFacts, joinFailures } from '../chat.ts'
import { HttpError } from './http-error.ts'

export interface Endpoints<Server> {
  readonly addresses: readonly string[]
  /**
   * Asks one, and others where that helps.
   * @throws ChatError of all that were asked. It is final where asking again is in vain at each of them.
   */
  ask<Reply>(send: (server: Server) => Promise<Reply>): Promise<Reply>
}

/** How long a server that failed rests, where it does not say so itself. */
export const REST_MS = 30_000
/** The same of one that is only asked too much. */
const BUSY_MS = 1000

interface Endpoint<Server> {
  readonly server: Server
  underWay: number
  /** All that it was given: of equally busy ones the least used is next. */
  total: number
  restsUntil: number
  /** Why it rests, or last did. */
  failure: ChatErrorFacts | undefined
}

/** What a failure says something of: `either` where only another server's answer tells. */
type About = 'server' | 'request' | 'either'

/** Kinds that are not always the server's. */
const ABOUT: { readonly [K in FailureKind]?: (error: ChatError) => About } = {
  'content-filter': () => 'request',
  'unreadable-verdict': () => 'request',
  budget: () => 'request',
  stopped: () => 'request',
  unknown: () => 'request',
  // Longer than was allowed, or cut on its way.
  truncated: ({ facts }) => (facts.isTransient ? 'server' : 'request'),
  // One whose usage is told could be read: the model said nothing.
  'malformed-reply': ({ facts }) => (facts.usage === undefined ? 'server' : 'request'),
  'refused-request': (error) => {
    if (error.facts.isTransient) return 'request' // to be sent in another form
    return error instanceof HttpError && [400, 413, 414, 422].includes(error.status) ? 'either' : 'server'
  },
}

function aboutOf(error: ChatError): About {
  return ABOUT[error.facts.kind]?.(error) ?? 'server'
}

/** Whether the server itself said that it wants to be left alone. */
function isAsking({ kind, retryAfterMs = 0 }: ChatErrorFacts): boolean {
  return kind === 'rate-limit' || retryAfterMs > 0
}

function restMs(facts: ChatErrorFacts): number {
  const { retryAfterMs = 0 } = facts
  if (retryAfterMs > 0) return retryAfterMs
  return isAsking(facts) ? BUSY_MS : REST_MS
}

/** The servers that have failed for one request, with their failures, in their order. */
type Failed<Server> = ReadonlyMap<Endpoint<Server>, ChatError>

/** A request that two refuse is wrong itself. */
function isRefused<Server>(failed: Failed<Server>): boolean {
  return [...failed.values()].filter((error) => aboutOf(error) === 'either').length > 1
}

/** @param servers Each by an address of its own. */
export function createEndpoints<Server extends { readonly baseUrl: string }>(
  servers: readonly Server[],
  now: () => number,
): Endpoints<Server> {
  const all = servers.map((server): Endpoint<Server> => {
    return { server, underWay: 0, total: 0, restsUntil: 0, failure: undefined }
  })
  return {
    addresses: servers.map(({ baseUrl }) => baseUrl),
    ask: async (send) => {
      const failed = new Map<Endpoint<Server>, ChatError>()
      let candidates: readonly Endpoint<Server>[] = all
      for (;;) {
        const one = choose(candidates, now())
        const result = await visit(one, send, now)
        if (!('error' in result)) {
          // What another accepts was not the request's fault.
          for (const [other, error] of failed) if (aboutOf(error) === 'either') rest(other, error.facts, now())
          return result.reply
        }
        const { error } = result
        if (aboutOf(error) === 'request') throw error
        failed.set(one, error)
        candidates = isRefused(failed) ? [] : othersFor(error, all, failed, now())
        if (candidates.length === 0) throw together(failed, all, now())
      }
    },
  }
}

function rest<Server>(one: Endpoint<Server>, facts: ChatErrorFacts, time: number): void {
  one.restsUntil = time + restMs(facts)
  one.failure = facts
}

/** The least busy one that is awake; where all rest, the one that wakes first. */
function choose<Server>(among: readonly Endpoint<Server>[], time: number): Endpoint<Server> {
  const awake = among.filter(({ restsUntil }) => restsUntil <= time)
  if (awake.length === 0) return among.reduce((best, one) => (one.restsUntil < best.restsUntil ? one : best))
  const isBefore = (a: Endpoint<Server>, b: Endpoint<Server>): boolean =>
    a.underWay !== b.underWay ? a.underWay < b.underWay : a.total < b.total
  return awake.reduce((best, one) => (isBefore(one, best) ? one : best))
}

async function visit<Server extends { readonly baseUrl: string }, Reply>(
  one: Endpoint<Server>,
  send: (server: Server) => Promise<Reply>,
  now: () => number,
): Promise<{ readonly reply: Reply } | { readonly error: ChatError }> {
  const { restsUntil } = one
  one.underWay++
  one.total++
  try {
    const reply = await send(one.server)
    if (one.restsUntil === restsUntil) one.restsUntil = 0 // no other request has failed since
    return { reply }
  } catch (error) {
    if (!(error instanceof ChatError)) throw error
    if (aboutOf(error) === 'server') rest(one, error.facts, now())
    return { error: named(error, one.server.baseUrl) }
  } finally {
    one.underWay--
  }
}

/** The failure with the address where it happened. Of the same class: what it means is read from it later. */
function named(error: ChatError, address: string): ChatError {
  const { kind } = error.facts
  const facts = { ...error.facts, byAddress: [{ address, kind, why: error.message } satisfies AddressFailure] }
  return error instanceof HttpError
    ? new HttpError(error.message, facts, error.status, error.complaint)
    : new ChatError(error.message, facts, { cause: error })
}

/**
 * Who else is asked at once: nobody where the failed request may have been paid. What may pass is not worth waking
 * anybody for; a final failure is, but for those that said when they want to be asked.
 */
function othersFor<Server>(
  { facts }: ChatError,
  all: readonly Endpoint<Server>[],
  failed: Failed<Server>,
  time: number,
): Endpoint<Server>[] {
  if (facts.maybePaid) return []
  return all.filter((one) => {
    if (failed.has(one)) return false
    return one.restsUntil <= time || !(facts.isTransient || (one.failure !== undefined && isAsking(one.failure)))
  })
}

/** The failures of one request as one, and whether and when to ask again. */
function together<Server>(failed: Failed<Server>, all: readonly Endpoint<Server>[], time: number): ChatError {
  const errors = [...failed.values()]
  const leading = errors.findLast(({ facts }) => facts.isTransient) ?? errors[errors.length - 1]
  const isResting = (one: Endpoint<Server>): boolean => one.restsUntil > time
  const remainingMs = (ones: readonly Endpoint<Server>[]): number =>
    Math.min(...ones.map(({ restsUntil }) => restsUntil - time))
  // Those that did not say the same, neither now nor lately.
  const others = all.filter((one) => !failed.has(one) && !(isResting(one) && one.failure?.kind === leading.facts.kind))
  const { retryAfterMs: _, ...facts } = leading.facts
  if (isRefused(failed) || !(leading.facts.isTransient || others.length > 0)) {
    return joinFailures(errors, { ...facts, isTransient: false })
  }
  const asking = all.find((one) => isResting(one) && one.failure !== undefined && isAsking(one.failure))
  const isOver = facts.isTransient || facts.maybePaid
  // A final failure that waits for a server goes by the kind of that one.
  const kind = isOver ? facts.kind : (asking?.failure?.kind ?? facts.kind)
  const asked = { ...facts, kind, isTransient: true }
  if (asking === undefined) return joinFailures(errors, asked)
  if (all.every(isResting)) return joinFailures(errors, { ...asked, retryAfterMs: remainingMs(all) })
  return joinFailures(errors, isOver ? asked : { ...asked, retryAfterMs: remainingMs(others), hasOthers: true })
}
