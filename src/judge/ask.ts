/**
 * @file Asks a model through all that stands between: replies that were paid before, the speed and the money that are
 * allowed, the ledger, and what is sent again. One question that is asked twice at the same time is sent once.
 */
import { setMaxListeners } from 'node:events'
import { UserError } from '../base/errors.ts'
import type { BatchQueue } from './batch-queue.ts'
import { type Budget, checkPrice, tokensAtMost } from './budget.ts'
import { cacheKey } from './cache-key.ts'
import { type Asker, ChatError, type ChatModel, type ChatReply, type ChatRequest } from './chat.ts'
import { type Clock, systemClock } from './clock.ts'
import type { Ledger } from './ledger.ts'
import type { Limits } from './limits.ts'
import { outcomeOf } from './outcome.ts'
import { costOf, type Price, toDollars } from './prices.ts'
import { sendUntilReply } from './resend.ts'
import { DEFAULT_RETRY, type RetryPolicy } from './retry.ts'
import { send } from './send.ts'
import { stoppedError } from './stopped.ts'

export interface AskerOptions {
  readonly model: ChatModel
  /** Null: not known, which is only allowed without a cap. */
  readonly price: Price | null
  readonly ledger: Ledger
  /** One for all the models of a run. */
  readonly budget: Budget
  /** One for all the models of a provider. */
  readonly limits: Limits
  readonly retry?: RetryPolicy
  /** Takes requests to the vendor's batch API, whatever the limits are. `price` is then that of it. */
  readonly batches?: BatchQueue
  readonly timeoutMs?: number
  readonly clock?: Clock
  /** What the ledger says that it is for. */
  readonly purpose: string
  /** Part of the key of every request. */
  readonly promptVersion: string
}

type Answer = Awaited<ReturnType<Asker['ask']>>

/** What asking would take. */
export interface Plan {
  /** Different questions. */
  readonly requests: number
  /** How many of them are answered by the ledger. */
  readonly cached: number
  /** The most tokens of those that are not. */
  readonly promptTokens: number
  readonly completionTokens: number
  /** The most that they cost, each sent once, in US dollars; null where the price is not known. */
  readonly cost: number | null
}

export interface PlanningAsker extends Asker {
  /** Sends nothing. */
  plan(requests: Iterable<ChatRequest>): Plan
}

/** A question that is being asked, and for how many. */
interface Shared {
  readonly answer: Promise<Answer>
  readonly stop: AbortController
  askers: number
}

interface Attempt {
  readonly key: string
  /** From 1. */
  readonly number: number
  readonly request: ChatRequest
}

const TIMEOUT_MS = 120_000

/** @throws UserError where there is a cap but no price. */
export function createAsker(options: AskerOptions): PlanningAsker {
  const { model, price, ledger, budget, promptVersion } = options
  checkPrice(model, price, budget)
  const sharing = new Map<string, Shared>()
  const keyOf = (request: ChatRequest): string => cacheKey(model, promptVersion, request)

  const start = (key: string, request: ChatRequest): Shared => {
    const stop = new AbortController()
    setMaxListeners(0, stop.signal)
    const shared: Shared = { answer: answer(options, key, request, stop.signal), stop, askers: 0 }
    sharing.set(key, shared)
    const forget = (): void => {
      if (sharing.get(key) === shared) sharing.delete(key)
    }
    stop.signal.addEventListener('abort', forget) // nobody joins what is being stopped
    shared.answer.then(forget, forget)
    return shared
  }

  return {
    ask: async (request, signal) => {
      if (signal.aborted) throw stoppedError(false)
      setMaxListeners(0, signal)
      const key = keyOf(request)
      const joined = sharing.get(key)
      if (joined === undefined) return waitFor(start(key, request), signal)
      return { ...(await waitFor(joined, signal)), isCached: true, cost: 0 }
    },
    plan: (requests) => {
      const keys = new Set<string>()
      const plan = { requests: 0, cached: 0, promptTokens: 0, completionTokens: 0 }
      let nano = 0
      for (const request of requests) {
        const key = keyOf(request)
        if (keys.has(key)) continue
        keys.add(key)
        plan.requests++
        if (ledger.hasReply(key)) {
          plan.cached++
          continue
        }
        const most = tokensAtMost(request)
        plan.promptTokens += most.promptTokens
        plan.completionTokens += most.completionTokens
        nano += price === null ? 0 : costOf(most, price)
      }
      return { ...plan, cost: price === null ? null : toDollars(nano) }
    },
  }
}

/** Waits with others. Who leaves while others wait goes at once; the last to leave ends the request and waits for that. */
async function waitFor(shared: Shared, signal: AbortSignal): Promise<Answer> {
  shared.askers++
  let leave = (): void => {}
  const left = new Promise<never>((_, reject) => {
    leave = () => {
      shared.askers--
      if (shared.askers === 0) shared.stop.abort()
      else reject(stoppedError(false))
    }
  })
  signal.addEventListener('abort', leave, { once: true })
  try {
    return await Promise.race([shared.answer, left])
  } finally {
    signal.removeEventListener('abort', leave)
  }
}

/** Never asks for what the ledger knows; sends until a reply comes or the policy ends it. */
async function answer(options: AskerOptions, key: string, request: ChatRequest, signal: AbortSignal): Promise<Answer> {
  const { ledger, limits, batches, retry = DEFAULT_RETRY, clock = systemClock } = options
  const known = await ledger.find(key)
  if (known !== null) return { reply: known, isCached: true, cost: 0 }
  let nano: number | null = 0
  const reply = await sendUntilReply({ label: key, retry, limits, clock, signal }, async (number) => {
    const attempt = { key, number, request }
    const { result, charge } =
      batches === undefined
        ? await tryOnce(options, attempt, signal)
        : await tryInBatch({ ...options, batches }, attempt, signal)
    nano = nano === null || charge === null ? null : nano + charge
    return result
  })
  return { reply, isCached: false, cost: nano === null ? null : toDollars(nano) }
}

interface Attempted {
  readonly result: ChatReply | ChatError
  /** In nano-dollars; null where the price is not known. */
  readonly charge: number | null
}

/** One request: waits for its place, reserves its money, sends it, notes what became of it. */
async function tryOnce(options: AskerOptions, attempt: Attempt, signal: AbortSignal): Promise<Attempted> {
  const { model, price, budget, limits, timeoutMs = TIMEOUT_MS, clock = systemClock } = options
  const { key, number, request } = attempt
  const most = tokensAtMost(request)
  const reserved = price === null ? null : costOf(most, price)
  const slot = await limits.enter(most.promptTokens + most.completionTokens, signal)
  let taken: number | null = null
  try {
    const id = await budget.admit(intentOf(options, { key, number, reserved }), signal)
    const result = await send({ model, timeoutMs, clock }, request, signal)
    const usage = result instanceof ChatError ? result.facts.usage : result
    taken = usage === undefined ? null : usage.promptTokens + usage.completionTokens
    slot.leave(taken) // the next may be sent while this one is noted
    const outcome = outcomeOf({ id, key, run: budget.run, reserved }, result, price)
    await budget.settle(outcome)
    return { result, charge: outcome.cost }
  } finally {
    slot.leave(taken)
  }
}

/** The same in a job of many. What is stopped while its job runs has no outcome: whoever goes on takes it. */
async function tryInBatch(
  options: AskerOptions & { readonly batches: BatchQueue },
  { key, number, request }: Attempt,
  signal: AbortSignal,
): Promise<Attempted> {
  const { price, budget, batches } = options
  const reserved = price === null ? null : costOf(tokensAtMost(request), price)
  const id = await budget.admit({ ...intentOf(options, { key, number, reserved }), api: 'batch' }, signal)
  const result = await batches.add({ id, key, request })
  const outcome = outcomeOf({ id, key, run: budget.run, reserved }, result, price)
  await budget.settle(outcome)
  if (result instanceof ChatError && result.cause instanceof UserError) throw result.cause
  return { result, charge: outcome.cost }
}

function intentOf(
  { model, purpose, promptVersion }: AskerOptions,
  { key, number, reserved }: { readonly key: string; readonly number: number; readonly reserved: number | null },
): Parameters<Budget['admit']>[0] {
  return { key, model: model.name, purpose, promptVersion, attempt: number, reserved }
}
