/** @file The problems of a run, each with a tree of its solutions. */
import type { ProblemRow, ProblemsReply } from '../../src/data/dashboard-traces.ts'
import { count } from '../format.ts'
import { MathText } from '../math.tsx'
import { Empty, Failure, Search } from '../parts.tsx'
import { changeQuery, linkTo, useAddress, writeQuery } from '../router.ts'
import { useLongList, VirtualList } from '../virtual.tsx'
import { useListKeys } from './list-keys.ts'

const ROW_HEIGHT = 48

export function ProblemsPage({ run }: { readonly run: string }) {
  const q = useAddress().query.get('q') ?? ''
  const list = useLongList<ProblemsReply>(`/api/runs/${encodeURIComponent(run)}/problems${writeQuery({ q })}`)
  const found = list.head?.found ?? 0
  const current = useListKeys(found, (index) => {
    const row = list.at(index)
    return row === null ? null : linkTo(['run', run, 'problems', row.id])
  })
  return (
    <div class="filling">
      <div class="title">
        <h1>Tree of a problem</h1>
        <span class="muted" role="status">
          {list.head === null ? list.error === null && 'Reading …' : `${count(found)} problems`}
        </span>
      </div>
      <search class="filters">
        <Search label="Search problems" value={q} onChange={(text) => changeQuery({ q: text })} />
      </search>
      {list.error !== null && <Failure text={list.error} retry={list.reload} />}
      {list.head !== null && found === 0 ? (
        <Empty title={list.head.total > 0 ? 'No problem has these words' : 'This run has no solutions'}>
          {list.head.total === 0 && <code>stepdpo generate</code>}
        </Empty>
      ) : (
        <VirtualList
          label="Problems"
          count={found}
          rowHeight={ROW_HEIGHT}
          current={current}
          want={list.want}
          row={(index) => <Row run={run} problem={list.at(index)} />}
        />
      )}
    </div>
  )
}

function Row({ run, problem }: { readonly run: string; readonly problem: ProblemRow | null }) {
  if (problem === null) return <span class="problem-row muted">…</span>
  return (
    <a class="problem-row" href={linkTo(['run', run, 'problems', problem.id])}>
      <span class="trace-text">
        <MathText>{problem.text}</MathText>
      </span>
      <span class="n">{count(problem.traces)} solutions</span>
      <span class="n mark good">
        <i aria-hidden="true">✓</i> {count(problem.right)} right
      </span>
      <span class="n mark wrong">
        <i aria-hidden="true">✕</i> {count(problem.wrong)} wrong
      </span>
    </a>
  )
}
