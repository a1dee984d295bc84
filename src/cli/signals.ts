/** @file Ctrl-C and termination: the first asks to save and stop, the second ends the process. */
import { constants } from 'node:os'

export interface StopSignals {
  readonly signal: AbortSignal
  /** What the process exits with once it was asked to stop. */
  exitCode(): number
  release(): void
}

type Host = Pick<NodeJS.Process, 'on' | 'off' | 'exit'>

const STOPPING = ['SIGINT', 'SIGTERM'] as const

export function stopOnSignals(host: Host): StopSignals {
  const controller = new AbortController()
  let code = 0
  const stop = (name: NodeJS.Signals): void => {
    code = 128 + constants.signals[name]
    if (controller.signal.aborted) host.exit(code)
    controller.abort()
  }
  for (const name of STOPPING) host.on(name, stop)
  return {
    signal: controller.signal,
    exitCode: () => code,
    release: () => {
      for (const name of STOPPING) host.off(name, stop)
    },
  }
}
