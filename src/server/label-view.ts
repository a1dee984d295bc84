/** @file Labelling: what comes next, what is said of it, what is taken back. */
import { UserError } from '../base/errors.ts'
import type {
  HumanLabel,
  LabelCounts,
  LabelInput,
  LabelOrder,
  LabelOutcome,
  LabelsReply,
  LabelTask,
  UndoOutcome,
} from '../data/dashboard-labels.ts'
import { type Labels, solutionId } from '../data/labels.ts'
import { humanLabel } from './label-book.ts'
import { pageOf } from './page.ts'
import type { Run } from './runs.ts'
import { readSolution, type Traces } from './trace-index.ts'
import { compareLetters, labelLetters, type TraceEntry } from './trace-row.ts'
import { judgementFor, judgementsOf } from './trace-view.ts'

/** All that can be labelled: one trace of each solution that has steps. */
function solutionsOf(traces: Traces): TraceEntry[] {
  return [...traces.bySolution.values()]
}

function countLabels(traces: Traces, { labels, skipped }: Labels): LabelCounts {
  const known = [...labels].filter(([solution]) => traces.bySolution.has(solution))
  const passed = [...skipped].filter((solution) => traces.bySolution.has(solution) && !labels.has(solution))
  return {
    labelled: known.length,
    skipped: passed.length,
    open: traces.bySolution.size - known.length - passed.length,
    ratedSteps: known.reduce((sum, [, { ratings }]) => sum + ratings.filter((rating) => rating !== null).length, 0),
  }
}

/** Lower comes first; null: not wanted before all others. */
const ORDERS: { readonly [O in LabelOrder]: (traces: Traces, entry: TraceEntry) => number | null } = {
  file: () => 0,
  uncertain: (traces, entry) => {
    const score = judgementFor(traces, entry)?.score ?? null
    return score === null ? null : Math.abs(score - 0.5)
  },
  // A wrong end without a wrong step, or a right end with one: somebody errs.
  suspicious: (traces, entry) => {
    const judged = judgementFor(traces, entry)
    if (judged === undefined || entry.isRight === null) return null
    return (judged.firstError === -1) === entry.isRight ? 1 : 0
  },
}

export async function nextTask(
  run: Run,
  order: LabelOrder,
): Promise<LabelTask | ({ readonly done: true } & LabelCounts)> {
  const traces = await run.traces.refresh()
  const labels = run.labels.read()
  const counts = countLabels(traces, labels)
  let best: { readonly entry: TraceEntry; readonly key: number } | undefined
  for (const entry of solutionsOf(traces)) {
    if (entry.solution === undefined || labels.labels.has(entry.solution) || labels.skipped.has(entry.solution))
      continue
    const key = ORDERS[order](traces, entry) ?? Number.MAX_VALUE
    if (best === undefined || key < best.key) best = { entry, key }
    if (key === 0) break
  }
  const solution = best && readSolution(run.traces, best.entry)
  if (best === undefined || solution === undefined) return { done: true, ...counts }
  const steps = solution.steps.map((step) => (typeof step === 'string' ? step : step.text))
  const answer = 'answer' in solution ? solution.answer : null
  return { done: false, trace: best.entry.id, problem: solution.problem, steps, answer, ...counts }
}

/** A trace that can be labelled, with its solution. */
async function findTrace(run: Run, id: string) {
  const traces = await run.traces.refresh()
  const entry = traces.byId.get(id)
  const solution = entry && readSolution(run.traces, entry)
  if (entry?.solution === undefined || solution === undefined) return undefined
  return { traces, entry: { ...entry, solution: entry.solution }, solution }
}

/**
 * Notes what a person says. Undefined where the run has no such trace.
 * @throws UserError for ratings that are not in PRM800K's order.
 */
export async function addLabel(run: Run, input: LabelInput): Promise<LabelOutcome | undefined> {
  const found = await findTrace(run, input.trace)
  if (found === undefined) return undefined
  const { traces, entry, solution } = found
  checkRatings(input, solution.steps.length)
  const line = run.labels.add({
    kind: 'label',
    previous: run.labels.read().labels.get(entry.solution)?.id ?? null,
    run: run.name,
    rollout: 'completion' in solution ? solution.id : null,
    problem: solution.problem,
    steps: solution.steps.map((step) => (typeof step === 'string' ? step : step.text)),
    ratings: [...input.ratings],
    flagged: input.flagged,
    bad_problem: input.badProblem,
    own_step: input.ownStep === null ? null : { ...input.ownStep },
    judge_shown: input.judgeShown,
  })
  if (line.kind !== 'label') throw new Error('a label was written as something else')
  return {
    label: humanLabel(line),
    judge: judgementsOf(run, traces, entry).at(-1) ?? null,
    ...compareLetters(judgementFor(traces, entry)?.verdicts ?? '', labelLetters(line)),
    ...countLabels(traces, run.labels.read()),
  }
}

function checkRatings({ ratings, badProblem, ownStep }: LabelInput, steps: number): void {
  if (ratings.length !== steps)
    throw new UserError(`expected ${steps} ratings, one for each step, found ${ratings.length}`)
  const rated = ratings.filter((rating) => rating !== null).length
  if (ratings.slice(0, rated).includes(null)) throw new UserError('expected ratings of the first steps without a gap')
  if (rated === 0 && !badProblem) throw new UserError('expected a rating of one step at least, or a bad problem')
  if (ownStep !== null && ownStep.step > Math.min(rated, steps - 1)) {
    throw new UserError(
      `expected a step of one's own among the first ${Math.min(rated + 1, steps)}, found ${ownStep.step + 1}`,
    )
  }
}

/** Undefined where the run has no such trace. */
export async function skipTrace(run: Run, id: string): Promise<LabelCounts | undefined> {
  const found = await findTrace(run, id)
  if (found === undefined) return undefined
  run.labels.add({ kind: 'skip', run: run.name, solution: found.entry.solution })
  return countLabels(found.traces, run.labels.read())
}

/** Takes back the newest label or skip of the person who asks. */
export async function undoLabel(run: Run, who: string): Promise<UndoOutcome> {
  const traces = await run.traces.refresh()
  const last = run.labels.read().standing.findLast((line) => line.who === who)
  if (last === undefined) return { undone: null, ...countLabels(traces, run.labels.read()) }
  run.labels.add({ kind: 'undo', undoes: last.id })
  const solution = last.kind === 'skip' ? last.solution : (solutionId(last.problem, last.steps) ?? '')
  const trace = traces.bySolution.get(solution)?.id
  const label = last.kind === 'label' ? humanLabel(last) : null
  return { undone: trace === undefined ? null : { trace, label }, ...countLabels(traces, run.labels.read()) }
}

export async function listLabels(
  run: Run,
  query: { readonly offset?: number; readonly limit?: number },
): Promise<LabelsReply> {
  const traces = await run.traces.refresh()
  const labels = run.labels.read()
  const items = [...labels.labels].flatMap(([solution, label]): (HumanLabel & { trace: string; begin: string })[] => {
    const trace = traces.bySolution.get(solution)?.id
    return trace === undefined ? [] : [{ ...humanLabel(label), trace, begin: label.problem.slice(0, 240) }]
  })
  items.sort((a, b) => Date.parse(b.when) - Date.parse(a.when))
  return { ...pageOf(items, query, items.length), ...countLabels(traces, labels) }
}
