/** @file Ctrl-C and termination: the first asks to save and stop, the second ends the process. */

/** What a process that was asked to stop exits with. */
export const INTERRUPTED = 130

export interface StopSignals {
  readonly signal: AbortSignal
  release(): void
}

type Host = Pick<NodeJS.Process, 'on' | 'off' | 'exit'>

const STOPPING = ['SIGINT', 'SIGTERM'] as const

/** `onStop` is called at the first signal: what is under way may take a while to end. */
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
