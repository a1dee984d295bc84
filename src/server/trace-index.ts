/**
 * @file All traces of a run: rollouts, what judges say of them, and judged solutions that no rollout has. Texts stay in
 * the files; what is kept of each is what lists need, and a copy in lower case to search in.
 */
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { type Judgement, judgementSchema } from '../data/judgement.ts'
import { solutionId } from '../data/labels.ts'
import { type Rollout, rolloutSchema } from '../data/rollout.ts'
import { findFiles, type RunFile, shortId } from './run-files.ts'
import { openTail, readAgain, type Tail, type TailRow } from './tail.ts'
import { createTextSearch, type TextSearch } from './text-search.ts'
import { type JudgementEntry, lettersOf, type TraceEntry } from './trace-row.ts'

export interface ProblemEntry {
  readonly id: string
  readonly text: string
  /** Its traces, in the order in which they were read. */
  readonly traces: TraceEntry[]
}

/** What is known so far. */
export interface Traces {
  readonly files: readonly RunFile[]
  readonly makers: readonly string[]
  readonly judges: readonly string[]
  readonly entries: readonly TraceEntry[]
  readonly byId: ReadonlyMap<string, TraceEntry>
  readonly bySolution: ReadonlyMap<string, TraceEntry>
  readonly problems: ReadonlyMap<string, ProblemEntry>
  /** Of a solution, one for each judge, the newest last. */
  readonly judgements: ReadonlyMap<string, readonly JudgementEntry[]>
  /** Judged solutions of which a rollout came later. */
  readonly replaced: ReadonlySet<TraceEntry>
  readonly search: Pick<TextSearch, 'find'>
  readonly isWhole: boolean
}

export interface TraceIndex {
  /** Reads what is new: for `patienceMs` at most, and then goes on in the background. */
  refresh(patienceMs?: number): Promise<Traces>
  /** The line of a trace or a judgement as it stands in its file. */
  read(entry: Pick<TraceEntry, 'file' | 'offset' | 'length'>): unknown
}

interface State extends Traces {
  files: RunFile[]
  tails: Tail[]
  makers: string[]
  judges: string[]
  entries: TraceEntry[]
  byId: Map<string, TraceEntry>
  bySolution: Map<string, TraceEntry>
  problems: Map<string, ProblemEntry>
  judgements: Map<string, JudgementEntry[]>
  replaced: Set<TraceEntry>
  search: TextSearch
  isWhole: boolean
}

const PATIENCE_MS = 300
/** Of reading, between which requests are answered. */
const TURN_MS = 15
const SLICE_BYTES = 1 << 18
/** How often new files are looked for. */
const LOOK_MS = 2000

function emptyState(): State {
  return {
    files: [],
    tails: [],
    makers: [],
    judges: [],
    entries: [],
    byId: new Map(),
    bySolution: new Map(),
    problems: new Map(),
    judgements: new Map(),
    replaced: new Set(),
    search: createTextSearch(),
    isWhole: false,
  }
}

/** The index of the run in a folder. Nothing is read before it is asked for. */
export function createTraceIndex(run: string): TraceIndex {
  let state = emptyState()
  let looked = Number.NEGATIVE_INFINITY
  let reading: Promise<void> | undefined
  /** True where more is to be read. */
  const advance = (): boolean => {
    if (performance.now() - looked > LOOK_MS) {
      looked = performance.now()
      addFiles(state, run)
    }
    const until = performance.now() + TURN_MS
    for (const at of inOrder(state.files)) {
      for (;;) {
        const { rows, isNew, hasMore } = state.tails[at].read(SLICE_BYTES)
        if (isNew) {
          state = emptyState() // what was read of it is no longer there
          addFiles(state, run)
          return true
        }
        for (const row of rows) addRow(state, at, row)
        if (!hasMore) break
        if (performance.now() > until) return true
      }
    }
    state.isWhole = true
    return false
  }
  const readOn = async (): Promise<void> => {
    while (advance()) await nextTurn()
  }
  return {
    refresh: async (patienceMs = PATIENCE_MS) => {
      reading ??= readOn().finally(() => {
        reading = undefined
      })
      const waiting = new AbortController()
      const patience = sleep(Math.min(patienceMs, 1 << 30), undefined, { signal: waiting.signal }).catch(
        () => undefined,
      )
      await Promise.race([reading, patience])
      waiting.abort()
      return state
    },
    read: ({ file, offset, length }) => readAgain(state.files[file].path, { offset, length }),
  }
}

function addFiles(state: State, run: string): void {
  const known = new Set(state.files.map(({ path }) => path))
  for (const file of findFiles(run)) {
    const isOfTraces = file.kind === 'rollouts' || file.kind === 'continuations' || file.kind === 'judgements'
    if (!isOfTraces || known.has(file.path)) continue
    state.files.push(file)
    state.tails.push(openTail(file.path))
  }
}

/** Rollouts first, so that a judgement finds what it is of. */
function inOrder(files: readonly RunFile[]): number[] {
  const all = files.map((_, at) => at)
  return [
    ...all.filter((at) => files[at].kind !== 'judgements'),
    ...all.filter((at) => files[at].kind === 'judgements'),
  ]
}

function addRow(state: State, file: number, row: TailRow): void {
  const place = { file, offset: row.offset, length: row.length }
  if (state.files[file].kind === 'judgements') {
    const parsed = judgementSchema.safeParse(row.value)
    if (parsed.success) addJudgement(state, parsed.data, place)
    return
  }
  const parsed = rolloutSchema.safeParse(row.value)
  if (parsed.success) addRollout(state, parsed.data, place)
}

type Place = Pick<TraceEntry, 'file' | 'offset' | 'length'>

function addRollout(state: State, rollout: Rollout, place: Place): void {
  const id = shortId(rollout.id)
  if (state.byId.has(id)) return
  const solution = solutionId(rollout.problem, rollout.steps)
  const before = solution === undefined ? undefined : state.bySolution.get(solution)
  if (before?.maker === NOBODY) state.replaced.add(before)
  const entry: TraceEntry = {
    id,
    solution,
    ...place,
    problem: shortId(rollout.problem),
    sample: rollout.sample,
    maker: numberOf(state.makers, rollout.maker),
    stepCount: rollout.steps.length,
    isRight: rollout.final_answer_correct,
    isCut: rollout.finish === 'length',
  }
  addEntry(state, entry, rollout.problem, rollout.completion)
}

/** The maker of a judged solution without a rollout. */
const NOBODY = -1

function addJudgement(state: State, judgement: Judgement, place: Place): void {
  const { problem, judge, steps } = judgement
  const texts = steps.map(({ text }) => text)
  const solution = solutionId(problem, texts)
  if (solution === undefined) return
  numberOf(state.judges, judge)
  const others = (state.judgements.get(solution) ?? []).filter((other) => other.judge !== judge)
  state.judgements.set(solution, [...others, { judge, ...place, ...lettersOf(judgement) }])
  if (state.bySolution.has(solution)) return
  const unknown = { sample: 0, maker: NOBODY, isRight: null, isCut: false }
  const entry = {
    id: shortId(solution),
    solution,
    ...place,
    problem: shortId(problem),
    stepCount: steps.length,
    ...unknown,
  }
  addEntry(state, entry, problem, texts.join('\n'))
}

function addEntry(state: State, entry: TraceEntry, problem: string, solution: string): void {
  state.entries.push(entry)
  state.byId.set(entry.id, entry)
  if (entry.solution !== undefined) state.bySolution.set(entry.solution, entry)
  const known = state.problems.get(entry.problem) ?? { id: entry.problem, text: problem, traces: [] }
  known.traces.push(entry)
  state.problems.set(entry.problem, known)
  state.search.add(`${problem}\n${solution}`)
}

function numberOf(names: string[], name: string): number {
  const known = names.indexOf(name)
  return known < 0 ? names.push(name) - 1 : known
}

/** What of a trace's line pages show, whichever kind of line it is; undefined where it is no longer there. */
export function readSolution(index: TraceIndex, entry: TraceEntry): Rollout | Judgement | undefined {
  const value = index.read(entry)
  const parsed = entry.maker === NOBODY ? judgementSchema.safeParse(value) : rolloutSchema.safeParse(value)
  return parsed.data
}

export function readJudgement(index: TraceIndex, entry: JudgementEntry): Judgement | undefined {
  return judgementSchema.safeParse(index.read(entry)).data
}
