/** @file A copy of the dashboard that opens without a server: the pages, and the replies as scripts beside them. */
import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { UserError } from '../base/errors.ts'
import { writeDurably } from '../base/files.ts'
import type { Session, StaticEntries } from '../data/dashboard.ts'
import type { Trace } from '../data/dashboard-traces.ts'
import { escapeControls } from '../data/events.ts'
import { evaluationsReply } from './evaluation-view.ts'
import { judgesReply } from './judge-view.ts'
import { listLabels } from './label-view.ts'
import { listPairs } from './pair-view.ts'
import { seriesOf } from './run-log.ts'
import { runReply, summaryOf } from './run-view.ts'
import type { Run, Runs } from './runs.ts'
import type { Site } from './site.ts'
import { listTraces, readTrace, traceRow } from './trace-view.ts'
import { listProblems, readTree } from './tree-view.ts'

/** Of each run: a browser reads the file of a run at once. */
const MAX_TRACES = 500
const MAX_PAIRS = 1000
const MAX_LABELS = 1000

/**
 * Writes the copy into `folder`, over an earlier one.
 * @throws UserError where something else stands there.
 */
export async function copyDashboard(folder: string, runs: Runs, session: Session, site: Site): Promise<void> {
  const isCopy = existsSync(join(folder, 'data', 'index.js'))
  if (existsSync(folder) && readdirSync(folder).length > 0 && !isCopy) {
    throw new UserError(`--export ${folder}: expected a new folder or an earlier copy, found other files`)
  }
  mkdirSync(join(folder, 'data'), { recursive: true })
  for (const run of runs.list()) writeEntries(folder, run.id, await entriesOf(run))
  const index = {
    '/api/session': { ...session, isStatic: true },
    '/api/runs': { runs: runs.list().map(summaryOf) },
  }
  writeEntries(folder, 'index', index)
  for (const [name, file] of site) {
    const path = join(folder, name)
    mkdirSync(dirname(path), { recursive: true })
    const content = file.read()
    writeDurably(path, name === '/index.html' ? markStatic(Buffer.from(content).toString()) : content)
  }
}

function markStatic(page: string): string {
  const marked = page.replace(/<html(?=[\s>])/, '<html data-static')
  if (marked === page) throw new Error('the built index.html has no <html>')
  return marked
}

function writeEntries(folder: string, name: string, entries: StaticEntries): void {
  writeDurably(join(folder, 'data', `${name}.js`), `stepdpoStatic(${escapeControls(JSON.stringify(entries))})\n`)
}

async function entriesOf(run: Run): Promise<StaticEntries> {
  const traces = await run.traces.refresh(Number.POSITIVE_INFINITY)
  const evaluations = await evaluationsReply(run)
  const pairs = await listPairs(run, { limit: MAX_PAIRS })
  const seen = [
    ...evaluations.evaluations.flatMap(({ flips }) => flips.flatMap(({ before, after }) => [before, after])),
    ...pairs.items.flatMap(({ traces: { chosen, rejected } }) => [chosen, rejected]),
    ...traces.entries.filter((entry) => !traces.replaced.has(entry)).map(({ id }) => id),
  ]
  const ids = new Set([...new Set(seen.filter((id) => id !== null))].slice(0, MAX_TRACES))
  const problems = new Set(traces.entries.filter(({ id }) => ids.has(id)).map(({ problem }) => problem))
  const path = `/api/runs/${run.id}`
  const entries: Record<string, unknown> = {
    [path]: runReply(run),
    [`${path}/series`]: seriesOf(run.id, run.log()),
    [`${path}/pairs`]: pairs,
    [`${path}/labels`]: await listLabels(run, { limit: MAX_LABELS }),
    [`${path}/judges`]: await judgesReply(run),
    [`${path}/evaluations`]: evaluations,
  }
  const labels = run.labels.read()
  const rows = traces.entries.filter(({ id }) => ids.has(id)).map((entry) => traceRow(traces, labels, entry))
  entries[`${path}/traces`] = { ...(await listTraces(run, { limit: 0 })), items: rows }
  for (const id of ids) entries[`${path}/traces/${id}`] = withoutOthers(await readTrace(run, id), ids)
  const all = await listProblems(run, { limit: traces.problems.size })
  entries[`${path}/problems`] = { ...all, items: all.items.filter(({ id }) => problems.has(id)) }
  for (const id of problems) entries[`${path}/problems/${id}`] = await readTree(run, id)
  return entries
}

/** Siblings that are not in the copy cannot be opened. */
function withoutOthers(trace: Trace | undefined, ids: ReadonlySet<string>): Trace | undefined {
  return trace && { ...trace, siblings: trace.siblings.filter(({ id }) => ids.has(id)) }
}
