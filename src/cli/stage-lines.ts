/** @file What is told of a stage: a line that is drawn again on a terminal, lines now and then in a pipe, the result. */
import { escapeControls } from '../data/events.ts'
import type { StageEvent } from '../data/stage-events.ts'
import { systemWorld, type World } from '../recipe/world.ts'
import { showCount, showDuration } from './format.ts'
import { INTERRUPTED, stopOnSignals } from './signals.ts'
import { bar } from './sparkline.ts'
import type { OutputStream } from './view.ts'
import { printable } from './width.ts'

const SILENCE_SECONDS = 10
const REDRAW_SECONDS = 0.1
const BAR_WIDTH = 20

type Progress = Extract<StageEvent, { type: 'stage-progress' }>

function progressLine({ stage, done, total, unit, seconds, note }: Progress, isLive: boolean): string {
  const left = (seconds / done) * (total - done)
  const time = `[${showDuration(seconds)}<${showDuration(left)}]`
  const shown = isLive ? `${bar(done, total, BAR_WIDTH)} ` : ''
  return `${stage.padEnd(8)} ${shown}${showCount(done)}/${showCount(total)} ${unit}  ${time}${note === '' ? '' : `  ${note}`}`
}

/** What is said once; empty for progress. */
function messagesOf(event: StageEvent): readonly string[] {
  switch (event.type) {
    case 'stage-begin': {
      const known = event.known > 0 ? `, ${showCount(event.known)} of them known` : ''
      return [`${event.stage.padEnd(8)} ${event.facts} · ${showCount(event.total)} ${event.unit}${known}`]
    }
    case 'stage-progress':
      return []
    case 'stage-end':
      return event.lines.map((line, at) => (at === 0 ? event.stage : '').padEnd(8) + ` ${line}`)
    case 'stage-stopped':
      return [`stopped after ${event.done} of ${event.total}; the same command goes on: ${event.folder}`]
    case 'items-dropped': {
      const { count, total, what, reason, example } = event
      const first = example === '' ? '' : ` (first: ${example})`
      return [`⚠ ${showCount(count)} of ${showCount(total)} ${what} left out: ${reason}${first}`]
    }
    case 'warning':
      return [`⚠ ${event.message}`]
  }
}

export interface StageView {
  show(event: StageEvent): void
  close(): void
}

export function openStageView(stream: OutputStream, { json, isLive }: { json: boolean; isLive: boolean }): StageView {
  const begin = isLive ? Number.NEGATIVE_INFINITY : 0 // in a pipe quick stages are their result
  let shownAt = begin
  let hasLine = false
  const clear = (): string => (hasLine ? '\r\u001b[K' : '')
  const showProgress = (event: Progress): void => {
    const isLast = event.done === event.total
    if (!isLast && event.seconds - shownAt < (isLive ? REDRAW_SECONDS : SILENCE_SECONDS)) return
    if (!isLive && isLast && shownAt === begin) return
    shownAt = event.seconds
    const line = printable(progressLine(event, isLive))
    stream.write(isLive ? `${clear()}${line.slice(0, Math.max(20, (stream.columns || 80) - 1))}` : `${line}\n`)
    hasLine = isLive
  }
  return {
    show: (event) => {
      if (json) return void stream.write(`${escapeControls(JSON.stringify(event))}\n`)
      if (event.type === 'stage-progress') return showProgress(event)
      if (event.type === 'stage-begin') shownAt = begin
      for (const message of messagesOf(event)) {
        stream.write(`${clear()}${printable(message)}\n`)
        hasLine = false
      }
    },
    close: () => {
      if (hasLine) stream.write('\n')
    },
  }
}

/** Whether a line can be drawn again. */
export function isLiveOutput(): boolean {
  return process.stdout.isTTY === true && !process.env['CI'] && process.env['TERM'] !== 'dumb'
}

/** Runs stages and shows them. Ctrl-C stops them. */
export async function showStages<T>(
  start: (world: World) => AsyncGenerator<StageEvent, T>,
  { json }: { readonly json: boolean },
): Promise<T> {
  const view = openStageView(process.stdout, { json, isLive: isLiveOutput() })
  const signals = stopOnSignals(process, () => process.stderr.write('\nstopping; what was made is kept\n'))
  try {
    const events = start(systemWorld(signals.signal))
    for (;;) {
      const next = await events.next()
      if (next.done) return next.value
      view.show(next.value)
      if (next.value.type === 'stage-stopped') process.exitCode = INTERRUPTED
    }
  } finally {
    view.close()
    signals.release()
  }
}
