/**
 * @file What a run may spend. Before a request is sent, the most that it can cost is reserved; when its outcome is noted,
 * what it did not cost is free again. Money is counted in nano-dollars (10⁻⁹ US dollars), in whole numbers.
 */
import { UserError } from '../base/errors.ts'
import { ChatError, type ChatModel, type ChatRequest } from './chat.ts'
import type { Ledger } from './ledger.ts'
import { costOf, type Price, type TokenCounts, toDollars, toNano } from './prices.ts'
import { stoppedError } from './stopped.ts'

type Intent = Omit<Parameters<Ledger['begin']>[0], 'run' | 'cap'>
type Outcome = Parameters<Ledger['settle']>[0]

export interface Budget {
  /** Whose money it is: all that has this name in one ledger is under one cap, now and before, in any process. */
  readonly run: string
  readonly cap: number | null
  /**
   * Reserves and notes an intent; where others of ours hold what is left, waits until they are settled.
   * @returns the attempt's id, which must be settled.
   * @throws ChatError `budget` where the cap does not allow it, `stopped` where `signal` says so.
   */
  admit(intent: Intent, signal: AbortSignal): Promise<string>
  settle(outcome: Outcome): Promise<void>
}

/** `maxCost` is in US dollars; null: no limit. */
export function createBudget(ledger: Ledger, run: string, maxCost: number | null): Budget {
  if (maxCost !== null && !(maxCost >= 0 && maxCost <= 1e6)) {
    throw new UserError(`--max_cost: expected US dollars from 0 to 1,000,000, found ${maxCost}`)
  }
  const cap = maxCost === null ? null : toNano(maxCost)
  let active = 0 // attempts of ours that are being admitted or hold a reservation
  const line = new Set<Waiter>() // in the order of their coming
  /** Lets in who fits, from the first on; where nothing is left to wait for, sends away who does not. */
  const letIn = (): void => {
    for (const waiter of line) {
      const { reserved } = waiter.intent
      const fits = ledger.allows(run, cap, reserved)
      if (!fits && active > 0) return
      line.delete(waiter)
      if (fits) void begin(waiter)
      else waiter.end(exhausted(run, cap, reserved))
    }
  }
  const begin = async (waiter: Waiter): Promise<void> => {
    active++
    const result = await ledger.begin({ ...waiter.intent, run, cap }).catch((error: unknown) => error)
    if (typeof result === 'string') return waiter.end(result)
    active--
    if (result !== null) waiter.end(result)
    else if (waiter.signal.aborted) waiter.end(stoppedError(false))
    else line.add(waiter) // another process took it
    letIn()
  }
  return {
    run,
    cap,
    admit: (intent, signal) =>
      new Promise((resolve, reject) => {
        if (signal.aborted) return reject(stoppedError(false))
        const stop = (): void => {
          if (!line.delete(waiter)) return // it is being noted
          waiter.end(stoppedError(false))
          letIn()
        }
        const end = (result: unknown): void => {
          signal.removeEventListener('abort', stop)
          if (typeof result === 'string') resolve(result)
          else reject(result)
        }
        const waiter: Waiter = { intent, signal, end }
        signal.addEventListener('abort', stop)
        line.add(waiter)
        letIn()
      }),
    settle: async (outcome) => {
      try {
        await ledger.settle(outcome)
      } finally {
        active--
        letIn()
      }
    },
  }
}

/** An ask that waits for its money. */
interface Waiter {
  readonly intent: Intent
  readonly signal: AbortSignal
  /** With the attempt's id, or with what is thrown. */
  readonly end: (result: unknown) => void
}

function exhausted(run: string, cap: number | null, reserved: number | null): ChatError {
  const most = toDollars(reserved ?? 0).toFixed(4)
  return new ChatError(
    `run ${run}: the request may cost $${most}, which --max_cost ${toDollars(cap ?? 0)} does not allow any more`,
    { kind: 'budget', isTransient: false, maybePaid: false },
  )
}

const MESSAGE_TOKENS = 16
const SCHEMA_TOKENS = 1024

/**
 * The most tokens that a request's prompt can be: one for each byte of its text, since no tokenizer in use makes more,
 * and what providers wrap around messages, schemas and forced tools (Anthropic states up to 530 for tools).
 */
export function promptTokensAtMost(request: ChatRequest): number {
  const text = request.messages.reduce((sum, { content }) => sum + MESSAGE_TOKENS + Buffer.byteLength(content), 0)
  if (request.schema === null) return text
  return text + SCHEMA_TOKENS + 2 * Buffer.byteLength(JSON.stringify(request.schema))
}

/** The tokens of a request at most. */
export function tokensAtMost(request: ChatRequest): TokenCounts {
  return { promptTokens: promptTokensAtMost(request), completionTokens: request.maxTokens }
}

/**
 * What a request is charged: by its tokens where they are told, and what was reserved for it where they are not.
 * Null where the price is not known.
 */
export function chargeOf(counts: TokenCounts | undefined, reserved: number | null, price: Price | null): number | null {
  if (price === null || counts === undefined) return reserved
  const isTold = [counts.promptTokens, counts.completionTokens].every(
    (count) => Number.isSafeInteger(count) && count >= 0,
  )
  return isTold ? costOf(counts, price) : reserved
}

/** @throws UserError where there is a cap but no price to count by. */
export function checkPrice(model: ChatModel, price: Price | null, budget: Budget): void {
  if (price !== null || budget.cap === null) return
  throw new UserError(
    `the price of ${model.name} is not known, so --max_cost cannot be kept: give it in a file of prices ` +
      `("${model.model}": { input: …, output: … } in US dollars per million tokens), or leave --max_cost out`,
  )
}
