/**
 * @file The lines of the ledger: `{"sha256":"…","record":{…}}`, where the hash is that of the record's bytes. A line
 * that was cut or edited does not fit its hash.
 */
import { z } from 'zod'
import { UserError } from '../base/errors.ts'
import { sha256 } from '../base/hash.ts'
import { parseJson } from '../base/lines.ts'
import { failureKind } from '../data/judgement.ts'
import type { ChatReply } from './chat.ts'
import { OPTIONAL } from './providers/dialect.ts'

/** US dollars · 10⁻⁹, so that sums are exact; null where the price is not known. */
const money = z.int().min(0).nullable()

// JSON has no −∞: it is written as null.
const logprob = z
  .number()
  .nullable()
  .transform((value) => value ?? Number.NEGATIVE_INFINITY)

const scored = { token: z.string(), logprob }

const replyForm = z.enum(['json-schema', 'tool', 'text'])

/** A reply as it stands in a file. */
export const recordedReply: z.ZodType<ChatReply> = z.object({
  text: z.string(),
  form: replyForm,
  model: z.string(),
  promptTokens: z.number(),
  completionTokens: z.number(),
  logprobs: z.array(z.object({ ...scored, alternatives: z.array(z.object(scored)) })).nullable(),
})

/** What every line says: which attempt it belongs to, whose money it is, when it was written. */
const common = { id: z.string(), key: z.string(), run: z.string(), time: z.string() }

const record = z.discriminatedUnion('type', [
  /** A request is about to be sent, and may cost as much as is reserved for it. */
  z.object({
    type: z.literal('intent'),
    ...common,
    model: z.string(),
    purpose: z.string(),
    promptVersion: z.string(),
    /** From 1. */
    attempt: z.int(),
    reserved: money,
    /** The most that the run may cost; null: no limit. */
    cap: money,
    /** It is sent in a job of many. */
    api: z.literal('batch').optional(),
  }),
  /** A whole reply came. */
  z.object({ type: z.literal('reply'), ...common, cost: money, reply: recordedReply }),
  /** None came. `cost` is the whole reservation where nobody knows. */
  z.object({
    type: z.literal('failure'),
    ...common,
    cost: money,
    maybePaid: z.boolean(),
    usage: z.object({ promptTokens: z.number(), completionTokens: z.number() }).nullable(),
    kind: failureKind,
    why: z.string(),
  }),
  /** A job of many requests is about to be sent. Its `id` is ours; the vendor's is not known yet. */
  z.object({
    type: z.literal('batch'),
    id: z.string(),
    run: z.string(),
    time: z.string(),
    model: z.string(),
    /** The attempts' ids. */
    requests: z.array(z.string()),
    /** How they are written, and what reading their replies takes. */
    form: replyForm,
    without: z.array(z.enum(OPTIONAL)),
    shape: z.object({
      schema: z.object({ name: z.string() }).nullable(),
      maxTokens: z.number(),
      topP: z.number().nullable(),
      seed: z.number().nullable(),
      topLogprobs: z.number(),
    }),
  }),
  /** What the vendor calls the job. Null: it could not be found, and nobody knows whether it was made. */
  z.object({
    type: z.literal('batch-created'),
    id: z.string(),
    time: z.string(),
    batch: z.string().nullable(),
  }),
])

export type LedgerLine = Readonly<z.infer<typeof record>>
/** What there is of money. */
export type LedgerRecord = Extract<LedgerLine, { key: string }>
export type Intent = Extract<LedgerLine, { type: 'intent' }>
export type Outcome = Exclude<LedgerRecord, Intent>
export type BatchNote = Exclude<LedgerLine, LedgerRecord>

const HEAD = '{"sha256":"'
const MIDDLE = '","record":'
const RECORD_AT = HEAD.length + 64 + MIDDLE.length

/** The line of a record, with its line end. @throws Error for what could not be read again, such as a count of NaN. */
export function encodeRecord(content: LedgerLine): string {
  const json = JSON.stringify(content)
  record.parse(JSON.parse(json))
  return `${HEAD}${sha256(json)}${MIDDLE}${json}}\n`
}

/**
 * The record of a line, null where the line does not fit its hash.
 * @throws UserError for a whole line of a form that is not ours.
 */
export function decodeRecord(line: Buffer, path: string): LedgerLine | null {
  const json = line.subarray(RECORD_AT, -1)
  const rest = Buffer.concat([line.subarray(0, RECORD_AT), line.subarray(-1)]).toString('latin1')
  if (rest !== `${HEAD}${sha256(json)}${MIDDLE}}`) return null
  const parsed = parseJson(json)
  const result = record.safeParse('value' in parsed ? parsed.value : undefined)
  if (result.success) return result.data
  throw new UserError(`${path} was written by another version of stepdpo: move it away, or set STEPDPO_CACHE`)
}
