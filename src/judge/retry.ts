/** @file When a request that failed is sent again. One policy for all providers; their clients' own retries are off. */
import { random } from '../base/random.ts'
import { ChatError, type ChatErrorFacts } from './chat.ts'

export interface RetryPolicy {
  /** How many times a request is sent at most. */
  readonly attempts: number
  /** The first wait is random below this, each later one below twice as much … */
  readonly baseMs: number
  /** … up to this. */
  readonly maxBackoffMs: number
  /** The longest `Retry-After` that is waited for. A wait is never over this and `maxBackoffMs` together. */
  readonly maxRetryAfterMs: number
  readonly seed: number
}

export const DEFAULT_RETRY: RetryPolicy = {
  attempts: 6,
  baseMs: 500,
  maxBackoffMs: 30_000,
  maxRetryAfterMs: 60_000,
  seed: 0,
}

export interface Retry {
  readonly delayMs: number
  /** How long nobody should ask this provider. */
  readonly pauseMs: number
}

/**
 * What to do after attempt `attempt` (from 1) failed: null where it ends. The waits are exponential with full jitter
 * (Brooker, "Exponential Backoff And Jitter", AWS 2015), on top of what `Retry-After` says; `label` names the random
 * stream, so that they do not depend on who else waits.
 */
export function decideRetry(facts: ChatErrorFacts, attempt: number, label: string, policy: RetryPolicy): Retry | null {
  if (!facts.isTransient || attempt >= policy.attempts || asksTooMuch(facts, policy)) return null
  // The request will be sent in another form, which the server did not refuse.
  if (facts.kind === 'refused-request') return { delayMs: 0, pauseMs: 0 }
  const retryAfterMs = readRetryAfter(facts)
  const backoffMs = Math.min(policy.maxBackoffMs, policy.baseMs * 2 ** (attempt - 1))
  const jitterMs = random(policy.seed, 'retry', label, attempt).uniform() * backoffMs
  const pauseMs = retryAfterMs > 0 || facts.kind !== 'rate-limit' ? retryAfterMs : policy.baseMs
  return { delayMs: retryAfterMs + jitterMs, pauseMs: facts.hasOthers === true ? 0 : pauseMs }
}

/** The failure that an ask ends with, where it is not sent again. */
export function finalError(error: ChatError, attempt: number, policy: RetryPolicy): ChatError {
  const { facts } = error
  if (!facts.isTransient) return error
  const why = asksTooMuch(facts, policy)
    ? `the provider asks to wait ${Math.round(readRetryAfter(facts) / 1000)} s, over ${policy.maxRetryAfterMs / 1000} s`
    : `given up after ${attempt} attempts`
  const kind = asksTooMuch(facts, policy) ? 'rate-limit' : facts.kind
  return new ChatError(`${error.message} (${why})`, { ...facts, kind, isTransient: false }, { cause: error })
}

function asksTooMuch(facts: ChatErrorFacts, policy: RetryPolicy): boolean {
  return readRetryAfter(facts) > policy.maxRetryAfterMs
}

/** Nothing for what is no time to wait. */
function readRetryAfter({ retryAfterMs = 0 }: ChatErrorFacts): number {
  return retryAfterMs > 0 ? retryAfterMs : 0
}
