/** @file What ends a process early: Ctrl-C, termination, and output that nobody reads any more. */
import { codeOf } from '../base/errors.ts'

/** What a process that was asked to stop exits with. */
export const INTERRUPTED = 130

export interface StopSignals {
  readonly signal: AbortSignal
  release(): void
}

type Host = Pick<NodeJS.Process, 'on' | 'off' | 'exit'>

const STOPPING = ['SIGINT', 'SIGTERM'] as const

/**
 * The first signal asks to save and stop, the second ends the process. `onStop` is called at the first: what is under way
 * may take a while to end.
 */
export function stopOnSignals(host: Host, onStop: () => void): StopSignals {
  const controller = new AbortController()
  const stop = (): void => {
    if (controller.signal.aborted) host.exit(INTERRUPTED)
    controller.abort()
    onStop()
  }
  for (const name of STOPPING) host.on(name, stop)
  return {
    signal: controller.signal,
    release: () => {
      for (const name of STOPPING) host.off(name, stop)
    },
  }
}

/**
 * Where the reader of the output goes away, as in `stepdpo score … | head`, the process terminates without a complaint.
 * A training saves before, as for any SIGTERM.
 */
export function stopWithReader(host: Pick<NodeJS.Process, 'stdout' | 'pid' | 'kill'>): void {
  let hasGone = false
  host.stdout.on('error', (error) => {
    if (codeOf(error) !== 'EPIPE') throw error
    if (!hasGone) host.kill(host.pid, 'SIGTERM') // every write fails from now on, and a second signal would not save
    hasGone = true
  })
}
