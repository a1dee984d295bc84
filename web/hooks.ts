/** @file What pages share: data with its states, live events, keys. */
import { useCallback, useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'
import type { LiveCounts, LogLine } from '../src/data/dashboard.ts'
import { isStatic, readJson } from './source.ts'

export interface Loaded<Reply> {
  /** What was read last: kept while something newer is under way. */
  readonly data: Reply | null
  readonly error: string | null
  readonly isLoading: boolean
  reload(): void
}

/** The reply of a path; what was asked before is given up. Nothing is asked for null. */
export function useData<Reply>(path: string | null): Loaded<Reply> {
  const [state, setState] = useState<{ data: Reply | null; error: string | null; path: string | null }>(nothing)
  const [turn, setTurn] = useState(0)
  useEffect(() => {
    if (path === null || turn < 0) return
    const stop = new AbortController()
    readJson<Reply>(path, stop.signal).then(
      (data) => !stop.signal.aborted && setState({ data, error: null, path }),
      (error: unknown) => !stop.signal.aborted && setState((old) => ({ ...old, error: messageOf(error), path })),
    )
    return () => stop.abort()
  }, [path, turn])
  const reload = useCallback(() => setTurn((old) => old + 1), [])
  return { data: state.data, error: state.error, isLoading: state.path !== path, reload }
}

const nothing = { data: null, error: null, path: null }

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

export interface LiveHandlers {
  onLog?(line: LogLine): void
  onCounts?(counts: LiveCounts): void
}

/** Follows a run; the browser reconnects and goes on behind the last event. True as long as the server is heard. */
export function useLive(run: string, handlers: LiveHandlers): boolean {
  const [isHeard, setIsHeard] = useState(false)
  const latest = useRef(handlers)
  latest.current = handlers
  useEffect(() => {
    if (isStatic) return
    const source = new EventSource(`/api/runs/${encodeURIComponent(run)}/events`)
    source.onopen = () => setIsHeard(true)
    source.onerror = () => setIsHeard(false)
    source.addEventListener('log', (event) => latest.current.onLog?.(JSON.parse(event.data)))
    source.addEventListener('changed', (event) => latest.current.onCounts?.(JSON.parse(event.data)))
    return () => source.close()
  }, [run])
  return isHeard
}

/** Reads again and again while something is under way. */
export function useReloading(reload: () => void, isUnderWay: boolean, ms: number): void {
  useEffect(() => {
    if (!isUnderWay || isStatic) return
    const timer = setInterval(reload, ms)
    return () => clearInterval(timer)
  }, [reload, isUnderWay, ms])
}

/** Calls once in `ms`, however often it is asked to. */
export function useThrottled(call: () => void, ms: number): () => void {
  const latest = useRef(call)
  latest.current = call
  const timer = useRef<ReturnType<typeof setTimeout> | null>(null)
  useEffect(() => () => clearTimeout(timer.current ?? undefined), [])
  return useCallback(() => {
    if (timer.current !== null) return
    timer.current = setTimeout(() => {
      timer.current = null
      latest.current()
    }, ms)
  }, [ms])
}

export type Keys = Readonly<Record<string, () => void>>

/** Keys of a page, by `KeyboardEvent.key`. They rest while somebody types, and with Ctrl, Alt or Meta. */
export function useKeys(keys: Keys): void {
  const latest = useRef(keys)
  latest.current = keys
  // Before the page is shown: who sees a sheet may press its keys.
  useLayoutEffect(() => {
    const press = (event: KeyboardEvent) => {
      const action = latest.current[event.key]
      if (action === undefined || event.defaultPrevented || isTyping(event)) return
      event.preventDefault()
      action()
    }
    addEventListener('keydown', press)
    return () => removeEventListener('keydown', press)
  }, [])
}

export function isTyping(event: KeyboardEvent): boolean {
  const { target } = event
  if (event.ctrlKey || event.altKey || event.metaKey) return true
  if (document.querySelector('dialog[open]') !== null) return true
  if (!(target instanceof HTMLElement)) return false
  const isText = target instanceof HTMLInputElement && !['checkbox', 'radio', 'range'].includes(target.type)
  if (isText || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement) return true
  return (event.key === 'Enter' || event.key === ' ') && target.closest('a, button, summary') !== null
}
