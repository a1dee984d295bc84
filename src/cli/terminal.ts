/** @file Shows the events of a run: a live block on a terminal, lines of text in a pipe, or lines of JSON. */
import { encodeEvent, type RunEvent } from '../data/events.ts'
import { beginningOf, messageOf, updateLine } from './messages.ts'
import { openLiveView } from './terminal-live.ts'
import type { Clock, Environment, View, ViewOptions } from './view.ts'
import { printable } from './width.ts'

export const systemClock: Clock = {
  now: Date.now,
  every: (intervalMs, task) => {
    const timer = setInterval(task, intervalMs)
    timer.unref()
    return () => clearInterval(timer)
  },
}

export function openView(options: ViewOptions): View {
  if (options.logFormat === 'json') return jsonView(options)
  const { stream, environment } = options
  const isLive = stream.isTTY === true && environment['TERM'] !== 'dumb' && !isSet(environment['CI'])
  return isLive ? openLiveView(options, wantsColours(environment)) : plainView(options)
}

function isSet(value: string | undefined): boolean {
  return value !== undefined && value !== '' && value !== '0' && value !== 'false'
}

/** For a terminal: FORCE_COLOR (force-color.org) outweighs NO_COLOR (no-color.org), as in Node. */
export function wantsColours(environment: Environment): boolean {
  if (environment['FORCE_COLOR'] !== undefined) return !['0', 'false'].includes(environment['FORCE_COLOR'])
  return !environment['NO_COLOR']
}

function jsonView({ stream, clock }: ViewOptions): View {
  return {
    show: (event) => stream.write(encodeEvent(event, new Date(clock.now())) + '\n'),
    close: () => {},
  }
}

/** Where nothing else was said for so long, a line tells how far the run is. */
const SILENCE_MS = 30_000

function plainView({ stream, clock, loggingSteps }: ViewOptions): View {
  let saidMs = clock.now()
  const lineOf = (event: RunEvent): string | undefined => {
    switch (event.type) {
      case 'update-end':
        return event.update % loggingSteps === 0 || event.update === event.updates ? updateLine(event) : undefined
      case 'reference-progress':
      case 'evaluation-progress':
        if (clock.now() - saidMs < SILENCE_MS) return undefined
        return `${event.type === 'reference-progress' ? 'reference' : 'evaluation'} ${event.done}/${event.total}`
      default:
        return beginningOf(event) ?? messageOf(event)
    }
  }
  return {
    show: (event) => {
      const line = lineOf(event)
      if (line === undefined) return
      stream.write(printable(line) + '\n')
      saidMs = clock.now()
    },
    close: () => {},
  }
}
