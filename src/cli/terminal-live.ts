/** @file The live block of a terminal: drawn again in place, with everything that is said once scrolling above it. */
import type { RunEvent } from '../data/events.ts'
import { cutLine, type Line, lineWidth, paint, type Style, span } from './line.ts'
import { messageOf } from './messages.ts'
import { blockLines, follow, newProgress } from './progress.ts'
import type { OutputStream, ProcessHost, View, ViewOptions } from './view.ts'

const REDRAW_MS = 100
const CLOCK_MS = 1000

// ECMA-48 control sequences, and DEC's for the cursor.
const CSI = '\u001b['
const CLEAR_LINE = `${CSI}2K`
const CLEAR_BELOW = `${CSI}J`
const HIDE_CURSOR = `${CSI}?25l`
const SHOW_CURSOR = `${CSI}?25h`

export function openLiveView({ stream, clock, host }: ViewOptions, colours: boolean): View {
  const progress = newProgress()
  const showCursor = hideCursor(stream, host)
  const block = openBlock(stream, colours)
  let said: Line[] = []
  let isStale = false
  let drawnMs = Number.NEGATIVE_INFINITY
  const draw = (...below: readonly Line[]): void => {
    const columns = columnsOf(stream)
    drawnMs = clock.now()
    block.draw(said, [...blockLines(progress, columns, drawnMs), ...below.map((line) => cutLine(line, columns))])
    said = []
    isStale = false
  }
  const hint = [span('Ctrl-C saves and stops', 'dim')]
  const drawIfDue = (): void => {
    const waitedMs = clock.now() - drawnMs
    if (waitedMs >= CLOCK_MS || (waitedMs >= REDRAW_MS && (isStale || block.isResized()))) draw(hint)
  }
  const stopTicking = clock.every(REDRAW_MS, drawIfDue)
  let ending: string | undefined
  return {
    show: (event) => {
      follow(progress, event, clock.now())
      const message = messageOf(event)
      if (event.type === 'run-end' || event.type === 'run-interrupted') ending = message
      else if (message !== undefined) said.push([span(message, styleOf(event, message))])
      isStale = true
      drawIfDue()
    },
    close: () => {
      stopTicking()
      draw()
      if (ending !== undefined) stream.write(paint([span(ending, 'bold')], colours) + '\n')
      showCursor()
    },
  }
}

function styleOf(event: RunEvent, message: string): Style | undefined {
  if (event.type === 'checkpoint-saved') return event.best ? 'green' : undefined
  return message.startsWith('⚠') ? 'yellow' : undefined
}

function columnsOf(stream: OutputStream): number {
  return stream.columns || 80
}

/** A block of lines at the end of what was written. The cursor rests at the start of the row below it. */
function openBlock(stream: OutputStream, colours: boolean) {
  let drawnWidths: readonly number[] = []
  let drawnColumns = columnsOf(stream)
  const maxRows = (): number => (stream.rows || 24) - 1
  // A terminal that was made narrower has broken the lines that no longer fit into rows.
  const rowsAbove = (): number => {
    const columns = columnsOf(stream)
    const rows = drawnWidths.reduce((sum, width) => sum + Math.max(1, Math.ceil(width / columns)), 0)
    return Math.min(rows, maxRows())
  }
  return {
    isResized: () => columnsOf(stream) !== drawnColumns,
    draw(above: readonly Line[], lines: readonly Line[]): void {
      const shown = lines.slice(0, maxRows())
      const rows = rowsAbove()
      const up = rows > 0 ? `${CSI}${rows}A` : ''
      // Lines above may be longer than a row, so they need clean ground; without them nothing is cleared in advance, as
      // that would flicker. Row by row, as tmux keeps a copy of a screen that is cleared from its top.
      const clear = above.length > 0 ? `${CLEAR_LINE}\n`.repeat(rows) + up : ''
      const text = [...above, ...shown].map((line) => CLEAR_LINE + paint(line, colours) + '\n').join('')
      stream.write(`\r${up}${clear}${text}${CLEAR_BELOW}`)
      drawnWidths = shown.map(lineWidth)
      drawnColumns = columnsOf(stream)
    },
  }
}

/** Hides the cursor. It is shown again by the function that is returned, and however else the process ends. */
function hideCursor(stream: OutputStream, host: ProcessHost): () => void {
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  const show = (): void => {
    stream.write(SHOW_CURSOR)
  }
  const onSignal = (signal: NodeJS.Signals): void => {
    show()
    if (host.listenerCount(signal) > 1) return // somebody else decides what follows
    host.off(signal, onSignal)
    host.kill(host.pid, signal)
  }
  stream.write(HIDE_CURSOR)
  host.on('exit', show)
  for (const signal of signals) host.on(signal, onSignal)
  return () => {
    host.off('exit', show)
    for (const signal of signals) host.off(signal, onSignal)
    show()
  }
}
