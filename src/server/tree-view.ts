/** @file The solutions of one problem as a tree of steps: what follows the same steps stands side by side. */
import type { ProblemsReply, StepChange, TreeNode, TreeReply } from '../data/dashboard-traces.ts'
import type { JudgedStep } from '../data/judgement.ts'
import type { Label, Labels } from '../data/labels.ts'
import { pageOf } from './page.ts'
import type { StepChanges } from './reward-book.ts'
import type { Run } from './runs.ts'
import { readJudgement, readSolution, type Traces } from './trace-index.ts'
import type { TraceEntry } from './trace-row.ts'
import { judgementFor } from './trace-view.ts'

const MAX_NODES = 2000
const MAX_TRACES = 1000
const MAX_EXAMPLES = 20

export async function listProblems(
  run: Run,
  query: { readonly q?: string; readonly offset?: number; readonly limit?: number },
): Promise<ProblemsReply> {
  const traces = await run.traces.refresh()
  const wanted = query.q?.toLowerCase() ?? ''
  const all = [...traces.problems.values()]
  const found = all.filter(({ text }) => wanted === '' || text.toLowerCase().includes(wanted))
  const page = pageOf(found, query, all.length)
  return {
    ...page,
    items: page.items.map(({ id, text, traces: own }) => ({
      id,
      text,
      traces: own.length,
      right: own.filter(({ isRight }) => isRight === true).length,
      wrong: own.filter(({ isRight }) => isRight === false).length,
    })),
  }
}

interface Node extends Omit<TreeNode, 'examples' | 'logps' | 'chosenIn' | 'rejectedIn'> {
  traces: number
  right: number
  wrong: number
  ends: number
  verdict: JudgedStep | null
  label: TreeNode['label']
  change: TreeNode['change']
  readonly examples: string[]
  readonly logps: Map<number, { sum: number; traces: number }>
  readonly chosenIn: Set<string>
  readonly rejectedIn: Set<string>
  readonly children: Map<string, number>
}

/** A solution with what is known of its steps. */
interface Path {
  readonly entry: TraceEntry
  readonly steps: readonly string[]
  readonly verdicts: readonly JudgedStep[]
  readonly label: Label | undefined
  readonly changes: readonly StepChange[]
  /** The mean over its tokens. */
  readonly logp: number | null
}

/** Undefined where the run has no such problem. */
export async function readTree(run: Run, id: string): Promise<TreeReply | undefined> {
  const traces = await run.traces.refresh()
  const problem = traces.problems.get(id)
  if (problem === undefined) return undefined
  const known = { traces, labels: run.labels.read(), rewards: run.rewards.read() }
  const own = problem.traces.filter((entry) => !traces.replaced.has(entry))
  const nodes: Node[] = []
  let answer: string | null = null
  let isCut = own.length > MAX_TRACES
  const places = new Map<string, readonly number[]>()
  for (const entry of own.slice(0, MAX_TRACES)) {
    const solution = readSolution(run.traces, entry)
    if (solution === undefined) continue
    if ('answer' in solution) answer ??= solution.answer
    const path = pathOf(run, { ...known, entry }, solution)
    const walked = addPath(nodes, path)
    if (walked.length < path.steps.length) isCut = true
    places.set(entry.id, walked)
  }
  markPairs(run, nodes, places)
  return { id, problem: problem.text, answer, nodes: nodes.map((node) => showNode(node, traces.makers)), isCut }
}

/** What is known of the solutions of a run. */
interface Known {
  readonly traces: Traces
  readonly labels: Labels
  readonly rewards: StepChanges
}

function pathOf(
  run: Run,
  { traces, labels, rewards, entry }: Known & { entry: TraceEntry },
  solution: NonNullable<ReturnType<typeof readSolution>>,
): Path {
  const judged = judgementFor(traces, entry)
  const verdicts = (judged && readJudgement(run.traces, judged)?.steps) ?? []
  const label = entry.solution === undefined ? undefined : labels.labels.get(entry.solution)
  const changes = (entry.solution && rewards(entry.solution)) || []
  if (!('completion' in solution)) {
    return { entry, steps: solution.steps.map(({ text }) => text), verdicts, label, changes, logp: null }
  }
  const { logps = [] } = solution
  const logp = logps.length === 0 ? null : logps.reduce((sum, value) => sum + value, 0) / logps.length
  return { entry, steps: solution.steps, verdicts, label, changes, logp }
}

/** Goes along the steps and gives the nodes, of which there may be fewer than steps: the tree is bounded. */
function addPath(nodes: Node[], path: Path): number[] {
  const walked: number[] = []
  for (const [depth, text] of path.steps.entries()) {
    const parent = walked.at(-1) ?? -1
    const siblings = parent < 0 ? rootsOf(nodes) : nodes[parent].children
    let at = siblings.get(text.trim())
    if (at === undefined) {
      if (nodes.length === MAX_NODES) break
      at = nodes.push(emptyNode(parent, depth, text)) - 1
      siblings.set(text.trim(), at)
    }
    walked.push(at)
    countPath(nodes[at], path, depth)
  }
  return walked
}

/** The first steps: few, and asked for once for each solution. */
function rootsOf(nodes: readonly Node[]): Map<string, number> {
  return new Map(nodes.flatMap(({ parent, text }, at) => (parent < 0 ? [[text.trim(), at] as const] : [])))
}

function emptyNode(parent: number, depth: number, text: string): Node {
  return {
    parent,
    depth,
    text,
    traces: 0,
    right: 0,
    wrong: 0,
    ends: 0,
    verdict: null,
    label: null,
    change: null,
    examples: [],
    logps: new Map(),
    chosenIn: new Set(),
    rejectedIn: new Set(),
    children: new Map(),
  }
}

function countPath(node: Node, { entry, steps, verdicts, label, changes, logp }: Path, depth: number): void {
  node.traces++
  node.right += Number(entry.isRight === true)
  node.wrong += Number(entry.isRight === false)
  node.ends += Number(depth === steps.length - 1)
  node.verdict ??= verdicts[depth] ?? null
  node.label ??= label?.ratings[depth] ?? null
  node.change ??= changes[depth] ?? null
  if (node.examples.length < MAX_EXAMPLES) node.examples.push(entry.id)
  if (logp === null) return
  const known = node.logps.get(entry.maker) ?? { sum: 0, traces: 0 }
  known.sum += logp
  known.traces++
  node.logps.set(entry.maker, known)
}

function markPairs(run: Run, nodes: readonly Node[], places: ReadonlyMap<string, readonly number[]>): void {
  for (const { entries } of run.pairs.read()) {
    for (const { pair, chosen, rejected } of entries) {
      nodes[places.get(chosen)?.[pair.step] ?? -1]?.chosenIn.add(pair.id)
      nodes[places.get(rejected)?.[pair.step] ?? -1]?.rejectedIn.add(pair.id)
    }
  }
}

function showNode({ children: _, logps, chosenIn, rejectedIn, ...node }: Node, makers: readonly string[]): TreeNode {
  return {
    ...node,
    logps: [...logps].map(([maker, { sum, traces }]) => ({ maker: makers[maker], mean: sum / traces, traces })),
    chosenIn: [...chosenIn],
    rejectedIn: [...rejectedIn],
  }
}
