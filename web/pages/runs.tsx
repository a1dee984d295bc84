/** @file All runs: how they stand, and which to compare. */
import { useState } from 'preact/hooks'
import type { RunSummary, RunsReply } from '../../src/data/dashboard.ts'
import { age, count, dollars, number, percent } from '../format.ts'
import { useData, useKeys, useReloading } from '../hooks.ts'
import { Empty, Search, Shown, StateTag, Table } from '../parts.tsx'
import { changeQuery, goTo, linkTo, useAddress } from '../router.ts'

const head = ['', 'Run', 'State', 'Update', 'Loss', 'Accuracy', 'Margin', 'Eval loss', 'Cost', 'Changed']

export function RunsPage() {
  const runs = useData<RunsReply>('/api/runs')
  const { query } = useAddress()
  const search = query.get('q') ?? ''
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set())
  const [current, setCurrent] = useState(-1)
  const isTraining = runs.data?.runs.some(({ state }) => state === 'running') ?? false
  useReloading(runs.reload, isTraining, 3000)
  const all = runs.data?.runs ?? []
  const shown = all.filter((run) =>
    `${run.name} ${run.runName} ${run.model}`.toLowerCase().includes(search.toLowerCase()),
  )
  const toggle = (id: string) =>
    setChosen((old) => new Set(old.has(id) ? [...old].filter((each) => each !== id) : [...old, id]))
  useKeys({
    j: () => setCurrent((old) => Math.min(shown.length - 1, old + 1)),
    k: () => setCurrent((old) => Math.max(0, old - 1)),
    Enter: () => shown[current] !== undefined && goTo(linkTo(['run', shown[current].id])),
    x: () => shown[current] !== undefined && toggle(shown[current].id),
  })
  return (
    <Shown of={runs}>
      {() => (
        <>
          <div class="title">
            <h1>Runs</h1>
            <span class="muted">{count(all.length)}</span>
          </div>
          <div class="filters">
            <Search label="Search runs" value={search} onChange={(q) => changeQuery({ q })} />
            <CompareLink chosen={[...chosen]} />
          </div>
          {shown.length === 0 ? (
            <NoRuns isFiltered={all.length > 0} />
          ) : (
            <Table head={head} numbersFrom={3}>
              {shown.map((run, index) => (
                <Row
                  key={run.id}
                  run={run}
                  isCurrent={index === current}
                  isChosen={chosen.has(run.id)}
                  toggle={toggle}
                />
              ))}
            </Table>
          )}
        </>
      )}
    </Shown>
  )
}

function NoRuns({ isFiltered }: { readonly isFiltered: boolean }) {
  if (isFiltered) return <Empty title="No run has these words" />
  return (
    <Empty title="No runs here yet">
      <code>npm run demo</code> makes one in a minute, and <code>stepdpo train</code> one of your data.
    </Empty>
  )
}

function CompareLink({ chosen }: { readonly chosen: readonly string[] }) {
  if (chosen.length < 2) return <span class="muted hint">Tick two runs or more to compare them.</span>
  return (
    <a class="button" href={linkTo(['compare'], { runs: chosen.join(',') })}>
      Compare {chosen.length}
    </a>
  )
}

interface RowProps {
  readonly run: RunSummary
  readonly isCurrent: boolean
  readonly isChosen: boolean
  readonly toggle: (id: string) => void
}

function Row({ run, isCurrent, isChosen, toggle }: RowProps) {
  return (
    <tr class={isCurrent ? 'current' : ''}>
      <td>
        <input type="checkbox" aria-label={`Compare ${run.name}`} checked={isChosen} onChange={() => toggle(run.id)} />
      </td>
      <td class="wide">
        <a href={linkTo(['run', run.id])}>
          <b>{run.name}</b>
        </a>
        <div class="muted small">{[run.runName, run.model].filter(Boolean).join(' · ')}</div>
      </td>
      <td>
        <StateTag state={run.state} />
        {run.alarms > 0 && <span class="mark failed">! {run.alarms} alarms</span>}
      </td>
      <td class="n">{run.update === null ? '–' : `${count(run.update)} / ${count(run.updates)}`}</td>
      <td class="n">{number(run.loss)}</td>
      <td class="n">{percent(run.accuracy)}</td>
      <td class="n">{number(run.margin)}</td>
      <td class="n">{number(run.evalLoss)}</td>
      <td class="n">{dollars(run.cost)}</td>
      <td class="n" title={run.changed}>
        {age(run.changed, new Date())}
      </td>
    </tr>
  )
}
