/** @file What a sweep keeps of a trial in the trial's folder: what its numbers follow from, and what came out. */
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { InputError, UserError } from '../base/errors.ts'
import { writeDurably } from '../base/files.ts'
import { parseJson, readLog } from '../base/lines.ts'
import type { Identity } from '../train/state.ts'
import type { Trial } from './sweep-grid.ts'

const FILE = 'sweep-trial.json'
const VERSION = 1

/** JSON has no NaN and writes null. */
const number = z
  .number()
  .nullable()
  .transform((value) => value ?? Number.NaN)
const numbers = z.record(z.string(), number)

const resultFields = z.object({
  updates: z.number(),
  /** Tokens that were computed, and the seconds of all updates: of every process that had a part in the trial. */
  tokens: z.number(),
  seconds: z.number(),
  /** Of the last evaluation. */
  metrics: numbers,
  /** The held-out problems: their pairs, and the metrics that are means over pairs. */
  problems: z.array(z.object({ problem: z.string(), pairs: z.number(), metrics: numbers })),
})

const outcomeFields = z.union([resultFields, z.object({ failure: z.string() })])
const recordFields = z.object({
  version: z.literal(VERSION),
  identity: z.record(z.string(), z.unknown()),
  outcome: outcomeFields.nullable(),
})

export type TrialResult = z.infer<typeof resultFields>
/** What a trial came to: a result, or why there is none and never will be. */
export type Outcome = z.infer<typeof outcomeFields>
type TrialRecord = z.output<typeof recordFields>

/** @throws InputError for a file that is not ours. */
function readRecord(folder: string): TrialRecord | undefined {
  const file = join(folder, FILE)
  if (!existsSync(file)) return undefined
  const parsed = parseJson(readFileSync(file))
  const record = recordFields.safeParse('value' in parsed ? parsed.value : undefined)
  if (record.success) return record.data
  throw new InputError({ file }, `a trial of a sweep (version ${VERSION})`, 'something else')
}

/** Writes what a trial's numbers follow from, and what came out; null before it has ended. */
export function writeTrial({ settings }: Trial, identity: Identity, outcome: Outcome | null): void {
  mkdirSync(settings.output_dir, { recursive: true })
  const record: TrialRecord = { version: VERSION, identity: { ...identity }, outcome }
  writeDurably(join(settings.output_dir, FILE), `${JSON.stringify(record)}\n`)
}

/** The outcomes of the trials in a folder, by what they follow from: whatever the grid that they were part of. */
export function knownOutcomes(folder: string): Map<string, { readonly name: string; readonly outcome: Outcome }> {
  const names = existsSync(folder) ? readdirSync(folder).sort() : []
  return new Map(
    names.flatMap((name) => {
      const record = readRecord(join(folder, name))
      return record?.outcome ? [[JSON.stringify(record.identity), { name, outcome: record.outcome }]] : []
    }),
  )
}

/** @throws UserError naming the first setting in which a trial of this name differs from what it would be now. */
export function refuseChanged({ name, settings }: Trial, identity: Identity): void {
  const before = readRecord(settings.output_dir)?.identity
  if (before === undefined) return
  for (const key of new Set([...Object.keys(before), ...Object.keys(identity)])) {
    const [old, own] = [JSON.stringify(before[key]), JSON.stringify(identity[key])]
    if (old === own) continue
    throw new UserError(
      `${settings.output_dir}: trial ${name} was made with ${key} ${old}, now it is ${own}: the trials of one sweep must ` +
        'differ in what is swept only. Set it back, choose another --output_dir, or say --overwrite_output_dir',
    )
  }
}

const updateFields = z.looseObject({
  type: z.literal('update-end'),
  update: z.number(),
  seconds: z.number(),
  metrics: z.looseObject({ num_tokens: z.number() }),
})

/** Tokens and seconds of a run's updates, each counted once, however often it was resumed. */
export async function effortOf(folder: string): Promise<{ readonly tokens: number; readonly seconds: number }> {
  const seconds = new Map<number, number>()
  let tokens = 0
  for await (const event of readLog(join(folder, 'stepdpo', 'events.jsonl'))) {
    const parsed = updateFields.safeParse(event)
    if (!parsed.success) continue
    seconds.set(parsed.data.update, parsed.data.seconds)
    tokens = parsed.data.metrics.num_tokens
  }
  return { tokens, seconds: [...seconds.values()].reduce((sum, one) => sum + one, 0) }
}
