/** @file The state of a run as the live block shows it, and the block as lines. Knows nothing of terminals. */
import { basename } from 'node:path'
import type { EventOf, Metrics, RunEvent } from '../data/events.ts'
import { showCompact, showCount, showDuration, showGigabytes, showNumber, showRate, showSigned } from './format.ts'
import { firstThatFits, type Line, lineWidth, span } from './line.ts'
import { bar, sparkline } from './sparkline.ts'

/** Updates that the speed is taken from. */
const RECENT = 20
const BAR_WIDTH = 20
const MIN_BAR_WIDTH = 6
const SPARKLINE_WIDTH = 8

/** What is known of the run so far; changed by `follow` only. */
export interface Progress {
  begin?: EventOf<'run-begin'>
  model?: EventOf<'model-loaded'>
  data?: EventOf<'data-loaded'>
  reference?: EventOf<'reference-progress'>
  evaluation?: { done: number; total: number }
  last?: EventOf<'update-end'>
  /** The update that was reached, by this process or by the one it resumes. */
  update: number
  /** When the first update of this process began. */
  begunMs: number
  losses: number[]
  recent: EventOf<'update-end'>[]
}

export function newProgress(): Progress {
  return { update: 0, begunMs: 0, losses: [], recent: [] }
}

/** Takes note of an event that was seen at `nowMs`. */
export function follow(progress: Progress, event: RunEvent, nowMs: number): void {
  switch (event.type) {
    case 'run-begin':
      progress.begin = event
      break
    case 'model-loaded':
      progress.model = event
      break
    case 'data-loaded':
      progress.data = event
      break
    case 'run-resumed':
      progress.update = event.update
      break
    case 'reference-progress':
      progress.reference = event
      break
    case 'update-end':
      followUpdate(progress, event, nowMs)
      break
    case 'evaluation-begin':
      progress.evaluation = { done: 0, total: event.total }
      break
    case 'evaluation-progress':
      progress.evaluation = event
      break
    case 'evaluation-end':
    case 'run-interrupted':
      progress.evaluation = undefined
  }
}

function followUpdate(progress: Progress, event: EventOf<'update-end'>, nowMs: number): void {
  if (progress.last === undefined) progress.begunMs = nowMs - event.seconds * 1000
  progress.last = event
  progress.update = event.update
  progress.losses.push(event.metrics['loss'])
  progress.recent = [...progress.recent.slice(1 - RECENT), event]
}

/** Seconds until the last update ends: the median time of the recent updates, as one slow update says little. */
export function remainingSeconds({ recent, update, last }: Progress): number {
  if (last === undefined) return Number.NaN
  return medianSeconds(recent) * (last.updates - update)
}

function medianSeconds(updates: readonly EventOf<'update-end'>[]): number {
  const seconds = updates.map((update) => update.seconds).sort((a, b) => a - b)
  const middle = (seconds.length - 1) / 2
  return (seconds[Math.floor(middle)] + seconds[Math.ceil(middle)]) / 2
}

/** The lines of the block, none wider than `width` columns. */
export function blockLines(progress: Progress, width: number, nowMs: number): Line[] {
  const { begin, reference, evaluation, last } = progress
  return [
    ...(begin === undefined ? [] : [headerLine(begin, progress, width)]),
    ...(reference === undefined ? [] : [referenceLine(reference, width)]),
    ...(progress.data === undefined ? [] : [trainLine(progress, progress.data.updates, width, nowMs)]),
    ...(last === undefined ? [] : [metricsLine(last.metrics, progress.losses, width)]),
    ...(evaluation === undefined ? [] : [evaluationLine(evaluation, width)]),
  ]
}

function headerLine(begin: EventOf<'run-begin'>, { model, data }: Progress, width: number): Line {
  const trained = model && ` (${showCompact(model.trainable)} of ${showCompact(model.parameters)})`
  const facts = [
    basename(begin.model),
    begin.adapter + (trained ?? ''),
    ...(data === undefined || data.pairs === 0 ? [] : [`${showCount(data.pairs)} pairs`]),
    begin.device,
  ]
  const shorter = facts.map((_, dropped) => facts.slice(0, facts.length - dropped).join(' · '))
  const title = span('stepdpo train', 'bold')
  const run = span(`run ${begin.run}`, 'dim')
  const withRun = shorter.map((text) => {
    const left = [title, span(`  ${text}`)]
    return [...left, span(' '.repeat(Math.max(2, width - lineWidth([...left, run])))), run]
  })
  return firstThatFits([...withRun, ...shorter.map((text) => [title, span(`  ${text}`)]), [title]], width)
}

function referenceLine({ done, total, cached }: EventOf<'reference-progress'>, width: number): Line {
  const pairs = `${showCount(done)}/${showCount(total)} pairs`
  const note = cached === total ? ['cached'] : cached > 0 ? [`${showCount(cached)} cached`] : []
  return barLine({ label: 'ref', done, total }, [[pairs, ...note], [pairs]], width)
}

function evaluationLine({ done, total }: { done: number; total: number }, width: number): Line {
  return barLine({ label: 'eval', done, total }, [[`${showCount(done)}/${showCount(total)}`]], width)
}

function trainLine(progress: Progress, updates: number, width: number, nowMs: number): Line {
  const { update, last, recent } = progress
  const count = `${String(update).padStart(String(updates).length)}/${updates}`
  const show = (details: readonly string[][]) =>
    barLine({ label: 'train', done: update, total: updates }, details, width)
  if (last === undefined) return show([[count]])
  const remaining = `<${showDuration(remainingSeconds(progress))}`
  const times = showDuration((nowMs - progress.begunMs) / 1000) + remaining
  const timesAndRate = `[${times}, ${showNumber(medianSeconds(recent))} s/step]`
  const tokens = `${showCount(Math.round(sum(recent, 'tokens') / sum(recent, 'seconds')))} tok/s`
  const memory = `RSS ${showGigabytes(last.residentBytes)}`
  return show([
    [count, timesAndRate, tokens, memory],
    [count, timesAndRate, tokens],
    [count, timesAndRate],
    [count, `[${times}]`],
    [count, remaining],
    [count],
  ])
}

function sum(updates: readonly EventOf<'update-end'>[], key: 'tokens' | 'seconds'): number {
  return updates.reduce((total, update) => total + update[key], 0)
}

/** A label, a bar and the first of the lists of details that leaves the bar room; without a bar where none does. */
function barLine(
  { label, done, total }: { label: string; done: number; total: number },
  details: readonly string[][],
  width: number,
): Line {
  const name = label.padEnd(width < 60 ? 6 : 8)
  for (const parts of details) {
    const text = ['', ...parts].join('  ')
    const room = Math.min(BAR_WIDTH, width - name.length - text.length)
    if (room >= MIN_BAR_WIDTH) return [span(name, 'bold'), span(bar(done, total, room), 'cyan'), span(text)]
  }
  return firstThatFits(
    details.map((parts) => [span(`${label} `, 'bold'), span(parts.join(' '))]),
    width,
  )
}

/** As many of the metrics as fit, the most telling first. */
function metricsLine(metrics: Metrics, losses: readonly number[], width: number): Line {
  const loss = [span('  loss '), span(showNumber(metrics['loss'], 4), 'bold')]
  const part = (label: string, name: string, show: (value: number) => string): Line[] =>
    metrics[name] === undefined ? [] : [[span(`  ${label} ${show(metrics[name])}`)]]
  const parts: Line[] = [
    [...loss, span(` ${sparkline(losses, SPARKLINE_WIDTH)}`, 'cyan')],
    ...part('margin', 'rewards/margins', showSigned),
    ...part('acc', 'rewards/accuracies', showNumber),
    ...part('chosen', 'rewards/chosen', showSigned),
    ...part('rejected', 'rewards/rejected', showSigned),
    ...part('lr', 'learning_rate', showRate),
    ...part('|g|', 'grad_norm', showNumber),
  ]
  const shorter = parts.map((_, dropped) => parts.slice(0, parts.length - dropped).flat())
  return firstThatFits([...shorter, loss], width)
}
