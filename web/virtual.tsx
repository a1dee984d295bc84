/** @file A long list of which only what is seen exists: pages of it are read as they come into view. */
import type { ComponentChildren } from 'preact'
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'
import type { Page } from '../src/data/dashboard.ts'
import { messageOf } from './hooks.ts'
import { readJson } from './source.ts'

const PAGE = 100

export interface LongList<Reply extends Page<unknown>> {
  /** The newest reply: counts and what else stands beside the items. */
  readonly head: Reply | null
  readonly error: string | null
  /** The item, or null while it is read. */
  at(index: number): Reply['items'][number] | null
  /** Reads what is missing between two places. */
  want(first: number, last: number): void
  reload(): void
}

/** `path` has its filters, without offset and limit. */
export function useLongList<Reply extends Page<unknown>>(path: string): LongList<Reply> {
  const [pages, setPages] = useState<{ path: string; known: ReadonlyMap<number, Reply> }>({ path, known: new Map() })
  const [error, setError] = useState<string | null>(null)
  const asked = useRef({ path: '', pages: new Set<number>(), stop: new AbortController() })
  const ask = (page: number) => {
    const { pages: begun, stop } = asked.current
    if (begun.has(page)) return
    begun.add(page)
    readJson<Reply>(`${path}${path.includes('?') ? '&' : '?'}offset=${page * PAGE}&limit=${PAGE}`, stop.signal).then(
      (reply) => {
        if (stop.signal.aborted) return
        setError(null)
        setPages((old) => ({ path, known: new Map(old.path === path ? old.known : []).set(page, reply) }))
      },
      (failure: unknown) => {
        begun.delete(page)
        if (!stop.signal.aborted) setError(messageOf(failure))
      },
    )
  }
  const begin = () => {
    asked.current.stop.abort()
    asked.current = { path, pages: new Set(), stop: new AbortController() }
    ask(0)
  }
  useEffect(() => {
    begin()
    return () => asked.current.stop.abort()
    // The path alone decides: `begin` is new with each drawing.
  }, [path])
  const head = pages.known.get(0) ?? [...pages.known.values()][0] ?? null
  return {
    head,
    error,
    at: (index) => pages.known.get(Math.floor(index / PAGE))?.items[index % PAGE] ?? null,
    want: (first, last) => {
      if (asked.current.path !== path) return
      for (let page = Math.floor(first / PAGE); page <= Math.floor(last / PAGE); page++) ask(page)
    },
    reload: begin,
  }
}

interface VirtualProps {
  readonly label: string
  readonly count: number
  readonly rowHeight: number
  /** The row that keys have chosen: kept in view. */
  readonly current: number
  readonly row: (index: number) => ComponentChildren
  readonly want: (first: number, last: number) => void
}

export function VirtualList({ label, count, rowHeight, current, row, want }: VirtualProps) {
  const box = useRef<HTMLDivElement>(null)
  const [view, setView] = useState({ top: 0, height: 800 })
  const measure = () => {
    if (box.current !== null) setView({ top: box.current.scrollTop, height: box.current.clientHeight })
  }
  useLayoutEffect(() => {
    measure()
    addEventListener('resize', measure)
    return () => removeEventListener('resize', measure)
  }, [])
  useEffect(() => {
    if (box.current !== null && current >= 0) keepInView(box.current, current * rowHeight, rowHeight)
  }, [current, rowHeight])
  const first = Math.max(0, Math.min(count - 1, Math.floor(view.top / rowHeight) - 8))
  const last = Math.min(count - 1, Math.ceil((view.top + view.height) / rowHeight) + 8)
  useEffect(() => {
    if (count > 0) want(first, last)
  })
  const indexes = Array.from({ length: Math.max(0, last - first + 1) }, (_, offset) => first + offset)
  return (
    <section class="virtual" ref={box} onScroll={measure} aria-label={label}>
      <ul style={{ height: `${count * rowHeight}px` }}>
        {indexes.map((index) => (
          <li
            key={index}
            style={{ transform: `translateY(${index * rowHeight}px)`, height: `${rowHeight}px` }}
            aria-setsize={count}
            aria-posinset={index + 1}
            class={index === current ? 'current' : ''}
          >
            {row(index)}
          </li>
        ))}
      </ul>
    </section>
  )
}

function keepInView(box: HTMLElement, top: number, height: number): void {
  if (top < box.scrollTop) box.scrollTop = top
  else if (top + height > box.scrollTop + box.clientHeight) box.scrollTop = top + height - box.clientHeight
}
