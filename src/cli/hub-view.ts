/** @file What is told while files of the Hub come, and names of the Hub in settings before a command begins. */
import { openHub } from '../interop/hub-access.ts'
import type { HubEvent, Show } from '../recipe/hub-files.ts'
import type { HubSettings } from '../recipe/hub-names.ts'
import { showDuration } from './format.ts'
import { bar } from './sparkline.ts'
import { isLiveOutput } from './stage-lines.ts'
import type { OutputStream } from './view.ts'
import { printable } from './width.ts'

const REDRAW_SECONDS = 0.1
const SILENCE_SECONDS = 10
const BAR_WIDTH = 20

export function showBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  const power = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3))
  return `${(bytes / 1000 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`
}

type Progress = Extract<HubEvent, { type: 'hub-progress' }>

function progressLine({ file, done, total, came }: Progress, seconds: number, isLive: boolean): string {
  const rate = came / Math.max(seconds, 0.001)
  const left = rate > 0 ? showDuration((total - done) / rate) : '?'
  const shown = isLive ? `${bar(done, total, BAR_WIDTH)} ` : ''
  return `${shown}${showBytes(done)} of ${showBytes(total)}  ${showBytes(rate)}/s  [<${left}]  ${file}`
}

/** A line that is drawn again on a terminal, and lines now and then elsewhere. */
export function openHubView(stream: OutputStream, isLive: boolean, seconds: () => number): Show {
  let begun = seconds()
  let shownAt = begun
  let hasLine = false
  const say = (message: string): void => {
    stream.write(`${hasLine ? '\r\u001b[K' : ''}${printable(message)}\n`)
    hasLine = false
  }
  const showProgress = (event: Progress): void => {
    if (seconds() - shownAt < (isLive ? REDRAW_SECONDS : SILENCE_SECONDS)) return
    shownAt = seconds()
    const line = printable(progressLine(event, seconds() - begun, isLive))
    stream.write(isLive ? `\r\u001b[K${line.slice(0, Math.max(20, (stream.columns || 80) - 1))}` : `${line}\n`)
    hasLine = isLive
  }
  return (event) => {
    switch (event.type) {
      case 'hub-waiting':
        return say(event.message)
      case 'hub-begin':
        begun = shownAt = seconds()
        return say(`${event.repo.id}, commit ${event.commit}: ${event.files} files, ${showBytes(event.total)}`)
      case 'hub-progress':
        return showProgress(event)
      case 'hub-end': {
        const rate = `${showBytes(event.came)} came in ${showDuration(seconds() - begun)}`
        return say(`${event.came === 0 ? 'all was there already' : rate}: ${event.folder}`)
      }
    }
  }
}

/** The view on standard error: standard output is for results. */
export function hubView(): Show {
  const isLive = process.stderr.isTTY === true && isLiveOutput()
  return openHubView(process.stderr, isLive, () => performance.now() / 1000)
}

/** The settings of a command that computes: names of the Hub have become paths, and what they stand for was told. */
export async function fetchNames<S extends HubSettings>(settings: S): Promise<S> {
  const { resolveNames } = await import('../recipe/hub-names.ts')
  return resolveNames(settings, {
    open: () => openHub(process.env, new AbortController().signal),
    show: hubView(),
    tell: (message) => process.stderr.write(`${printable(message)}\n`),
  })
}
