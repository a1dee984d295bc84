/** @file The charts of one run or of several laid over each other, with what all charts share. */
import { useMemo } from 'preact/hooks'
import type { SeriesReply, SeriesTable } from '../src/data/dashboard.ts'
import { Chart, type Curve } from './chart.tsx'
import { explain, firstMetrics } from './metrics.ts'
import { Choice, Empty, Search, Switch } from './parts.tsx'
import { changeQuery, useAddress } from './router.ts'
import type { Column } from './smooth.ts'
import { useTheme } from './theme.ts'

/** Colours of runs; the first is the accent. */
export const CURVE_COLOURS = 8

export interface NamedSeries {
  readonly name: string
  readonly series: SeriesReply
}

const smoothings = { '0': 'none', '0.6': '0.6', '0.9': '0.9', '0.97': '0.97' }
const amounts = { main: 'most important', all: 'all' }

export function Curves({ runs }: { readonly runs: readonly NamedSeries[] }) {
  const { query } = useAddress()
  const theme = useTheme()
  const smoothing = query.get('smooth') ?? '0.6'
  const isLog = query.get('log') === '1'
  const search = query.get('metric') ?? ''
  const amount = query.get('show') ?? 'main'
  const charts = useMemo(() => chartsOf(runs), [runs])
  const wanted = charts.filter(
    ({ title }) => title.includes(search.trim()) && (search !== '' || amount === 'all' || firstMetrics.includes(title)),
  )
  if (charts.length === 0) return <Empty title="No metrics yet">They come with the first update of training.</Empty>
  return (
    <>
      <div class="filters">
        <Search label="Metric" value={search} onChange={(metric) => changeQuery({ metric })} />
        <Choice label="Show" value={amount} options={amounts} onChange={(show) => changeQuery({ show })} />
        <Choice
          label="Smoothing"
          value={smoothing}
          options={smoothings}
          onChange={(value) => changeQuery({ smooth: value })}
        />
        <Switch label="Logarithmic" isOn={isLog} onChange={() => changeQuery({ log: isLog ? null : 1 })} />
        <span class="muted hint">Points are evaluations. Drag to zoom, double-click to go back.</span>
      </div>
      <div class="charts">
        {wanted.map(({ title, curves }) => (
          <Chart
            key={title}
            title={title}
            text={explain(title)}
            curves={curves}
            smoothing={Number(smoothing)}
            isLog={isLog}
            theme={theme}
          />
        ))}
      </div>
    </>
  )
}

interface ChartOf {
  readonly title: string
  readonly curves: readonly Curve[]
}

function chartsOf(runs: readonly NamedSeries[]): ChartOf[] {
  const known = new Set(runs.flatMap(({ series }) => namesOf(series)))
  const first = firstMetrics.filter((name) => known.has(name))
  const others = [...known].filter((name) => !firstMetrics.includes(name)).sort()
  return [...first, ...others].map((title) => ({
    title,
    curves: runs.flatMap((run, index) => curvesOf(run, index, title)),
  }))
}

function namesOf({ train, eval: evaluation, speed }: SeriesReply): string[] {
  const evaluated = Object.keys(evaluation.columns).filter((name) => !/_(low|high)$/.test(name))
  const names = evaluated.map((name) => name.replace(/^eval_/, ''))
  return [...Object.keys(train.columns), ...names, ...Object.keys(speed.columns)].filter((name) => name !== 'epoch')
}

function curvesOf({ name, series }: NamedSeries, index: number, metric: string): Curve[] {
  const colour = index % CURVE_COLOURS
  const lines = [series.train, series.speed].flatMap((table): Curve[] => {
    const y = columnOf(table, metric)
    return y === null ? [] : [{ name, x: table.update, y, colour }]
  })
  const y = columnOf(series.eval, `eval_${metric}`)
  if (y === null) return lines
  const low = columnOf(series.eval, `eval_${metric}_low`)
  const high = columnOf(series.eval, `eval_${metric}_high`)
  const bounds = low !== null && high !== null && { bounds: [low, high] as const }
  return [...lines, { name: `${name}, evaluation`, x: series.eval.update, y, colour, isPoints: true, ...bounds }]
}

/** Names are of strangers: `constructor` is none that every table has. */
function columnOf(table: SeriesTable, name: string): Column | null {
  return Object.hasOwn(table.columns, name) ? (table.columns[name] ?? null) : null
}
