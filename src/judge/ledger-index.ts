/**
 * @file What the lines of a ledger say when they are read in their order. Every process that reads the file comes to the
 * same state, also on who was within the cap: the order of the lines decides.
 */
import type { LedgerRecord } from './ledger-record.ts'

/** Where a line stands in the file, without its line end. */
export interface Span {
  readonly start: number
  readonly length: number
}

/** The money of one run, in nano-dollars. */
export interface Account {
  /** What its outcomes cost, or may have cost. */
  readonly settled: number
  /** What is reserved for intents without an outcome: requests in flight, and those of processes that died. */
  readonly reserved: number
}

export interface LedgerIndex {
  apply(record: LedgerRecord, span: Span): void
  account(run: string): Account
  /** Whether an intent was within its cap and has no outcome. */
  isOpen(id: string): boolean
  /** Where the first whole reply to a key stands. */
  replyAt(key: string): Span | undefined
  /** Gives up a reply that cannot be read any more. */
  forgetReply(key: string): void
}

const EMPTY: Account = { settled: 0, reserved: 0 }

export function isWithin(cap: number | null, account: Account, reserved: number): boolean {
  return cap === null || account.settled + account.reserved + reserved <= cap
}

export function createLedgerIndex(): LedgerIndex {
  const open = new Map<string, number>() // intent → what it reserves
  const replies = new Map<string, Span>()
  const accounts = new Map<string, Account>()
  const account = (run: string): Account => accounts.get(run) ?? EMPTY
  const add = (run: string, settled: number, reserved: number): void => {
    const before = account(run)
    accounts.set(run, { settled: before.settled + settled, reserved: before.reserved + reserved })
  }
  return {
    apply: (record, span) => {
      const held = open.get(record.id)
      if (record.type === 'intent') {
        const reserved = record.reserved ?? 0
        if (held !== undefined || !isWithin(record.cap, account(record.run), reserved)) return
        open.set(record.id, reserved)
        add(record.run, 0, reserved)
        return
      }
      open.delete(record.id)
      add(record.run, record.cost ?? 0, -(held ?? 0))
      if (record.type === 'reply' && !replies.has(record.key)) replies.set(record.key, span)
    },
    account,
    isOpen: (id) => open.has(id),
    replyAt: (key) => replies.get(key),
    forgetReply: (key) => void replies.delete(key),
  }
}
