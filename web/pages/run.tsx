/** @file One run: its figures and curves, live while it trains, and in tabs all that is known of it. */
import { useState } from 'preact/hooks'
import type { LiveCounts, RunReply, SeriesReply } from '../../src/data/dashboard.ts'
import { Curves } from '../curves.tsx'
import { count, number, percent } from '../format.ts'
import { useData, useLive, useThrottled } from '../hooks.ts'
import { Choice, Fact, Shown } from '../parts.tsx'
import { changeQuery, linkTo, useAddress } from '../router.ts'
import { isStatic } from '../source.ts'
import { Checkpoints, Log, Records, Usage } from './run-tabs.tsx'

const tabs: Readonly<Record<string, string>> = {
  curves: 'Curves',
  settings: 'Settings',
  environment: 'Environment',
  usage: 'Usage and cost',
  checkpoints: 'Checkpoints',
  log: 'Log',
}

const POINTS = 1500

export function RunPage({ run }: { readonly run: string }) {
  const path = `/api/runs/${encodeURIComponent(run)}`
  const facts = useData<RunReply>(path)
  const series = useData<SeriesReply>(`${path}/series?points=${POINTS}`)
  const [counts, setCounts] = useState<LiveCounts | null>(null)
  const refresh = useThrottled(() => {
    facts.reload()
    series.reload()
  }, 1000)
  const isHeard = useLive(run, {
    onLog: refresh,
    onCounts: (given) => {
      setCounts(given)
      refresh()
    },
  })
  const tab = useAddress().query.get('tab') ?? 'curves'
  return (
    <Shown of={facts}>
      {(data) => (
        <>
          <Head run={data} counts={counts} isHeard={isHeard} />
          <Alarms run={data} />
          <div class="tabs" role="tablist" aria-label="About the run">
            {Object.entries(tabs).map(([name, title]) => (
              <button
                key={name}
                type="button"
                role="tab"
                id={`tab-${name}`}
                aria-controls="tab-panel"
                aria-selected={name === tab}
                onClick={() => changeQuery({ tab: name })}
              >
                {title}
              </button>
            ))}
          </div>
          <div id="tab-panel" role="tabpanel" aria-labelledby={`tab-${tab}`}>
            {tab === 'curves' ? <RunCurves run={data} series={series} /> : <Tab name={tab} run={data} />}
          </div>
        </>
      )}
    </Shown>
  )
}

interface HeadProps {
  readonly run: RunReply
  readonly counts: LiveCounts | null
  readonly isHeard: boolean
}

function Head({ run, counts, isHeard }: HeadProps) {
  const isLost = !isHeard && !isStatic && run.state === 'running'
  return (
    <>
      <div class="title">
        <h1>{run.name}</h1>
        <span class="muted">{[run.runName, run.model].filter(Boolean).join(' · ')}</span>
        {isLost && <span class="tag">not connected: what you see stands still</span>}
      </div>
      <dl class="facts">
        <Fact name="Update">
          {count(run.update)} <span class="muted">of {count(run.updates)}</span>
        </Fact>
        <Fact name="Loss">{number(run.loss)}</Fact>
        <Fact name="Accuracy">{percent(run.accuracy)}</Fact>
        <Fact name="Margin">{number(run.margin)}</Fact>
        <Fact name="Eval loss">{number(run.evalLoss)}</Fact>
        <Fact name="Traces">
          <a href={linkTo(['run', run.id, 'traces'])}>{count(counts?.traces ?? run.traces)}</a>
        </Fact>
        {counts !== null && (
          <Fact name="Pairs">
            <a href={linkTo(['run', run.id, 'pairs'])}>{count(counts.pairs)}</a>
          </Fact>
        )}
        {counts !== null && (
          <Fact name="Labels">
            <a href={linkTo(['run', run.id, 'label'])}>{count(counts.labels)}</a>
          </Fact>
        )}
      </dl>
    </>
  )
}

function Alarms({ run: { raised } }: { readonly run: RunReply }) {
  if (raised.length === 0) return null
  return (
    <section class="notice alarm" aria-label="Alarms">
      <ul>
        {raised.map(({ update, name, text, remedy }) => (
          <li key={`${name}/${update}`}>
            <b>! {name}</b> at update {update}: {text} <span class="muted">{remedy}</span>
          </li>
        ))}
      </ul>
    </section>
  )
}

interface RunCurvesProps {
  readonly run: RunReply
  readonly series: ReturnType<typeof useData<SeriesReply>>
}

/** With the curves of another run behind them, where one is chosen. */
function RunCurves({ run, series }: RunCurvesProps) {
  const other = useAddress().query.get('with')
  const runs = useData<{ runs: readonly { id: string; name: string }[] }>('/api/runs')
  const path = other === null || other === '' ? null : `/api/runs/${encodeURIComponent(other)}/series?points=${POINTS}`
  const beside = useData<SeriesReply>(path)
  const others = (runs.data?.runs ?? []).filter(({ id }) => id !== run.id)
  const options = Object.fromEntries([['', 'nothing'], ...others.map(({ id, name }) => [id, name])])
  return (
    <Shown of={series}>
      {(data) => {
        const name = others.find(({ id }) => id === other)?.name
        const overlay =
          path !== null && beside.data !== null && name !== undefined ? [{ name, series: beside.data }] : []
        return (
          <>
            <Curves runs={[{ name: run.name, series: data }, ...overlay]} />
            {others.length > 0 && (
              <div class="filters">
                <Choice
                  label="Lay over"
                  value={other ?? ''}
                  options={options}
                  onChange={(id) => changeQuery({ with: id })}
                />
              </div>
            )}
          </>
        )
      }}
    </Shown>
  )
}

function Tab({ name, run }: { readonly name: string; readonly run: RunReply }) {
  if (name === 'settings') return <Records of={run.settings} missing="Settings are written at the end of training." />
  if (name === 'environment') return <Records of={run.environment} missing="Nothing is known of where it ran." />
  if (name === 'usage') return <Usage rows={run.usage} />
  if (name === 'checkpoints') return <Checkpoints of={run.checkpoints} />
  return <Log lines={run.log} />
}
