/** @file A run as the list of runs and its own page show it. */
import { lstatSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { isInUse } from '../base/lock.ts'
import type {
  CheckpointInfo,
  CompareReply,
  LogLine,
  RunReply,
  RunState,
  RunSummary,
  UsageRow,
} from '../data/dashboard.ts'
import { LABELS } from '../data/labels.ts'
import { isColumns } from '../data/schema.ts'
import { readYaml } from '../recipe/settings-yaml.ts'
import { listCheckpoints } from '../train/checkpoint.ts'
import { type FileKind, workFolders } from './run-files.ts'
import { EVENTS, finite, numberIn, type RunLog, seriesOf, textOf } from './run-log.ts'
import type { Run } from './runs.ts'
import { openTail } from './tail.ts'

const MAX_FILE_BYTES = 8 << 20
const COMPARED_POINTS = 1000

export function stateOf(run: Run, log: RunLog): RunState {
  if (workFolders(run.path).some(isInUse)) return 'running'
  const order = [...log.lines].reverse().find(({ type }) => /^run-(begin|end|interrupted)$/.test(type))?.type
  if (order === 'run-end') return 'finished'
  if (order === 'run-interrupted') return 'stopped'
  return log.last.size === 0 ? 'idle' : 'ended'
}

export function summaryOf(run: Run): RunSummary {
  const log = run.log()
  const begin = log.last.get('run-begin')
  const newest = log.train.at(-1)
  const files = run.files()
  const has = (...kinds: readonly FileKind[]): boolean => files.some(({ kind }) => kinds.includes(kind))
  const training = log.last.size > 0
  const seen = ['.', EVENTS, LABELS, ...files.map(({ name }) => name)]
  return {
    id: run.id,
    name: run.name,
    runName: textOf(begin, 'run'),
    model: textOf(begin, 'model'),
    state: stateOf(run, log),
    update: newest?.update ?? null,
    updates: numberIn(log.last.get('update-end'), 'updates') ?? numberIn(log.last.get('data-loaded'), 'updates'),
    loss: finite(newest?.values['loss']),
    accuracy: finite(newest?.values['rewards/accuracies']),
    margin: finite(newest?.values['rewards/margins']),
    evalLoss: finite(log.evaluations.at(-1)?.values['eval_loss']),
    cost: costOf(usageOf(run)),
    changed: new Date(Math.max(...seen.map((name) => changedAt(join(run.path, name))))).toISOString(),
    alarms: log.alarms.length,
    traces: run.traceCount(),
    files: {
      training,
      rollouts: has('rollouts', 'continuations'),
      judgements: has('judgements'),
      pairs: has('pairs'),
      evaluation: has('reports'),
      labels: run.labels.read().labels.size > 0,
    },
  }
}

function changedAt(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0
}

const usageLine = z.object({
  purpose: z.string(),
  model: z.string(),
  promptVersion: z.string(),
  calls: z.number(),
  failures: z.number(),
  unknown: z.number(),
  promptTokens: z.number(),
  completionTokens: z.number(),
  cost: z.number().nullable(),
  seconds: z.number().nullable().default(null),
})

/** Each line once: a run of all stages has one account in its folder, and the parts of it in those of its judges. */
export function usageOf(run: Run): UsageRow[] {
  const files = run.files().filter(({ kind }) => kind === 'usage')
  const whole = files.filter(({ name }) => !/[/\\]/.test(name))
  const rows = (whole.length > 0 ? whole : files).flatMap(({ path }) => openTail(path).read(MAX_FILE_BYTES).rows)
  return rows.flatMap(({ value }) => usageLine.safeParse(value).data ?? [])
}

function costOf(usage: readonly UsageRow[]): number | null {
  const costs = usage.map(({ cost }) => cost).filter((cost) => cost !== null)
  return costs.length === 0 ? null : costs.reduce((sum, cost) => sum + cost, 0)
}

/** The JSON of a file of ours; undefined where it is not there, too large, a link, or no JSON. */
export function readJsonFile(path: string): unknown {
  const text = readSmallFile(path)
  if (text === undefined) return undefined
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function readSmallFile(path: string): string | undefined {
  const stat = lstatSync(path, { throwIfNoEntry: false })
  return stat?.isFile() && stat.size <= MAX_FILE_BYTES ? readFileSync(path, 'utf8') : undefined
}

function readRecord(path: string): Readonly<Record<string, unknown>> | null {
  const value = readJsonFile(path)
  return isColumns(value) ? value : null
}

/** Settings as they were written when training began. */
function settingsOf(run: Run): Readonly<Record<string, string>> | null {
  const path = join(run.path, 'stepdpo', 'config.resolved.yaml')
  const text = readSmallFile(path)
  if (text === undefined) return null
  try {
    const given = readYaml({ path, text })
    return Object.fromEntries(
      given.map(({ name, content }) => [name, Array.isArray(content) ? content.join(', ') : String(content ?? 'none')]),
    )
  } catch {
    return null // written by hand
  }
}

const stepRewards = z.object({
  updates: z.array(z.number()),
  rows: z.array(z.object({ side: z.string(), position: z.string(), rewards: z.array(z.number().nullable()) })),
})

export function runReply(run: Run): RunReply {
  const log = run.log()
  const own = (name: string): string => join(run.path, 'stepdpo', name)
  const facts = ['run-begin', 'model-loaded', 'data-loaded'].map((type) => factsOf(log.last.get(type)))
  return {
    ...summaryOf(run),
    settings: settingsOf(run),
    environment: Object.assign({}, readRecord(own('env.json')), ...facts),
    results: readRecord(join(run.path, 'all_results.json')),
    usage: usageOf(run),
    checkpoints: checkpointsOf(run, log),
    raised: log.alarms,
    stepRewards: stepRewards.safeParse(readJsonFile(own('step-rewards.json'))).data ?? null,
    log: log.lines,
  }
}

/** What an event says beside its type and time. */
function factsOf(line: LogLine | undefined): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(line ?? {}).filter(([name]) => name !== 'type' && name !== 'time'))
}

function checkpointsOf(run: Run, log: RunLog): CheckpointInfo[] {
  const best = new Set(
    log.lines.flatMap((line) => (line.type === 'checkpoint-saved' && line['best'] === true ? [line['update']] : [])),
  )
  const newestBest = Math.max(...[...best].map(Number), -1)
  return listCheckpoints(run.path).map(({ path, update }) => {
    const files = readdirSync(path).map((name) => lstatSync(join(path, name), { throwIfNoEntry: false }))
    return {
      name: `checkpoint-${update}`,
      update,
      isBest: update === newestBest,
      bytes: files.reduce((sum, stat) => sum + (stat?.size ?? 0), 0),
      changed: new Date(changedAt(path)).toISOString(),
    }
  })
}

export function compareRuns(runs: readonly Run[]): CompareReply {
  const settings = runs.map((run) => settingsOf(run) ?? {})
  const results = runs.map((run) => readRecord(join(run.path, 'all_results.json')) ?? {})
  return {
    runs: runs.map(summaryOf),
    settings: rowsOf(settings, (value) => (typeof value === 'string' ? value : null)).filter(
      ({ values }) => new Set(values).size > 1,
    ),
    results: rowsOf(results, finite),
    series: runs.map((run) => seriesOf(run.id, run.log(), COMPARED_POINTS)),
  }
}

/** A row for each name that any record has, with a value of each record. */
function rowsOf<Value>(
  records: readonly Readonly<Record<string, unknown>>[],
  read: (value: unknown) => Value,
): { readonly name: string; readonly values: Value[] }[] {
  const names = [...new Set(records.flatMap((record) => Object.keys(record)))]
  return names.map((name) => ({
    name,
    values: records.map((record) => read(Object.hasOwn(record, name) ? record[name] : null)),
  }))
}
