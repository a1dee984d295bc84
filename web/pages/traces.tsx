/** @file Solutions of a run: found by filters that the server applies, 100,000 as quickly as ten. */
import type { TraceRow, TracesReply } from '../../src/data/dashboard-traces.ts'
import { count } from '../format.ts'
import { useReloading } from '../hooks.ts'
import { MathText } from '../math.tsx'
import { Choice, Empty, Failure, Search } from '../parts.tsx'
import { changeQuery, linkTo, useAddress, writeQuery } from '../router.ts'
import { isStatic } from '../source.ts'
import { AnswerMark, ScoreBar, Strip } from '../steps.tsx'
import { useLongList, VirtualList } from '../virtual.tsx'
import { useListKeys } from './list-keys.ts'

const ROW_HEIGHT = 58

/** Parameters of the address that are the server's as well. */
const filterNames = [
  'q',
  'judge',
  'verdict',
  'min_score',
  'max_score',
  'differs',
  'answer',
  'labelled',
  'flagged',
  'source',
  'problem',
  'sort',
  'order',
]

export function TracesPage({ run }: { readonly run: string }) {
  const { query } = useAddress()
  const filters = Object.fromEntries(filterNames.map((name) => [name, query.get(name)]))
  const list = useLongList<TracesReply>(`/api/runs/${encodeURIComponent(run)}/traces${writeQuery(filters)}`)
  const { head } = list
  const found = head?.found ?? 0
  const current = useListKeys(found, (index) => {
    const row = list.at(index)
    return row === null ? null : linkTo(['run', run, 'traces', row.id])
  })
  useReloading(list.reload, head?.isWhole === false, 1000)
  return (
    <div class="filling">
      <div class="title">
        <h1>Traces</h1>
        <span class="muted" role="status">
          {head === null ? list.error === null && 'Reading …' : `${count(found)} of ${count(head.total)}`}
          {head?.isWhole === false && ', still reading'}
        </span>
      </div>
      <Filters head={head} query={query} />
      {list.error !== null && <Failure text={list.error} retry={list.reload} />}
      {head !== null && found === 0 ? (
        <NoTraces isFiltered={head.total > 0} />
      ) : (
        <VirtualList
          label="Traces"
          count={found}
          rowHeight={ROW_HEIGHT}
          current={current}
          want={list.want}
          row={(index) => <Row run={run} trace={list.at(index)} head={head} />}
        />
      )}
    </div>
  )
}

function NoTraces({ isFiltered }: { readonly isFiltered: boolean }) {
  if (isFiltered) {
    return (
      <Empty title="No trace fits these filters">
        <a href={location.hash.replace(/\?.*/, '')}>Show all</a>
      </Empty>
    )
  }
  return (
    <Empty title="This run has no solutions">
      <code>stepdpo generate</code> has a model write some, <code>stepdpo judge</code> has them judged.
    </Empty>
  )
}

const verdicts = {
  '': 'any',
  i: '✕ incorrect',
  n: '○ neutral',
  c: '✓ correct',
  a: '· abstained',
  f: '! failed',
  '-': 'not judged',
}
const answers = { '': 'any', right: '✓ right', wrong: '✕ wrong', unknown: 'not known' }
const people = {
  '': 'any',
  'differs=true': 'judge ≠ person',
  'labelled=true': 'labelled',
  'labelled=false': 'not labelled',
  'flagged=true': 'flagged',
}
const scores = { '': 'any', '0-0.25': '0 – 0.25', '0.25-0.75': '0.25 – 0.75', '0.75-1': '0.75 – 1' }
const sorts = {
  '': 'as in the file',
  'score.up': 'lowest score',
  'score.down': 'highest score',
  'steps.down': 'most steps',
  'first_error.up': 'earliest error',
}

interface FiltersProps {
  readonly head: TracesReply | null
  readonly query: URLSearchParams
}

function Filters({ head, query }: FiltersProps) {
  const given = (name: string) => query.get(name) ?? ''
  const person = Object.keys(people).find(
    (key) => key !== '' && query.get(key.split('=')[0] ?? '') === key.split('=')[1],
  )
  const sources = (head?.sources ?? []).map(({ name, traces }, index) => [String(index), `${name} (${count(traces)})`])
  const judges = (head?.judges ?? []).map((judge) => [judge, judge])
  const sort = given('sort') === '' ? '' : `${given('sort')}.${given('order')}`
  const score = given('min_score') === '' ? '' : `${given('min_score')}-${given('max_score')}`
  return (
    <search class="filters">
      <Search label="Search problems and solutions" value={given('q')} onChange={(q) => changeQuery({ q })} />
      <Choice
        label="Has step"
        value={given('verdict')}
        options={verdicts}
        onChange={(verdict) => changeQuery({ verdict })}
      />
      <Choice label="Answer" value={given('answer')} options={answers} onChange={(answer) => changeQuery({ answer })} />
      <Choice label="Score" value={score} options={scores} onChange={chooseScore} />
      <Choice label="People" value={person ?? ''} options={people} onChange={choosePeople} />
      {sources.length > 1 && (
        <Choice
          label="File"
          value={given('source')}
          options={Object.fromEntries([['', 'all'], ...sources])}
          onChange={(source) => changeQuery({ source })}
        />
      )}
      {judges.length > 1 && !isStatic && (
        <Choice
          label="Judge"
          value={given('judge')}
          options={Object.fromEntries([['', 'any'], ...judges])}
          onChange={(judge) => changeQuery({ judge })}
        />
      )}
      <Choice label="Order" value={sort} options={sorts} onChange={chooseSort} />
      {given('problem') !== '' && (
        <button type="button" onClick={() => changeQuery({ problem: null })}>
          one problem ✕
        </button>
      )}
    </search>
  )
}

function choosePeople(choice: string): void {
  const [name = '', value = ''] = choice.split('=')
  changeQuery({ differs: null, labelled: null, flagged: null, ...(name !== '' && { [name]: value }) })
}

function chooseScore(choice: string): void {
  const [low = null, high = null] = choice === '' ? [] : choice.split('-')
  changeQuery({ min_score: low, max_score: high })
}

function chooseSort(choice: string): void {
  const [sort = null, order = null] = choice === '' ? [] : choice.split('.')
  changeQuery({ sort, order })
}

interface RowProps {
  readonly run: string
  readonly trace: TraceRow | null
  readonly head: TracesReply | null
}

function Row({ run, trace, head }: RowProps) {
  if (trace === null) return <span class="trace-row muted">…</span>
  return (
    <a class="trace-row" href={linkTo(['run', run, 'traces', trace.id])}>
      <span class="trace-text">
        <MathText>{trace.begin}</MathText>
      </span>
      <span class="trace-facts">
        <Strip letters={trace.verdicts} by="judge" />
        {trace.labels !== null && <Strip letters={trace.labels} by="person" />}
        {trace.differs && <span class="tag">judge ≠ person</span>}
        {trace.flagged && <span class="tag">flagged</span>}
        {trace.isCut && <span class="tag">cut</span>}
        <span class="muted small">{head?.sources[trace.source]?.name}</span>
      </span>
      <span class="trace-score">
        <ScoreBar value={trace.score} />
      </span>
      <span class="trace-answer">
        <AnswerMark isRight={trace.isRight} />
      </span>
    </a>
  )
}
