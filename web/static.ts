/** @file The replies of a static copy: read from its scripts, then filtered and sorted here as the server does it. */
import type { CompareReply, RunReply, SeriesReply, StaticEntries } from '../src/data/dashboard.ts'
import type { PairItem, PairsReply } from '../src/data/dashboard-labels.ts'
import type { ProblemsReply, TraceRow, TracesReply } from '../src/data/dashboard-traces.ts'
import { plain } from './format.ts'

const entries = new Map<string, unknown>()
const files = new Map<string, Promise<void>>()

/** The scripts call it. */
function take(given: StaticEntries): void {
  for (const [path, reply] of Object.entries(given)) entries.set(path, reply)
}

export function defineStatic(): void {
  Object.assign(window, { stepdpoStatic: take })
}

export async function readStatic<Reply>(path: string): Promise<Reply> {
  const [route = '', text = ''] = path.split('?', 2)
  const query = new URLSearchParams(text)
  if (route === '/api/compare') return cast(await compare(query))
  const run = /^\/api\/runs\/([^/]+)/.exec(route)?.[1]
  await load(run === undefined ? 'index' : run)
  const reply = look<unknown>(route)
  if (route.endsWith('/traces')) return cast(filterTraces(look<TracesReply>(route), query))
  if (route.endsWith('/pairs')) return cast(filterPairs(look<PairsReply>(route), query))
  if (route.endsWith('/problems')) return cast(filterProblems(look<ProblemsReply>(route), query))
  return cast(reply)
}

/** JSON has no types: what a route replies is the contract's word. */
function cast<Reply>(reply: unknown): Reply {
  return reply as Reply
}

function look<Reply>(route: string): Reply {
  if (!entries.has(route)) throw new Error('This is not part of the copy.')
  return cast<Reply>(entries.get(route))
}

function load(name: string): Promise<void> {
  const known = files.get(name)
  if (known !== undefined) return known
  const loading = new Promise<void>((resolve, reject) => {
    const script = document.createElement('script')
    script.src = `data/${name}.js`
    script.onload = () => resolve()
    script.onerror = () => reject(new Error(`The copy has no file data/${name}.js.`))
    document.head.append(script)
  })
  files.set(name, loading)
  return loading
}

async function compare(query: URLSearchParams): Promise<CompareReply> {
  const ids = (query.get('runs') ?? '').split(',').filter(Boolean)
  await Promise.all(ids.map((id) => load(encodeURIComponent(id))))
  const runs = ids.map((id) => look<RunReply>(`/api/runs/${encodeURIComponent(id)}`))
  const series = ids.map((id) => look<SeriesReply>(`/api/runs/${encodeURIComponent(id)}/series`))
  const settings = spread(
    runs.map((run) => run.settings ?? {}),
    (value) => (value === null ? null : plain(value)),
  )
  const results = spread(
    runs.map((run) => run.results ?? {}),
    (value) => (typeof value === 'number' ? value : null),
  )
  return { runs, settings: settings.filter(({ values }) => new Set(values).size > 1), results, series }
}

/** Every name with its value in each record; null where a record lacks it. */
function spread<Value>(records: readonly Readonly<Record<string, unknown>>[], show: (value: unknown) => Value) {
  const names = [...new Set(records.flatMap((record) => Object.keys(record)))]
  return names.map((name) => ({ name, values: records.map((record) => show(record[name] ?? null)) }))
}

function filterTraces(reply: TracesReply, query: URLSearchParams): TracesReply {
  const kept = reply.items.filter((row) => matchesTrace(row, query))
  return { ...reply, ...cut(sort(kept, traceKey(query), query), query) }
}

function matchesTrace(row: TraceRow, query: URLSearchParams): boolean {
  const wants = (name: string, test: (value: string) => boolean) => {
    const value = query.get(name)
    return value === null || test(value)
  }
  return (
    wants('q', (q) => row.begin.toLowerCase().includes(q.toLowerCase())) &&
    wants('verdict', (letter) => row.verdicts.includes(letter)) &&
    wants('min_score', (low) => row.score !== null && row.score >= Number(low)) &&
    wants('max_score', (high) => row.score !== null && row.score <= Number(high)) &&
    wants('differs', (value) => String(row.differs) === value) &&
    wants('labelled', (value) => String(row.labels !== null) === value) &&
    wants('flagged', (value) => String(row.flagged) === value) &&
    wants('answer', (value) => ({ true: 'right', false: 'wrong', null: 'unknown' })[`${row.isRight}`] === value) &&
    wants('source', (value) => row.source === Number(value)) &&
    wants('problem', (value) => row.problem === value)
  )
}

function traceKey(query: URLSearchParams): (row: TraceRow) => number | null {
  const keys: Record<string, (row: TraceRow) => number | null> = {
    score: (row) => row.score,
    steps: (row) => row.stepCount,
    first_error: (row) => row.firstError,
  }
  return keys[query.get('sort') ?? ''] ?? (() => 0)
}

function filterPairs(reply: PairsReply, query: URLSearchParams): PairsReply {
  const q = (query.get('q') ?? '').toLowerCase()
  const kept = reply.items.filter(
    ({ pair, dropped, isContradicted }) =>
      (q === '' || JSON.stringify([pair.prompt, pair.prefix, pair.chosen, pair.rejected]).toLowerCase().includes(q)) &&
      (query.get('strategy') ?? pair.strategy) === pair.strategy &&
      (query.get('dropped') ?? String(dropped !== null)) === String(dropped !== null) &&
      (query.get('contradicted') ?? String(isContradicted)) === String(isContradicted),
  )
  const key = query.get('sort') === 'margin' ? (item: PairItem) => item.margin : () => 0
  return { ...reply, ...cut(sort(kept, key, query), query) }
}

function filterProblems(reply: ProblemsReply, query: URLSearchParams): ProblemsReply {
  const q = (query.get('q') ?? '').toLowerCase()
  return {
    ...reply,
    ...cut(
      reply.items.filter((row) => row.text.toLowerCase().includes(q)),
      query,
    ),
  }
}

/** In order of the key; what has none stands at the end either way. */
function sort<Item>(items: Item[], key: (item: Item) => number | null, query: URLSearchParams): Item[] {
  const sign = query.get('order') === 'down' ? -1 : 1
  return items.sort((a, b) => {
    const [x, y] = [key(a), key(b)]
    if (x === null || y === null) return Number(x === null) - Number(y === null)
    return sign * (x - y)
  })
}

function cut<Item>(items: readonly Item[], query: URLSearchParams) {
  const offset = Number(query.get('offset') ?? 0)
  return { items: items.slice(offset, offset + Number(query.get('limit') ?? 100)), offset, found: items.length }
}
