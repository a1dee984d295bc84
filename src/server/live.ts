/**
 * @file What happens in runs, as server-sent events (HTML standard, section 9.2). The log of a run is read once for all
 * its listeners. One who does not read is dropped when 1 MiB waits for him.
 */
import { join } from 'node:path'
import type { LiveCounts } from '../data/dashboard.ts'
import { escapeControls } from '../data/events.ts'
import { EVENTS, logLine } from './run-log.ts'
import { stateOf } from './run-view.ts'
import type { Run } from './runs.ts'
import { openTail, type Tail, type TailRow } from './tail.ts'

export interface Live {
  /**
   * A stream of events; undefined where there are too many listeners. `from`: the id of the last event that was got, or
   * `start`. `drop` cuts the connection of a listener who does not read.
   */
  listen(run: Run, from: string | undefined, drop: () => void): ReadableStream<Uint8Array> | undefined
  close(): void
}

const MAX_LISTENERS = 256
const MAX_WAITING_BYTES = 1 << 20
/** What may be sent again at once; who missed more begins anew. */
const MAX_MISSED_BYTES = 1 << 19
const POLL_MS = 400
const COUNT_MS = 2000
const BEAT_MS = 15_000

type Send = (frame: Uint8Array) => void

interface Channel {
  readonly run: Run
  readonly tail: Tail
  readonly listeners: Set<Send>
  readonly stop: () => void
  counts: string
}

const encoder = new TextEncoder()

export function openLive(): Live {
  const channels = new Map<string, Channel>()
  let listeners = 0
  const leave = (channel: Channel, send: Send): void => {
    if (!channel.listeners.delete(send)) return
    listeners--
    if (channel.listeners.size > 0) return
    channel.stop()
    channels.delete(channel.run.id)
  }
  return {
    listen: (run, from, drop) => {
      if (listeners >= MAX_LISTENERS) return undefined
      const channel = channels.get(run.id) ?? openChannel(run)
      channels.set(run.id, channel)
      let own: Send | undefined
      return new ReadableStream<Uint8Array>(
        {
          start: (controller) => {
            const send: Send = (frame) => {
              if ((controller.desiredSize ?? 0) >= frame.byteLength) return controller.enqueue(frame)
              leave(channel, send)
              controller.close()
              drop()
            }
            own = send
            listeners++
            channel.listeners.add(send)
            for (const frame of missedFrames(channel, from)) send(frame)
            send(encoder.encode(channel.counts))
          },
          cancel: () => {
            if (own !== undefined) leave(channel, own)
          },
        },
        new ByteLengthQueuingStrategy({ highWaterMark: MAX_WAITING_BYTES }),
      )
    },
    close: () => {
      for (const { stop } of channels.values()) stop()
      channels.clear()
    },
  }
}

function openChannel(run: Run): Channel {
  const tail = openTail(join(run.path, EVENTS))
  skipToEnd(tail)
  const timers: NodeJS.Timeout[] = []
  const channel: Channel = {
    run,
    tail,
    listeners: new Set(),
    stop: () => timers.forEach(clearInterval),
    counts: countsFrame(run),
  }
  const sendAll = (text: string): void => {
    const frame = encoder.encode(text)
    for (const send of [...channel.listeners]) send(frame)
  }
  const every = (delayMs: number, task: () => void): void => void timers.push(setInterval(task, delayMs).unref())
  every(POLL_MS, () => {
    const { rows, isNew } = tail.read(MAX_MISSED_BYTES)
    if (isNew) sendAll(RESET)
    if (rows.length > 0) sendAll(rows.map((row) => logFrame(row, tail)).join(''))
  })
  every(COUNT_MS, () => {
    if (run.traceCount() !== null) void run.traces.refresh(0)
    const counts = countsFrame(run)
    if (counts !== channel.counts) sendAll(counts)
    channel.counts = counts
  })
  every(BEAT_MS, () => sendAll(': still here\n\n'))
  return channel
}

function skipToEnd(tail: Tail): void {
  while (tail.read(1 << 22).hasMore);
}

const RESET = 'event: reset\ndata: {}\n\n'

/** What a listener missed between its last event and where the channel is; a reset where that is too much or unknown. */
function* missedFrames({ tail }: Channel, from: string | undefined): Generator<Uint8Array> {
  if (from === undefined) return
  const own = openTail(tail.path, from === 'start' ? undefined : from)
  const { rows, isNew, hasMore } = own.read(MAX_MISSED_BYTES)
  const end = offsetOf(tail)
  const missed = rows.filter(({ offset }) => offset < end)
  if (isNew || (hasMore && offsetOf(own) < end)) {
    yield encoder.encode(RESET)
    return
  }
  for (const row of missed) yield encoder.encode(logFrame(row, tail))
}

function offsetOf(tail: Tail): number {
  return Number(tail.place().split('-')[1])
}

/** The id is the place behind the line. */
function logFrame({ value, offset, length }: TailRow, tail: Tail): string {
  const line = logLine.safeParse(value)
  if (!line.success) return ''
  const [inode] = tail.place().split('-')
  return `id: ${inode}-${offset + length + 1}\nevent: log\ndata: ${escapeControls(JSON.stringify(line.data))}\n\n`
}

function countsFrame(run: Run): string {
  const counts: LiveCounts = {
    state: stateOf(run, run.log()),
    traces: run.traceCount() ?? 0,
    pairs: run.pairs.read().reduce((sum, { entries }) => sum + entries.length, 0),
    labels: run.labels.read().labels.size,
  }
  return `event: changed\ndata: ${JSON.stringify(counts)}\n\n`
}
