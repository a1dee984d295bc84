/** @file The solutions of a problem as one tree of steps: where they part, and how each branch ends. */
import { useMemo, useState } from 'preact/hooks'
import type { TreeNode, TreeReply } from '../../src/data/dashboard-traces.ts'
import { count, number } from '../format.ts'
import { useData, useKeys } from '../hooks.ts'
import { MathText } from '../math.tsx'
import { Empty, Shown } from '../parts.tsx'
import { linkTo } from '../router.ts'
import { letterOf, letterOfRating, lookOf, Mark, ScoreBar } from '../steps.tsx'

export function TreePage({ run, item }: { readonly run: string; readonly item: string }) {
  const tree = useData<TreeReply>(`/api/runs/${encodeURIComponent(run)}/problems/${encodeURIComponent(item)}`)
  return (
    <Shown of={tree}>
      {(data) => (
        <>
          <div class="title">
            <h1>Tree</h1>
            <a class="button" href={linkTo(['run', run, 'traces'], { problem: data.id })}>
              As a list of traces
            </a>
            {data.answer !== null && (
              <span>
                True answer <code>{data.answer}</code>
              </span>
            )}
          </div>
          <section class="problem" aria-label="Problem">
            <MathText>{data.problem}</MathText>
          </section>
          {data.isCut && <p class="notice">The tree is cut after {count(data.nodes.length)} steps.</p>}
          {data.nodes.length === 0 ? <Empty title="No solution has a step" /> : <Tree run={run} nodes={data.nodes} />}
        </>
      )}
    </Shown>
  )
}

interface TreeProps {
  readonly run: string
  readonly nodes: readonly TreeNode[]
}

function Tree({ run, nodes }: TreeProps) {
  const [closed, setClosed] = useState<ReadonlySet<number>>(new Set())
  const [current, setCurrent] = useState(-1)
  const children = useMemo(() => childrenOf(nodes), [nodes])
  const rows = rowsOf(children, closed)
  const toggle = (node: number) =>
    setClosed((old) => new Set(old.has(node) ? [...old].filter((each) => each !== node) : [...old, node]))
  const move = (by: number) => setCurrent((old) => Math.max(0, Math.min(rows.length - 1, old + by)))
  useKeys({
    j: () => move(1),
    k: () => move(-1),
    ' ': () => rows[current] !== undefined && toggle(rows[current].node),
  })
  return (
    <ul class="tree" aria-label="Steps of all solutions">
      {rows.map(({ node, level }, index) => {
        const facts = nodes[node]
        if (facts === undefined) return null
        return (
          <li
            key={node}
            style={{ '--level': level }}
            class={`${forks(children, facts) ? 'forks' : ''} ${index === current ? 'current' : ''}`}
          >
            <Fold
              isClosed={closed.has(node)}
              continuations={children.get(node)?.length ?? 0}
              toggle={() => toggle(node)}
            />
            <Node run={run} node={facts} />
          </li>
        )
      })}
    </ul>
  )
}

function Fold(props: { readonly isClosed: boolean; readonly continuations: number; readonly toggle: () => void }) {
  if (props.continuations < 2) return <span class="fold" />
  return (
    <button
      type="button"
      class="fold quiet"
      aria-expanded={!props.isClosed}
      aria-label={props.isClosed ? 'Open' : 'Close'}
      onClick={props.toggle}
    >
      {props.isClosed ? '▸' : '▾'}
    </button>
  )
}

function Node({ run, node }: { readonly run: string; readonly node: TreeNode }) {
  const { right, wrong, traces } = node
  const example = node.examples[0]
  return (
    <div class={`node ${lookOf(letterOf(node.verdict)).class}`}>
      <span class="node-text">
        <MathText>{node.text}</MathText>
      </span>
      <span class="node-facts">
        {node.verdict !== null && <Mark letter={letterOf(node.verdict)} />}
        {node.verdict?.state === 'scored' && <ScoreBar value={node.verdict.score} />}
        {node.label !== null && <Mark letter={letterOfRating(node.label)} by="person" />}
        {node.chosenIn.length > 0 && (
          <PairTag run={run} pair={node.chosenIn[0]} text={`chosen in ${node.chosenIn.length}`} />
        )}
        {node.rejectedIn.length > 0 && (
          <PairTag run={run} pair={node.rejectedIn[0]} text={`rejected in ${node.rejectedIn.length}`} />
        )}
        <Logps of={node.logps} />
        <Change of={node.change} />
        <span class="muted small">
          {count(traces)} {traces === 1 ? 'solution' : 'solutions'}, {count(right)} right, {count(wrong)} wrong
        </span>
        {example !== undefined && <a href={linkTo(['run', run, 'traces', example])}>example</a>}
      </span>
    </div>
  )
}

function PairTag({
  run,
  pair,
  text,
}: {
  readonly run: string
  readonly pair: string | undefined
  readonly text: string
}) {
  return (
    <a class="tag" href={linkTo(['run', run, 'pairs'], { pair })}>
      {text}
    </a>
  )
}

/** Mean log-probability of a token, and how it changed from the first maker to the last. */
function Logps({ of }: { readonly of: TreeNode['logps'] }) {
  const first = of[0]
  const last = of.at(-1)
  if (first === undefined || last === undefined) return null
  const words = of.map(({ maker, mean, traces }) => `${number(mean)}: ${maker} (${traces})`).join('\n')
  return (
    <span class="small" title={words}>
      log p {number(last.mean)}
      {of.length > 1 && ` (${last.mean >= first.mean ? '+' : ''}${number(last.mean - first.mean)})`}
    </span>
  )
}

/** What training did to the step: log-probability of its tokens before and after. */
function Change({ of }: { readonly of: TreeNode['change'] }) {
  if (of === null) return null
  const { reference, policy } = of
  const by = policy - reference
  const said = signed(by)
  const look = said === signed(0) ? '' : by > 0 ? 'up' : 'down'
  return (
    <span
      class={`tag change ${look}`}
      title={`log-probability of the step: ${number(reference)} before training, ${number(policy)} after it`}
    >
      {{ up: '▲ ', down: '▼ ', '': '' }[look]}
      {said} log p
    </span>
  )
}

/** Two places are what a person compares. */
function signed(value: number): string {
  const digits = Math.abs(value).toFixed(2)
  return digits === '0.00' ? '±0' : `${value > 0 ? '+' : '−'}${digits}`
}

/** Whether solutions part before the step. */
function forks(children: ReadonlyMap<number, readonly number[]>, { parent }: TreeNode): boolean {
  return (children.get(parent)?.length ?? 0) > 1
}

function childrenOf(nodes: readonly TreeNode[]): ReadonlyMap<number, readonly number[]> {
  const children = new Map<number, number[]>()
  nodes.forEach(({ parent }, index) => {
    children.set(parent, [...(children.get(parent) ?? []), index])
  })
  for (const siblings of children.values()) siblings.sort((a, b) => (nodes[b]?.traces ?? 0) - (nodes[a]?.traces ?? 0))
  return children
}

interface TreeLine {
  readonly node: number
  /** Grows where steps part, and not along a solution: long ones stay in the page. */
  readonly level: number
}

function rowsOf(children: ReadonlyMap<number, readonly number[]>, closed: ReadonlySet<number>): TreeLine[] {
  const rows: TreeLine[] = []
  const open = [...(children.get(-1) ?? [])].reverse().map((node) => ({ node, level: 0 }))
  for (let line = open.pop(); line !== undefined; line = open.pop()) {
    rows.push(line)
    if (closed.has(line.node)) continue
    const next = children.get(line.node) ?? []
    const level = Math.min(12, line.level + (next.length > 1 ? 1 : 0))
    open.push(...[...next].reverse().map((node) => ({ node, level })))
  }
  return rows
}
