/** @file What training writes of itself, followed as it grows: events.jsonl and metrics.jsonl. */
import { join } from 'node:path'
import { z } from 'zod'
import type { Alarm, LogLine, SeriesReply, SeriesTable } from '../data/dashboard.ts'
import { isColumns } from '../data/schema.ts'
import { openTail } from './tail.ts'

type Metrics = Readonly<Record<string, unknown>>

interface Point {
  readonly update: number
  readonly values: Metrics
}

/** Training as far as it went. */
export interface RunLog {
  /** The newest event of each type. */
  readonly last: ReadonlyMap<string, LogLine>
  readonly train: readonly Point[]
  readonly evaluations: readonly Point[]
  /** Of updates, by their numbers: one that was repeated counts as it was done last. */
  readonly speed: ReadonlyMap<number, Metrics>
  readonly alarms: readonly Alarm[]
  /** The last lines that are no `update-end`. */
  readonly lines: readonly LogLine[]
}

interface State extends RunLog {
  last: Map<string, LogLine>
  train: Point[]
  evaluations: Point[]
  speed: Map<number, Metrics>
  alarms: Alarm[]
  lines: LogLine[]
}

export const EVENTS = join('stepdpo', 'events.jsonl')
const METRICS = join('stepdpo', 'metrics.jsonl')
const MAX_LINES = 200
const SLICE_BYTES = 1 << 22

export const logLine = z.looseObject({ type: z.string(), time: z.string() })
const metricsLine = z.looseObject({ kind: z.string(), update: z.number() })
const updateEnd = z.looseObject({
  update: z.number(),
  updates: z.number(),
  epoch: z.number(),
  tokens: z.number(),
  seconds: z.number(),
  residentBytes: z.number(),
})
const alarmRaised = z.object({ update: z.number(), name: z.string(), text: z.string(), remedy: z.string() })

/** Follows the log of a run: each call reads what is new. */
export function followRunLog(run: string): () => RunLog {
  const events = openTail(join(run, EVENTS))
  const metrics = openTail(join(run, METRICS))
  const state: State = {
    last: new Map(),
    train: [],
    evaluations: [],
    speed: new Map(),
    alarms: [],
    lines: [],
  }
  return () => {
    for (let hasMore = true; hasMore; ) {
      const read = events.read(SLICE_BYTES)
      if (read.isNew) {
        for (const part of [state.last, state.speed]) part.clear()
        for (const part of [state.alarms, state.lines]) part.length = 0
      }
      for (const { value } of read.rows) addEvent(state, value)
      hasMore = read.hasMore
    }
    for (let hasMore = true; hasMore; ) {
      const read = metrics.read(SLICE_BYTES)
      if (read.isNew) for (const part of [state.train, state.evaluations]) part.length = 0
      for (const { value } of read.rows) addMetrics(state, value)
      hasMore = read.hasMore
    }
    return state
  }
}

function addEvent(state: State, value: unknown): void {
  const parsed = logLine.safeParse(value)
  if (!parsed.success) return
  const line = parsed.data
  state.last.set(line.type, line)
  if (line.type === 'update-end') {
    const end = updateEnd.safeParse(line).data
    if (end === undefined) return
    const { update, epoch, tokens, seconds, residentBytes } = end
    state.speed.set(update, { epoch, seconds, tokens_per_second: tokens / seconds, memory_bytes: residentBytes })
    return
  }
  if (line.type === 'alarm-raised') {
    const alarm = alarmRaised.safeParse(line).data
    if (alarm !== undefined) state.alarms.push(alarm)
  }
  state.lines.push(line)
  if (state.lines.length > MAX_LINES) state.lines.shift()
}

function addMetrics(state: State, value: unknown): void {
  const parsed = metricsLine.safeParse(value)
  if (!parsed.success) return
  const { kind, update, ...values } = parsed.data
  if (kind === 'train') state.train.push({ update, values })
  if (kind === 'eval') state.evaluations.push({ update, values })
}

/** The curves, of which at most `points` rows of each kind are kept: every k-th, and the last. */
export function seriesOf(run: string, log: RunLog, points = Number.POSITIVE_INFINITY): SeriesReply {
  const epochs = new Map([...log.speed].map(([update, { epoch }]) => [update, finite(epoch)]))
  const speed = [...log.speed].map(([update, { epoch: _, ...values }]) => ({ update, values }))
  const table = (rows: readonly Point[]): SeriesTable => tableOf(thin(rows, points), epochs)
  return {
    run,
    train: table(log.train),
    eval: table(log.evaluations),
    speed: table(speed.sort((a, b) => a.update - b.update)),
  }
}

function thin(rows: readonly Point[], points: number): readonly Point[] {
  if (rows.length <= points) return rows
  const stride = Math.ceil(rows.length / points)
  return rows.filter((_, at) => (rows.length - 1 - at) % stride === 0)
}

function tableOf(rows: readonly Point[], epochs: ReadonlyMap<number, number | null>): SeriesTable {
  const names = new Set(rows.flatMap(({ values }) => Object.keys(values)))
  names.delete('epoch')
  const columns = [...names].map((name) => [name, rows.map(({ values }) => finite(values[name]))] as const)
  return {
    update: rows.map(({ update }) => update),
    epoch: rows.map(({ update, values }) => finite(values['epoch']) ?? epochs.get(update) ?? null),
    columns: Object.fromEntries(columns.filter(([, values]) => values.some((value) => value !== null))),
  }
}

/** Numbers that JSON lacks are texts in events, and nothing in metrics. */
export function finite(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null
}

/** A field of an event. */
export function textOf(line: unknown, name: string): string | null {
  const value = isColumns(line) ? line[name] : undefined
  return typeof value === 'string' ? value : null
}

export function numberIn(line: unknown, name: string): number | null {
  return isColumns(line) ? finite(line[name]) : null
}
