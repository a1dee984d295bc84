/** @file What the ledger is told of an attempt that has ended, and what the attempt is charged. */
import { chargeOf } from './budget.ts'
import { ChatError, type ChatReply } from './chat.ts'
import type { Ledger } from './ledger.ts'
import type { Price } from './prices.ts'

type Outcome = Parameters<Ledger['settle']>[0]

/** An attempt as its intent has it. */
export interface Attempted {
  readonly id: string
  readonly key: string
  readonly run: string
  readonly reserved: number | null
}

/** A failure that was surely not paid costs nothing; where nobody knows, all that was reserved. */
export function outcomeOf({ id, key, run, reserved }: Attempted, result: ChatReply | ChatError, price: Price | null) {
  const isReply = !(result instanceof ChatError)
  const usage = isReply ? result : result.facts.usage
  const isPaid = isReply || result.facts.maybePaid
  const cost = isPaid ? chargeOf(usage, reserved, price) : price === null ? null : 0
  const common = { id, key, run, cost }
  if (isReply) return { type: 'reply', ...common, reply: result } satisfies Outcome
  const { kind, maybePaid } = result.facts
  const why = result.message
  return { type: 'failure', ...common, maybePaid, usage: usage ?? null, kind, why } satisfies Outcome
}
