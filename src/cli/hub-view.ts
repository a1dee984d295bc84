/** @file What is told while files of the Hub come, and names of the Hub in settings before a command begins. */
import { showBytes } from '../base/sizes.ts'
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
      case 'hub-notice':
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

/** Only what a person has to know: the result is for a program. */
export function hubNotices(stream: OutputStream): Show {
  return (event) => {
    if (event.type === 'hub-notice') stream.write(`${printable(event.message)}\n`)
  }
}

/** The settings of a command that computes: names of the Hub have become paths, and what they stand for was told. */
export async function fetchNames<S extends HubSettings>(settings: S): Promise<S> {
  const { resolveNames } = await import('../recipe/hub-names.ts')
  const show = hubView()
  const tell = (message: string): void => show({ type: 'hub-notice', message })
  return resolveNames(settings, {
    open: () => openHub(process.env, new AbortController().signal, { tell }),
    show,
    tell: (message) => process.stderr.write(`${printable(message)}\n`),
  })
}
