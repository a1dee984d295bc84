/** @file Traces as pages show them: a filtered and sorted part of all, and one with everything that is known of it. */
import type { Trace, TraceJudgement, TraceQuery, TraceRow, TraceSource, TracesReply } from '../data/dashboard-traces.ts'
import type { JudgedStep, Judgement } from '../data/judgement.ts'
import type { Label, Labels } from '../data/labels.ts'
import type { Rollout } from '../data/rollout.ts'
import { explainAggregations } from './arithmetic.ts'
import { humanLabel } from './label-book.ts'
import { pageOf } from './page.ts'
import type { Run } from './runs.ts'
import { readJudgement, readSolution, type Traces } from './trace-index.ts'
import { differsFrom, isFlagged, type JudgementEntry, rowOf, type TraceEntry } from './trace-row.ts'

const MAX_SIBLINGS = 50

export function judgementFor(traces: Traces, { solution }: TraceEntry, judge?: string): JudgementEntry | undefined {
  const known = solution === undefined ? undefined : traces.judgements.get(solution)
  return judge === undefined ? known?.at(-1) : known?.find((one) => one.judge === judge)
}

export function traceRow(traces: Traces, labels: Labels, entry: TraceEntry, judge?: string): TraceRow {
  return rowOf(entry, {
    problem: traces.problems.get(entry.problem)?.text ?? '',
    judgement: judgementFor(traces, entry, judge),
    label: labelOf(labels, entry),
  })
}

/** A trace with what filters look at; rows are made of those on the page alone. */
interface Candidate {
  readonly entry: TraceEntry
  readonly judgement: JudgementEntry | undefined
  readonly label: Label | undefined
}

export async function listTraces(run: Run, query: TraceQuery): Promise<TracesReply> {
  const traces = await run.traces.refresh()
  const labels = run.labels.read()
  const found = query.q ? traces.search.find(query.q) : undefined
  const wanted: Candidate[] = []
  for (const [at, entry] of traces.entries.entries()) {
    if (traces.replaced.has(entry) || found?.has(at) === false) continue
    const candidate = {
      entry,
      judgement: judgementFor(traces, entry, query.judge),
      label: labels.labels.size === 0 ? undefined : labelOf(labels, entry),
    }
    if (isWanted(candidate, query)) wanted.push(candidate)
  }
  const { makers, judges, isWhole } = traces
  const page = pageOf(sortCandidates(wanted, query), query, traces.entries.length - traces.replaced.size)
  const items = page.items.map(({ entry }) => traceRow(traces, labels, entry, query.judge))
  return { ...page, items, sources: sourcesOf(traces), makers, judges, isWhole }
}

function labelOf(labels: Labels, { solution }: TraceEntry): Label | undefined {
  return solution === undefined ? undefined : labels.labels.get(solution)
}

const ANSWERS = { right: true, wrong: false, unknown: null } as const

function isWanted({ entry, judgement, label }: Candidate, query: TraceQuery): boolean {
  const { verdict, min_score, max_score, differs, answer, labelled, flagged, source, problem } = query
  const score = judgement?.score ?? null
  return (
    (answer === undefined || entry.isRight === ANSWERS[answer]) &&
    (source === undefined || entry.file === source) &&
    (problem === undefined || entry.problem === problem) &&
    (verdict === undefined || (judgement?.verdicts ?? '-').includes(verdict)) &&
    (min_score === undefined || (score !== null && score >= min_score)) &&
    (max_score === undefined || (score !== null && score <= max_score)) &&
    (labelled === undefined || (label !== undefined) === labelled) &&
    (flagged === undefined || isFlagged(label) === flagged) &&
    (differs === undefined || differsFrom(judgement, label) === differs)
  )
}

const KEYS: { readonly [S in NonNullable<TraceQuery['sort']>]: (candidate: Candidate) => number | null } = {
  file: () => null,
  score: ({ judgement }) => judgement?.score ?? null,
  steps: ({ entry }) => entry.stepCount,
  first_error: ({ judgement }) => (judgement === undefined || judgement.firstError < 0 ? null : judgement.firstError),
}

function sortCandidates(
  found: readonly Candidate[],
  { sort = 'file', order = 'up' }: TraceQuery,
): readonly Candidate[] {
  if (sort === 'file') return order === 'up' ? found : found.toReversed()
  return sortByKey(found, KEYS[sort], order)
}

/** What has no key stands at the end, whatever the order. */
export function sortByKey<Item>(
  items: readonly Item[],
  key: (item: Item) => number | null,
  order: 'up' | 'down',
): Item[] {
  const sign = order === 'up' ? 1 : -1
  const keyed = items.map((item) => ({ item, key: key(item) }))
  keyed.sort((a, b) =>
    a.key === null || b.key === null ? Number(a.key === null) - Number(b.key === null) : sign * (a.key - b.key),
  )
  return keyed.map(({ item }) => item)
}

function sourcesOf({ files, entries, replaced }: Traces): TraceSource[] {
  const counts = files.map(() => 0)
  for (const entry of entries) if (!replaced.has(entry)) counts[entry.file]++
  return files.map(({ name, kind }, at) => ({
    name,
    kind: kind === 'rollouts' || kind === 'continuations' ? kind : 'judged',
    traces: counts[at],
  }))
}

/** Undefined where the run has no such trace, or its file has changed meanwhile. */
export async function readTrace(run: Run, id: string): Promise<Trace | undefined> {
  const traces = await run.traces.refresh()
  const entry = traces.byId.get(id)
  const solution = entry && readSolution(run.traces, entry)
  if (entry === undefined || solution === undefined) return undefined
  const labels = run.labels.read()
  const label = labelOf(labels, entry)
  const siblings = traces.problems.get(entry.problem)?.traces ?? []
  return {
    ...traceRow(traces, labels, entry),
    ...textsOf(solution),
    problemText: solution.problem,
    makerName: traces.makers[entry.maker] ?? null,
    sourceName: traces.files[entry.file].name,
    judgements: judgementsOf(run, traces, entry),
    label: label === undefined ? null : humanLabel(label),
    siblings: siblings
      .filter((other) => other !== entry && !traces.replaced.has(other))
      .slice(0, MAX_SIBLINGS)
      .map((other) => traceRow(traces, labels, other)),
    pairs: run.pairs
      .read()
      .flatMap(({ entries }) => entries)
      .filter(({ chosen, rejected }) => chosen === id || rejected === id)
      .map(({ pair }) => pair.id),
  }
}

type Texts = Pick<Trace, 'completion' | 'given' | 'steps' | 'finish' | 'tokens' | 'answer' | 'finalAnswer'>

function textsOf(solution: Rollout | Judgement): Texts {
  if ('completion' in solution) {
    const { completion, given = 0, steps, finish, tokens, answer, final_answer: finalAnswer } = solution
    return { completion, given, steps, finish, tokens, answer, finalAnswer }
  }
  const steps = solution.steps.map(({ text }) => text)
  const unknown = { finish: null, tokens: null, answer: null, finalAnswer: null }
  return { completion: steps.join('\n'), given: 0, steps, ...unknown }
}

export function judgementsOf(run: Run, traces: Traces, entry: TraceEntry): TraceJudgement[] {
  const known = entry.solution === undefined ? [] : (traces.judgements.get(entry.solution) ?? [])
  return known.flatMap((one) => {
    const judgement = readJudgement(run.traces, one)
    return judgement === undefined ? [] : [showJudgement(judgement)]
  })
}

function showJudgement({ judge, steps, score, aggregation, coverage }: Judgement): TraceJudgement {
  const verdicts: readonly JudgedStep[] = steps
  const aggregations = explainAggregations(verdicts, aggregation)
  return { judge, steps: verdicts, score, aggregation, coverage, aggregations }
}
