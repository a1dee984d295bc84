/** @file The pairs of a run as pages show them, and taking them out. */
import type { PairItem, PairQuery, PairReview, PairsReply, Rating } from '../data/dashboard-labels.ts'
import type { Labels } from '../data/labels.ts'
import { pageOf } from './page.ts'
import type { PairEntry, PairFile } from './pair-book.ts'
import type { Run } from './runs.ts'
import type { Traces } from './trace-index.ts'
import { sortByKey } from './trace-view.ts'

export async function listPairs(run: Run, query: PairQuery): Promise<PairsReply> {
  const traces = await run.traces.refresh()
  const labels = run.labels.read()
  const files = run.pairs.read()
  const items: PairItem[] = []
  const wanted = query.q?.toLowerCase() ?? ''
  let total = 0
  for (const { entries, dropped } of files) {
    for (const entry of entries) {
      total++
      if (!entry.text.includes(wanted)) continue
      const item = showPair(entry, { traces, labels, dropped })
      if (isWanted(item, query)) items.push(item)
    }
  }
  return {
    ...pageOf(sortPairs(items, query), query, total),
    sources: files.map(({ file }) => file.name),
    strategies: [...new Set(files.flatMap(({ entries }) => entries.map(({ pair }) => pair.strategy)))],
  }
}

function showPair(
  { pair, source, chosen, rejected }: PairEntry,
  { traces, labels, dropped }: { traces: Traces; labels: Labels; dropped: PairFile['dropped'] },
): PairItem {
  const { chosen_score, rejected_score } = pair
  const said = dropped.get(pair.id)
  const ratings = {
    chosen: ratingOf(chosen, pair.step, traces, labels),
    rejected: ratingOf(rejected, pair.step, traces, labels),
  }
  return {
    pair,
    source,
    margin: chosen_score === null || rejected_score === null ? null : chosen_score - rejected_score,
    dropped: said === undefined ? null : { who: said.who, when: said.when },
    labels: ratings,
    isContradicted: ratings.chosen === -1 || ratings.rejected === 1,
    traces: {
      chosen: traces.byId.has(chosen) ? chosen : null,
      rejected: traces.byId.has(rejected) ? rejected : null,
    },
  }
}

/** What a person says of the step of a trace. */
function ratingOf(trace: string, step: number, traces: Traces, labels: Labels): Rating {
  const solution = traces.byId.get(trace)?.solution
  return (solution === undefined ? undefined : labels.labels.get(solution)?.ratings[step]) ?? null
}

function isWanted(item: PairItem, { strategy, dropped, contradicted, min_margin, source }: PairQuery): boolean {
  return (
    (strategy === undefined || item.pair.strategy === strategy) &&
    (dropped === undefined || (item.dropped !== null) === dropped) &&
    (contradicted === undefined || item.isContradicted === contradicted) &&
    (min_margin === undefined || (item.margin !== null && item.margin >= min_margin)) &&
    (source === undefined || item.source === source)
  )
}

function sortPairs(items: readonly PairItem[], { sort = 'file', order = 'up' }: PairQuery): readonly PairItem[] {
  if (sort === 'file') return order === 'up' ? items : items.toReversed()
  return sortByKey(items, ({ margin }) => margin, order)
}

/** Takes a pair out, or back in, wherever it stands; undefined where the run has no such pair. */
export async function reviewPair(run: Run, id: string, { action }: PairReview): Promise<PairItem | undefined> {
  const found = run.pairs.read().filter(({ entries }) => entries.some(({ pair }) => pair.id === id))
  for (const { file, dropped } of found) if (dropped.has(id) !== (action === 'drop')) run.pairs.review(file, id, action)
  const traces = await run.traces.refresh()
  const labels = run.labels.read()
  for (const { entries, dropped } of run.pairs.read()) {
    const entry = entries.find(({ pair }) => pair.id === id)
    if (entry !== undefined) return showPair(entry, { traces, labels, dropped })
  }
  return undefined
}
