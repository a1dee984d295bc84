/** @file What is shown of a sweep: its grid, a line that tells how far it is, a line for every trial, the table. */
import { escapeControls } from '../data/events.ts'
import type { SweepEvent } from '../recipe/sweep.ts'
import type { SweepReport } from '../recipe/sweep-report.ts'
import type { SweepSettings } from '../recipe/sweep-settings.ts'
import { columnRanks, noteLines, sweepTable, verdictLines } from '../recipe/sweep-text.ts'
import { showCount, showDuration, showNumber } from './format.ts'
import { messageOf } from './messages.ts'
import type { StageView } from './stage-lines.ts'
import { tableLines } from './table.ts'
import type { OutputStream } from './view.ts'
import { displayWidth, printable } from './width.ts'

export interface SweepView {
  show(event: SweepEvent): void
}

/** Every event as a line of JSON. */
export function jsonSweepView(stream: OutputStream, now: () => Date): SweepView {
  return {
    show: (event) => {
      // The text of a report is its table, which the JSON has already.
      const facts = event.type === 'sweep-end' ? { ...event, text: undefined } : event
      const json = JSON.stringify({ time: now(), ...facts }, (_, value: unknown) =>
        typeof value === 'number' && !Number.isFinite(value) ? String(value) : value,
      )
      stream.write(`${escapeControls(json)}\n`)
    },
  }
}

/** How far a sweep is. */
interface Course {
  /** Trials that are to be made by this process. */
  readonly pending: number
  readonly updates: number
  ended: number
  /** Updates of the trial under way. */
  made: number
  begun: number
  trial: string
}

/**
 * Words and a line that is drawn again, by way of `stages`.
 * @param seconds of a clock that only goes forward.
 */
export function textSweepView(
  stream: OutputStream,
  stages: StageView,
  settings: SweepSettings,
  seconds: () => number,
): SweepView {
  let course: Course | undefined
  const say = (...lines: readonly string[]): void => {
    stages.show({ type: 'stage-end', stage: 'train', lines, seconds: 0, folder: '' })
  }
  const showProgress = (note: string): void => {
    // A course of no updates yet has no time left to tell.
    if (course !== undefined && course.ended + course.made > 0) stages.show(progressOf(course, seconds(), note))
  }
  // What the data lack is found by every trial anew.
  const told = new Set<string>()
  const sayOnce = (message: string): void => {
    if (!told.has(message)) say(message)
    told.add(message)
  }
  return {
    show: (event) => {
      switch (event.type) {
        case 'sweep-begin':
          course = courseOf(event, seconds())
          say(...beginLines(event, settings))
          break
        case 'trial-begin':
          if (course !== undefined) course.trial = `trial ${event.trial} of ${event.trials} · ${event.name}`
          break
        case 'update-end':
          if (course !== undefined) course.made = event.update
          showProgress(`loss ${showNumber(event.metrics['loss'], 4)}`)
          break
        case 'evaluation-progress':
          showProgress(`evaluation ${event.done}/${event.total}`)
          break
        case 'trial-end':
          if (course !== undefined) Object.assign(course, { ended: course.ended + 1, made: 0 })
          say(`trial ${event.trial} of ${event.trials} · ${event.name}: ${outcomeText(event.outcome, settings.metric)}`)
          break
        case 'sweep-stopped':
          stages.show(stoppedOf(event))
          break
        case 'sweep-end':
          stages.close()
          writeReport(stream, event, settings)
          break
        case 'warning':
        case 'rows-dropped':
        case 'checkpoint-damaged':
        case 'run-resumed':
          sayOnce(messageOf(event) ?? '')
      }
    },
  }
}

type EventOf<Type extends SweepEvent['type']> = Extract<SweepEvent, { readonly type: Type }>

function courseOf({ trials, updates }: EventOf<'sweep-begin'>, begun: number): Course {
  return { pending: trials.filter(({ known }) => !known).length, updates, ended: 0, made: 0, begun, trial: '' }
}

function beginLines({ trials, points, updates, heldOut }: EventOf<'sweep-begin'>, settings: SweepSettings): string[] {
  const known = trials.filter((trial) => trial.known).length
  const seeds = trials.length / points
  const pairs = `${showCount(heldOut.pairs)} held-out pairs of ${showCount(heldOut.problems)} problems`
  const done = known > 0 ? `, ${known} of them done before` : ''
  return [
    `${trials.length} ${trials.length === 1 ? 'trial' : 'trials'}${seeds > 1 ? ` (${points} points × ${seeds} seeds)` : ''}${done}, ${showCount(updates)} updates each; ${pairs}`,
    ...(settings.dry_run
      ? [
          ...trials.map(({ name, known: isKnown }) => name + (isKnown ? '  (done)' : '')),
          `${showCount((trials.length - known) * updates)} updates to make`,
        ]
      : []),
  ]
}

/** All trials of this process as one course of updates. A trial that ends early makes the rest of its updates at once. */
function progressOf({ pending, updates, ended, made, begun, trial }: Course, now: number, note: string) {
  return {
    type: 'stage-progress',
    stage: 'train',
    done: ended * updates + made,
    total: pending * updates,
    unit: 'updates',
    seconds: now - begun,
    note: `${trial} · ${note}`,
  } as const
}

function stoppedOf({ done, trials, folder }: EventOf<'sweep-stopped'>) {
  return { type: 'stage-stopped', stage: 'train', done, total: trials, folder } as const
}

function outcomeText(outcome: EventOf<'trial-end'>['outcome'], metric: string): string {
  if ('failure' in outcome) return `failed: ${outcome.failure}`
  const { metrics, seconds } = outcome
  const [value, low, high] = [metrics[metric], metrics[`${metric}_low`], metrics[`${metric}_high`]]
  const interval = low === undefined || high === undefined ? '' : ` [${showNumber(low, 3)}, ${showNumber(high, 3)}]`
  const figure = value === undefined || !Number.isFinite(value) ? 'not finite' : `${showNumber(value, 3)}${interval}`
  return `${metric.replace(/^eval_/, '')} ${figure}, ${showDuration(seconds)}`
}

function writeReport(stream: OutputStream, { report, folder }: EventOf<'sweep-end'>, settings: SweepSettings): void {
  const lines = reportLines(report, settings, stream.columns || undefined)
  for (const line of [...lines, '', `${folder}/sweep.md`]) stream.write(`${printable(line)}\n`)
}

/** The best point, the table as wide as fits into `width` columns, and what it does not say of itself. */
export function reportLines(report: SweepReport, settings: SweepSettings, width?: number): string[] {
  const [widest, ...narrower] = columnRanks(report).map((rank) => sweepTable(report, rank))
  const fits = (table: typeof widest): boolean =>
    width === undefined || tableLines(table).every((line) => displayWidth(line) <= width)
  const table = [widest, ...narrower].find(fits) ?? narrower.at(-1) ?? widest
  return ['', ...verdictLines(report), '', ...tableLines(table, width), '', ...noteLines(report, settings)]
}
