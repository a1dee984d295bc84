/** @file What a view of a run is, and what it needs of the process around it. */
import type { RunEvent } from '../data/events.ts'

/** The part of process.stdout that is needed. */
export interface OutputStream {
  readonly isTTY?: boolean
  readonly columns?: number
  readonly rows?: number
  write(text: string): unknown
}

export interface Clock {
  /** Milliseconds since 1970. */
  now(): number
  /** Runs the task again and again, until the function that is returned is called. Does not keep the process alive. */
  every(intervalMs: number, task: () => void): () => void
}

/** The part of `process` that is needed to leave the terminal in order, however the process ends. */
export interface ProcessHost {
  readonly pid: number
  on(event: NodeJS.Signals, listener: (signal: NodeJS.Signals) => void): unknown
  on(event: 'exit', listener: () => void): unknown
  off(event: NodeJS.Signals, listener: (signal: NodeJS.Signals) => void): unknown
  off(event: 'exit', listener: () => void): unknown
  listenerCount(event: NodeJS.Signals): number
  kill(pid: number, signal: NodeJS.Signals): unknown
}

export type Environment = Readonly<Record<string, string | undefined>>

export interface ViewOptions {
  readonly stream: OutputStream
  readonly environment: Environment
  readonly clock: Clock
  readonly host: ProcessHost
  readonly logFormat: 'text' | 'json'
  /** Updates from one line to the next where there is no live block. */
  readonly loggingSteps: number
}

/** Whoever opens a view closes it in a `finally`. */
export interface View {
  show(event: RunEvent): void
  close(): void
}
