/** @file Judges the solutions of a file: the `judge` command. What was judged before is not judged again. */
import { existsSync, mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { InputError, showPlace, UserError } from '../base/errors.ts'
import { openLineLog, writeDurably } from '../base/files.ts'
import { readLog } from '../base/lines.ts'
import { lockFolder } from '../base/lock.ts'
import type { JudgeEvent, StepCounts } from '../data/judge-events.ts'
import type { JudgeRow } from '../data/judge-row.ts'
import { readJudgeRows } from '../data/judge-rows.ts'
import { type Judgement, judgementSchema } from '../data/judgement.ts'
import { findDataFile } from '../data/locate.ts'
import { measurePanel } from '../eval/panel.ts'
import { type AggregationName, aggregate } from '../judge/aggregate.ts'
import type { StepVerdicts } from '../judge/port.ts'
import { parseSplitter } from '../text/steps.ts'
import { createMailbox, type Happening, inParallel, type Mailbox } from './in-parallel.ts'
import { solutionsAtOnce } from './judge-batches.ts'
import { type JudgeParts, openJudge } from './judge-parts.ts'
import type { JudgeFileSettings } from './judge-settings.ts'
import { writeUsageLog } from './usage-log.ts'
import type { World } from './world.ts'

const JUDGEMENTS = 'judgements.jsonl'

interface Loaded {
  readonly rows: readonly JudgeRow[]
  readonly events: readonly JudgeEvent[]
}

/** Every solution once, and what is left out. */
export async function loadRows({ dataset_path, splitter, limit, strict }: JudgeFileSettings): Promise<Loaded> {
  const file = findDataFile(dataset_path)
  const rows = new Map<string, JudgeRow>()
  const dropped = new Map<string, { count: number; example: string }>()
  let total = 0
  for await (const read of readJudgeRows(file, parseSplitter(splitter))) {
    if (rows.size === limit) break
    total++
    if ('row' in read) rows.set(read.row.id, read.row)
    else {
      const place = { file, line: read.line }
      const reason = 'bad' in read ? read.bad : read.dropped
      if (strict && 'bad' in read) throw new InputError(place, 'a solution to judge', reason)
      const known = dropped.get(reason) ?? { count: 0, example: showPlace(place) }
      dropped.set(reason, { ...known, count: known.count + 1 })
    }
  }
  if (rows.size === 0) {
    const [reason] = dropped.keys()
    throw new UserError(`${file}: there is nothing to judge${reason === undefined ? '' : `: ${reason}`}`)
  }
  const events = [...dropped].map(([reason, facts]) => ({ type: 'rows-dropped' as const, reason, total, ...facts }))
  return { rows: [...rows.values()], events }
}

/** The newest judgement of each solution by this judge, in a folder of judgements. */
export async function readJudgements(folder: string, judge: string): Promise<Map<string, Judgement>> {
  const path = join(folder, JUDGEMENTS)
  const known = new Map<string, Judgement>()
  if (!existsSync(path)) return known
  for await (const value of readLog(path)) {
    const parsed = judgementSchema.safeParse(value)
    if (parsed.success && parsed.data.judge === judge) known.set(parsed.data.id, parsed.data)
  }
  return known
}

export function judgementOf(row: JudgeRow, judge: string, { steps }: StepVerdicts, method: AggregationName): Judgement {
  const { score, coverage } = aggregate(steps, method)
  const { problem } = row.solution
  const judged = steps.map((verdict, at) => ({ text: row.solution.steps[at], ...verdict }))
  return { id: row.id, judge, problem, steps: judged, score, aggregation: method, coverage }
}

export function countSteps(judgements: Iterable<Judgement>): StepCounts {
  const counts = { scored: 0, abstained: 0, failed: 0 }
  for (const { steps } of judgements) for (const { state } of steps) counts[state]++
  return counts
}

function countFailures(judgements: Iterable<Judgement>): Record<string, number> {
  const counts = new Map<string, number>()
  for (const { steps } of judgements) {
    for (const step of steps) if (step.state === 'failed') counts.set(step.kind, (counts.get(step.kind) ?? 0) + 1)
  }
  return Object.fromEntries(counts)
}

function addSteps(a: StepCounts, b: StepCounts, sign: 1 | -1): StepCounts {
  return {
    scored: a.scored + sign * b.scored,
    abstained: a.abstained + sign * b.abstained,
    failed: a.failed + sign * b.failed,
  }
}

/** Whether a step failed; one that was never asked about, for money or time, is asked about when the run goes on. */
function hasFailed({ steps }: Judgement, isRetried: boolean): boolean {
  return steps.some(
    (step) => step.state === 'failed' && (isRetried || step.kind === 'budget' || step.kind === 'stopped'),
  )
}

/**
 * Judges what was not judged yet, `concurrency` solutions at a time, and yields what happens. Judgements go to
 * `judgements.jsonl` in the order of their making; after a crash, what is missing there costs nothing to make again.
 * @throws UserError for data, judges, keys and folders that cannot be used.
 */
export async function* judgeFile(settings: JudgeFileSettings, world: World): AsyncGenerator<JudgeEvent> {
  const folder = resolve(settings.output_dir)
  mkdirSync(folder, { recursive: true })
  const lock = lockFolder(folder)
  try {
    const { rows, events } = await loadRows(settings)
    const mailbox: JudgeMailbox = createMailbox()
    const tellBatch = settings.batch_api ? (notice: JudgeEvent) => mailbox.put({ notice }) : undefined
    const run = world.spender ?? folder
    const parts = await openJudge({ settings, world, run, purpose: 'judge', tellBatch })
    try {
      yield* judgeRows({ settings, world, folder, rows, parts, mailbox }, events)
    } finally {
      await parts.close()
      if (!settings.dry_run) await writeUsageLog(folder, parts.ledger.path, run)
    }
  } finally {
    lock.release()
  }
}

type JudgeMailbox = Mailbox<Happening<{ readonly row: JudgeRow; readonly verdicts: StepVerdicts }, JudgeEvent>>

interface Judging {
  readonly settings: JudgeFileSettings
  readonly world: World
  readonly folder: string
  readonly rows: readonly JudgeRow[]
  readonly parts: JudgeParts
  readonly mailbox: JudgeMailbox
}

async function* judgeRows(judging: Judging, events: readonly JudgeEvent[]): AsyncGenerator<JudgeEvent> {
  const { settings, folder, rows, parts } = judging
  const known = await readJudgements(folder, parts.judge.name)
  const isDone = ({ id }: JudgeRow): boolean => {
    const judgement = known.get(id)
    return judgement !== undefined && !hasFailed(judgement, settings.retry_errors)
  }
  const open = rows.filter((row) => !isDone(row))
  yield {
    type: 'judging-begin',
    judge: parts.judge.name,
    data: settings.dataset_path,
    folder,
    solutions: rows.length,
    known: rows.length - open.length,
    maxCost: settings.max_cost ?? null,
  }
  yield* events
  if (settings.dry_run) {
    const plans = parts.plan(open.map(({ solution }) => solution))
    yield { type: 'judging-planned', plans: plans.map(({ judge, plan }) => ({ judge, ...plan })) }
    return
  }
  yield* judgeOpen(judging, open, known)
}

/** Verdicts as they come. First of all goes what a process before left at a batch API. */
function judgeAll({ settings, world, parts, mailbox }: Judging, open: readonly JudgeRow[]) {
  const { signal } = world
  const solutions = open.map(({ solution }) => solution)
  const limit = settings.batch_api ? solutionsAtOnce(settings, solutions) : settings.concurrency
  let resumed: Promise<void> | undefined
  return inParallel(open, { limit, signal, mailbox }, async (row) => {
    resumed ??= parts.resume()
    await resumed
    // A signal of its own: thousands of listeners at one are slow.
    return { row, verdicts: await parts.judge.judge(row.solution, AbortSignal.any([signal])) }
  })
}

async function* judgeOpen(
  judging: Judging,
  open: readonly JudgeRow[],
  known: Map<string, Judgement>,
): AsyncGenerator<JudgeEvent> {
  const { world, folder, rows, parts } = judging
  const log = openLineLog(join(folder, JUDGEMENTS))
  const started = world.seconds()
  let usage = { calls: 0, cached: 0, tokens: 0 }
  let steps = countSteps(rows.flatMap(({ id }) => known.get(id) ?? []))
  let done = 0
  try {
    for (const judgement of known.values()) {
      if (judgement.aggregation === parts.aggregation) continue
      const { score } = aggregate(judgement.steps, parts.aggregation)
      const again = { ...judgement, score, aggregation: parts.aggregation }
      known.set(judgement.id, again)
      log.append(JSON.stringify(again))
    }
    for await (const happening of judgeAll(judging, open)) {
      if ('notice' in happening) {
        yield happening.notice
        continue
      }
      const { row, verdicts } = happening.result
      if (world.signal.aborted) continue // what was stopped is judged when the run goes on
      const judgement = judgementOf(row, parts.judge.name, verdicts, parts.aggregation)
      log.append(JSON.stringify(judgement)) // what was paid for it is durable in the ledger
      const before = known.get(row.id)
      if (before !== undefined) steps = addSteps(steps, countSteps([before]), -1)
      steps = addSteps(steps, countSteps([judgement]), 1)
      known.set(row.id, judgement)
      done++
      const { calls, cached, promptTokens, completionTokens } = verdicts.usage
      usage = {
        calls: usage.calls + calls,
        cached: usage.cached + cached,
        tokens: usage.tokens + promptTokens + completionTokens,
      }
      yield {
        type: 'judgement-made',
        judgement,
        done,
        total: open.length,
        steps,
        ...usage,
        spent: parts.spent().settled,
        seconds: world.seconds() - started,
      }
    }
  } finally {
    log.sync()
    log.close()
  }
  if (world.signal.aborted) {
    yield { type: 'judging-stopped', done, total: open.length, folder }
    return
  }
  const summary = summaryOf(judging, known)
  writeDurably(join(folder, 'summary.json'), `${JSON.stringify({ judge: parts.judge.name, ...summary }, null, 2)}\n`)
  yield { type: 'judging-end', ...summary, seconds: world.seconds() - started, folder }
}

function summaryOf({ rows, parts }: Judging, known: ReadonlyMap<string, Judgement>) {
  const own = rows.flatMap(({ id }) => known.get(id) ?? [])
  const scores = own.flatMap(({ score }) => score ?? [])
  const { settled, reserved } = parts.spent()
  return {
    solutions: own.length,
    steps: countSteps(own),
    failures: countFailures(own),
    score: scores.length === 0 ? null : scores.reduce((sum, score) => sum + score, 0) / scores.length,
    aggregation: parts.aggregation,
    agreement: measurePanel(own.map(({ steps: judged }) => judged)),
    spent: settled,
    maybeSpent: reserved,
  }
}
