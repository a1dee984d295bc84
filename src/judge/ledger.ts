/**
 * @file The judge's memory of what it asked, what came back and what it cost: one append-only file for all models and
 * all runs, `judge/ledger.jsonl` in the cache folder.
 *
 * One file holds the cache and the money, because they are the same facts: a reply that was paid is a reply that need
 * not be paid again, and one cap spans all the models of a run. Each line names its run; what a run used is read from
 * here (`readLedger`), and its folder's usage log is made of that.
 *
 * - An intent is durable before its request is sent, an outcome before it is used. An intent without an outcome is a
 *   request that nobody knows the end of: it counts with all that it reserved, and the question is asked anew.
 * - Lines that arrive together are written by one write and made durable by one fsync.
 * - Several processes may append to one file: a write in append mode is not divided by another's. Nobody truncates.
 *   Each write begins with a line end, so that nothing is ever glued to a line that a crash cut.
 * - Nothing is locked. A process writes its intent, reads back what stands in the file by then, and goes by the order of
 *   the lines: an intent is within its cap, or not, by the lines before it. All readers decide alike.
 * - A job of many requests is noted with its attempts before it is sent, and with the vendor's name for it before it is
 *   waited for: a process that dies meanwhile is followed by one that goes on waiting.
 * - A line that does not fit its hash is as if it were not there.
 */
import { randomUUID } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { messageOf, UserError } from '../base/errors.ts'
import { syncFolder } from '../base/files.ts'
import { readLines } from '../base/lines.ts'
import type { ChatReply } from './chat.ts'
import { createGroupQueue } from './group-queue.ts'
import { appendDurably, type LedgerFile, openPrivately, readAt, readTail } from './ledger-file.ts'
import {
  type Account,
  createLedgerIndex,
  isWithin,
  type LedgerIndex,
  type OpenBatchIntent,
  type Span,
} from './ledger-index.ts'
import {
  type BatchNote,
  decodeRecord,
  encodeRecord,
  type Intent,
  type LedgerLine,
  type LedgerRecord,
  type Outcome,
} from './ledger-record.ts'

/** A record that has no time yet. */
type Untimed<T> = T extends LedgerLine ? Omit<T, 'time'> : never

export interface Ledger {
  readonly path: string
  /** How many lines were cut or edited, and are taken as absent. */
  damagedCount(): number
  hasReply(key: string): boolean
  /** The first whole reply that was ever noted for a key. */
  find(key: string): Promise<ChatReply | null>
  /** Whether a run's cap allows so much more, as far as this process knows. */
  allows(run: string, cap: number | null, reserved: number | null): boolean
  /** Notes that a request is about to be sent: the id of the attempt, or null where the run's cap does not allow it. */
  begin(intent: Omit<Intent, 'type' | 'id' | 'time'>): Promise<string | null>
  /** Notes what became of an attempt. */
  settle(outcome: Untimed<Outcome>): Promise<void>
  /** Notes a job of many requests: before it is sent, and what the vendor calls it. */
  note(note: Untimed<BatchNote>): Promise<void>
  /** What a run sent in jobs, or was about to, and has no outcome. */
  openInBatches(run: string): OpenBatchIntent[]
  /** Whether the vendor's name of a job is noted. */
  knowsBatch(batch: string): boolean
  account(run: string): Account
  /** Waits for what is being written, and closes the file. */
  close(): Promise<void>
}

export interface LedgerOptions {
  readonly now: () => Date
  /** Tests stand in a disk that fails. */
  readonly openFile?: (path: string) => Promise<LedgerFile>
}

export function ledgerPath(cacheFolder: string): string {
  return join(cacheFolder, 'judge', 'ledger.jsonl')
}

/** The intents and outcomes of a ledger in their order, without damaged lines. */
export async function* readLedger(path: string): AsyncGenerator<LedgerRecord> {
  for await (const { bytes } of readLines(path)) {
    const record = decodeRecord(Buffer.from(bytes), path)
    if (record !== null && 'key' in record) yield record
  }
}

/**
 * Opens a ledger, reading all of it.
 * @throws UserError where the file cannot be read or written; so do the ledger's own functions.
 */
export async function openLedger(path: string, { now, openFile = openPrivately }: LedgerOptions): Promise<Ledger> {
  const index = createLedgerIndex()
  const writer = await openWriter(path, openFile, index.apply)
  const prefix = randomUUID()
  const pending = new Map<string, number>() // run → what is reserved by intents that are being written
  const allows: Ledger['allows'] = (run, cap, reserved) =>
    isWithin(cap, index.account(run), (pending.get(run) ?? 0) + (reserved ?? 0))
  let count = 0
  return {
    path,
    damagedCount: writer.damagedCount,
    hasReply: (key) => index.replyAt(key) !== undefined,
    find: async (key) => {
      const span = index.replyAt(key)
      if (span === undefined) return null
      const record = decodeRecord(writer.read(span), path)
      if (record?.type === 'reply' && record.key === key) return record.reply
      index.forgetReply(key)
      return null
    },
    allows,
    begin: async (intent) => {
      const { run } = intent
      const reserved = intent.reserved ?? 0
      if (!allows(run, intent.cap, reserved)) return null
      pending.set(run, (pending.get(run) ?? 0) + reserved)
      const id = `${prefix}-${count++}`
      const record = { type: 'intent', id, time: now().toISOString(), ...intent } as const
      await writer.append(record, () => pending.set(run, (pending.get(run) ?? 0) - reserved))
      return index.isOpen(id) ? id : null // another process may have been before us
    },
    settle: (outcome) => writer.append({ ...outcome, time: now().toISOString() }, () => {}),
    note: (note) => writer.append({ ...note, time: now().toISOString() }, () => {}),
    openInBatches: index.openInBatches,
    knowsBatch: index.knowsBatch,
    account: index.account,
    close: writer.close,
  }
}

interface LedgerWriter {
  damagedCount(): number
  read(span: Span): Buffer
  /** `end` is called in the turn in which the record has been read back, or given up. */
  append(record: LedgerLine, end: () => void): Promise<void>
  close(): Promise<void>
}

async function openWriter(
  path: string,
  openFile: (path: string) => Promise<LedgerFile>,
  apply: LedgerIndex['apply'],
): Promise<LedgerWriter> {
  const toUserError = (error: unknown): UserError =>
    error instanceof UserError ? error : new UserError(`${path}: ${messageOf(error)}`, { cause: error })
  const fail = (error: unknown): never => {
    throw toUserError(error)
  }
  await mkdir(dirname(path), { recursive: true }).catch(fail)
  const file = await openFile(path).catch(fail)
  let position = 0
  let damaged = 0
  /** Reads what was added, by whomever; the result names the lines. */
  const catchUp = (): ReadonlySet<string> => {
    const seen = new Set<string>()
    position = readTail(file, path, position, (line, start) => {
      const record = decodeRecord(line, path)
      if (record === null) damaged++
      else {
        seen.add(record.type + record.id)
        apply(record, { start, length: line.length })
      }
    })
    return seen
  }
  try {
    catchUp()
    if (position === 0) syncFolder(dirname(path)) // a new file: its name is made durable before its first line
  } catch (error) {
    await file.close()
    fail(error)
  }
  const queue = createGroupQueue<{ readonly name: string; readonly line: string }>(async (lines) => {
    try {
      await appendDurably(file, `\n${lines.map(({ line }) => line).join('')}`)
      const seen = catchUp()
      if (!lines.every(({ name }) => seen.has(name))) throw new Error('a line that was written cannot be read back')
    } catch (error) {
      fail(error)
    }
  })
  return {
    damagedCount: () => damaged,
    read: ({ start, length }) => {
      try {
        return readAt(file, start, length)
      } catch (error) {
        return fail(error)
      }
    },
    append: (record, end) => queue.add({ name: record.type + record.id, line: encodeRecord(record) }, end),
    close: async () => {
      await queue.drained()
      await file.close()
    },
  }
}
