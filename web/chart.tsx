/** @file Curves: one chart with its explanation, a cursor that all charts share, and the values under it. */
import { useEffect, useRef } from 'preact/hooks'
import uPlot from 'uplot'
import { number, tick } from './format.ts'
import { type Column, smooth } from './smooth.ts'

/** A curve with x-values of its own. */
export interface Curve {
  readonly name: string
  readonly x: readonly number[]
  readonly y: Column
  /** An index of the palette. */
  readonly colour: number
  /** Points of an evaluation, not a line. */
  readonly isPoints?: boolean
  /** Low and high ends of the interval of each point. */
  readonly bounds?: readonly [Column, Column]
}

interface ChartProps {
  readonly title: string
  readonly text: string
  readonly curves: readonly Curve[]
  readonly smoothing: number
  readonly isLog: boolean
  /** Of light and dark: colours of a canvas are read when it is made. */
  readonly theme: string
}

const HEIGHT = 170

export function Chart({ title, text, curves, smoothing, isLog, theme }: ChartProps) {
  const place = useRef<HTMLDivElement>(null)
  const tip = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot | null>(null)
  const lines = curves.flatMap((curve) => linesOf(curve, smoothing))
  const shape = JSON.stringify([lines.map(({ name, colour, kind }) => [name, colour, kind]), isLog, theme])
  useEffect(() => {
    if (place.current === null || tip.current === null) return
    const made = makePlot(place.current, tip.current, { lines, isLog })
    plot.current = made
    const watch = new ResizeObserver(([entry]) => {
      if (entry !== undefined) made.setSize({ width: entry.contentRect.width, height: HEIGHT })
    })
    watch.observe(place.current)
    return () => {
      watch.disconnect()
      made.destroy()
    }
    // Made anew for another shape only; numbers are given to the chart that is there.
  }, [shape])
  useEffect(() => plot.current?.setData(joined(lines, isLog)), [curves, smoothing])
  return (
    <figure class="chart">
      <figcaption>
        <b>{title}</b>
        <span class="chart-now">{nowOf(curves)}</span>
        <p>{text}</p>
      </figcaption>
      <div class="chart-plot" ref={place} role="img" aria-label={describe(title, curves)} />
      <div class="chart-tip" ref={tip} hidden />
    </figure>
  )
}

interface Line {
  readonly name: string
  readonly x: readonly number[]
  readonly y: Column
  readonly colour: number
  /** `faint`: what was measured, behind what was smoothed. */
  readonly kind: 'line' | 'faint' | 'points' | 'bound'
}

function linesOf(curve: Curve, smoothing: number): Line[] {
  const { name, x, y, colour } = curve
  if (curve.isPoints) {
    const bounds = (curve.bounds ?? []).map((column) => ({ name, x, y: column, colour, kind: 'bound' as const }))
    return [...bounds, { name, x, y, colour, kind: 'points' }]
  }
  if (smoothing === 0) return [{ name, x, y, colour, kind: 'line' }]
  return [
    { name, x, y, colour, kind: 'faint' },
    { name, x, y: smooth(y, smoothing), colour, kind: 'line' },
  ]
}

/** On one x-axis. A logarithm has no place for 0 and less. */
function joined(lines: readonly Line[], isLog: boolean): uPlot.AlignedData {
  const shown = (value: number | null) => (isLog && value !== null && value <= 0 ? null : value)
  return uPlot.join(lines.map(({ x, y }): uPlot.AlignedData => [[...x], y.map(shown)]))
}

interface PlotInput {
  readonly lines: readonly Line[]
  readonly isLog: boolean
}

function makePlot(place: HTMLElement, tip: HTMLElement, { lines, isLog }: PlotInput): uPlot {
  const ink = colour('--muted')
  const grid = { stroke: colour('--line'), width: 1 }
  const axis = { stroke: ink, grid, ticks: { show: false }, font: '11px system-ui, sans-serif' }
  return new uPlot(
    {
      width: Math.max(place.clientWidth, 100),
      height: HEIGHT,
      padding: [8, 8, 0, 0],
      legend: { show: false },
      cursor: { sync: { key: 'updates', scales: ['x', null] }, drag: { x: true, y: false }, points: { size: 6 } },
      scales: { x: { time: false }, y: { distr: isLog ? 3 : 1 } },
      axes: [
        { ...axis, size: 24, space: 60 },
        {
          ...axis,
          size: 52,
          space: 28,
          values: (_, ticks) => ticks.map((at) => (at === null ? '' : tick(at))),
        },
      ],
      series: [{}, ...lines.map((line) => seriesOf(line, isLog))],
      hooks: { setCursor: [(plot) => showTip(plot, tip, lines)] },
    },
    joined(lines, isLog),
    place,
  )
}

function seriesOf({ colour: index, kind }: Line, isLog: boolean): uPlot.Series {
  const stroke = colour(`--curve-${index}`)
  const spanGaps = !isLog
  if (kind === 'points') return { stroke, paths: () => null, points: { show: true, size: 7, fill: stroke } }
  if (kind === 'bound') return { stroke, width: 1, dash: [2, 3], spanGaps, points: { show: false } }
  if (kind === 'faint') return { stroke, alpha: 0.25, width: 1, spanGaps, points: { show: false } }
  return { stroke, width: 1.75, spanGaps, points: { show: false } }
}

function showTip(plot: uPlot, tip: HTMLElement, lines: readonly Line[]): void {
  const { idx, left = -1 } = plot.cursor
  tip.hidden = idx === null || idx === undefined || left < 0
  if (idx === null || idx === undefined) return
  const rows = lines.flatMap((line, index) => {
    const value = line.kind === 'line' || line.kind === 'points' ? plot.data[index + 1]?.[idx] : null
    return value === null || value === undefined ? [] : [tipRow(line, value)]
  })
  const head = document.createElement('b')
  head.textContent = `update ${plot.data[0][idx]}`
  tip.replaceChildren(head, ...rows)
  tip.classList.toggle('on-left', left > plot.width / 2)
}

function tipRow(line: Line, value: number): HTMLElement {
  const row = document.createElement('div')
  const dot = document.createElement('i')
  dot.className = `dot curve-${line.colour}`
  row.append(dot, `${number(value)} ${line.name}`)
  return row
}

function nowOf(curves: readonly Curve[]): string {
  return curves.length > 3 ? '' : curves.map(({ y }) => number(lastOf(y))).join(' · ')
}

function describe(title: string, curves: readonly Curve[]): string {
  return `${title}. ${curves.map(({ name, x, y }) => `${name}: ${number(lastOf(y))} at update ${x.at(-1)}`).join('; ')}`
}

function lastOf(values: Column): number | null {
  return values.findLast((value) => value !== null) ?? null
}

function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim()
}
