/**
 * @file What the lines of a ledger say when they are read in their order. Every process that reads the file comes to the
 * same state, also on who was within the cap: the order of the lines decides.
 */
import type { BatchNote, Intent, LedgerLine } from './ledger-record.ts'

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

/** A job of many requests, as its first note has it, without their list. */
export interface Job extends Omit<Extract<BatchNote, { type: 'batch' }>, 'type' | 'requests'> {
  /** What the vendor calls it; null: it could not be found; undefined: not noted. */
  readonly batch?: string | null
}

/** An intent to send a request in a job that has no outcome. `job`: the job it was sent in, or was about to be. */
export interface OpenBatchIntent {
  readonly intent: Intent
  readonly job?: Job
}

export interface LedgerIndex {
  apply(record: LedgerLine, span: Span): void
  account(run: string): Account
  /** Whether an intent was within its cap and has no outcome. */
  isOpen(id: string): boolean
  /** What a run sent in jobs, or was about to, and has no outcome. */
  openInBatches(run: string): OpenBatchIntent[]
  /** Whether a vendor's name of a job is noted. */
  knowsBatch(batch: string): boolean
  /** Where the first whole reply to a key stands. */
  replyAt(key: string): Span | undefined
  /** Gives up a reply that cannot be read any more. */
  forgetReply(key: string): void
}

/** An intent without an outcome; `intent` and `job` (its id) where it is sent in a job. */
interface Open {
  readonly reserved: number
  readonly intent?: Intent
  readonly job?: string
}

const EMPTY: Account = { settled: 0, reserved: 0 }

export function isWithin(cap: number | null, account: Account, reserved: number): boolean {
  return cap === null || account.settled + account.reserved + reserved <= cap
}

export function createLedgerIndex(): LedgerIndex {
  const open = new Map<string, Open>()
  const jobs = new Map<string, Job>()
  const replies = new Map<string, Span>()
  const accounts = new Map<string, Account>()
  const account = (run: string): Account => accounts.get(run) ?? EMPTY
  const add = (run: string, settled: number, reserved: number): void => {
    const before = account(run)
    accounts.set(run, { settled: before.settled + settled, reserved: before.reserved + reserved })
  }
  const applyNote = (note: BatchNote): void => {
    if (note.type === 'batch-created') {
      const job = jobs.get(note.id)
      if (job !== undefined) jobs.set(note.id, { ...job, batch: note.batch })
      return
    }
    const { type: _, requests, ...job } = note
    jobs.set(note.id, job)
    for (const id of requests) {
      const held = open.get(id)
      if (held !== undefined) open.set(id, { ...held, job: note.id })
    }
  }
  return {
    apply: (record, span) => {
      if (record.type === 'batch' || record.type === 'batch-created') return applyNote(record)
      const held = open.get(record.id)
      if (record.type === 'intent') {
        const reserved = record.reserved ?? 0
        if (held !== undefined || !isWithin(record.cap, account(record.run), reserved)) return
        open.set(record.id, { reserved, ...(record.api === 'batch' && { intent: record }) })
        add(record.run, 0, reserved)
        return
      }
      open.delete(record.id)
      add(record.run, record.cost ?? 0, -(held?.reserved ?? 0))
      if (record.type === 'reply' && !replies.has(record.key)) replies.set(record.key, span)
    },
    account,
    isOpen: (id) => open.has(id),
    openInBatches: (run) =>
      Array.from(open.values()).flatMap(({ intent, job = '' }) =>
        intent?.run === run ? [{ intent, job: jobs.get(job) }] : [],
      ),
    knowsBatch: (batch) => Array.from(jobs.values()).some((job) => job.batch === batch),
    replyAt: (key) => replies.get(key),
    forgetReply: (key) => void replies.delete(key),
  }
}
