/** @file Small parts of all pages: states, figures with intervals, choices. */
import type { ComponentChildren } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import type { Estimate, RunState } from '../src/data/dashboard.ts'
import { number } from './format.ts'
import type { Loaded } from './hooks.ts'

interface ShownProps<Reply> {
  readonly of: Loaded<Reply>
  readonly children: (data: Reply) => ComponentChildren
}

/** Data, or what is in their place. An error stands above what was read before it. */
export function Shown<Reply>({ of, children }: ShownProps<Reply>) {
  return (
    <>
      {of.error !== null && <Failure text={of.error} retry={of.reload} />}
      {of.data !== null && children(of.data)}
      {of.data === null && of.error === null && <Waiting />}
    </>
  )
}

export function Failure({ text, retry }: { readonly text: string; readonly retry?: () => void }) {
  return (
    <div class="notice bad" role="alert">
      <span>{text}</span>
      {retry && (
        <button type="button" onClick={retry}>
          Try again
        </button>
      )}
    </div>
  )
}

function Waiting() {
  return (
    <p class="waiting" role="status">
      Reading …
    </p>
  )
}

/** Nothing is there, and what to do about it. */
export function Empty({ title, children }: { readonly title: string; readonly children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children && <div>{children}</div>}
    </div>
  )
}

export function Fact({ name, children }: { readonly name: string; readonly children: ComponentChildren }) {
  return (
    <div class="fact">
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  )
}

const stateWords: { readonly [S in RunState]: string } = {
  running: 'running',
  finished: 'finished',
  stopped: 'stopped',
  ended: 'broke off',
  idle: 'no training',
}

export function StateTag({ state }: { readonly state: RunState }) {
  return (
    <span class={`state ${state}`}>
      <i aria-hidden="true" />
      {stateWords[state]}
    </span>
  )
}

interface IntervalProps {
  readonly of: Estimate | null
  /** The ends of the axis. */
  readonly from: number
  readonly to: number
  /** Where a line is drawn, such as no difference. */
  readonly mark?: number
  readonly show?: (value: number | null) => string
}

/** A figure with its 95 % interval, as numbers and as a picture. */
export function Interval({ of, from, to, mark, show = number }: IntervalProps) {
  if (of === null || of.value === null) return <span class="muted">–</span>
  const place = (value: number) => 2 + 116 * Math.min(1, Math.max(0, (value - from) / (to - from || 1)))
  const words = `${show(of.value)}, between ${show(of.low)} and ${show(of.high)}`
  return (
    <span class="interval">
      <b>{show(of.value)}</b>
      <svg viewBox="0 0 120 14" role="img" aria-label={words}>
        <title>{words}</title>
        <line class="axis" x1="2" x2="118" y1="7" y2="7" />
        {mark !== undefined && <line class="mark" x1={place(mark)} x2={place(mark)} y1="1" y2="13" />}
        <line class="range" x1={place(of.low)} x2={place(of.high)} y1="7" y2="7" />
        <circle cx={place(of.value)} cy="7" r="3.5" />
      </svg>
      <span class="bounds">
        {show(of.low)} … {show(of.high)}
      </span>
    </span>
  )
}

interface ChoiceProps {
  readonly label: string
  readonly value: string
  readonly options: Readonly<Record<string, string>>
  readonly onChange: (value: string) => void
}

export function Choice({ label, value, options, onChange }: ChoiceProps) {
  return (
    <label class="choice">
      <span>{label}</span>
      <select value={value} onChange={(event) => onChange(event.currentTarget.value)}>
        {Object.entries(options).map(([key, text]) => (
          <option key={key} value={key}>
            {text}
          </option>
        ))}
      </select>
    </label>
  )
}

interface SearchProps {
  readonly label: string
  readonly value: string
  readonly onChange: (value: string) => void
}

const TYPING_MS = 150

/** `/` brings the cursor here. Asks when somebody has stopped typing; until then what they typed stands. */
export function Search({ label, value, onChange }: SearchProps) {
  const [text, setText] = useState(value)
  const told = useRef(value)
  useEffect(() => {
    if (value === told.current) return
    told.current = value
    setText(value)
  }, [value])
  useEffect(() => {
    if (text === told.current) return
    const timer = setTimeout(() => {
      told.current = text
      onChange(text)
    }, TYPING_MS)
    return () => clearTimeout(timer)
  }, [text])
  return (
    <input
      type="search"
      class="search"
      aria-label={label}
      placeholder="Search  ( / )"
      value={text}
      onInput={(event) => setText(event.currentTarget.value)}
    />
  )
}

export function Switch(props: { readonly label: string; readonly isOn: boolean; readonly onChange: () => void }) {
  return (
    <label class="switch">
      <input type="checkbox" checked={props.isOn} onChange={props.onChange} />
      <span>{props.label}</span>
    </label>
  )
}

interface TableProps {
  readonly head: readonly string[]
  /** The first column of numbers; all behind it are. */
  readonly numbersFrom?: number
  readonly children: ComponentChildren
}

/** A table that scrolls by itself where the page is narrow, then also by keys. */
export function Table({ head, numbersFrom = head.length, children }: TableProps) {
  const box = useRef<HTMLDivElement>(null)
  useEffect(() => {
    if (box.current === null) return
    const watch = new ResizeObserver(([entry]) => makeFocusable(entry?.target))
    watch.observe(box.current)
    return () => watch.disconnect()
  }, [])
  return (
    <div class="table" ref={box}>
      <table>
        <thead>
          <tr>
            {head.map((name, index) => (
              <th key={index} scope="col" class={index < numbersFrom ? '' : 'n'}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  )
}

function makeFocusable(box: Element | undefined): void {
  if (box === undefined) return
  if (box.scrollWidth > box.clientWidth) box.setAttribute('tabindex', '0')
  else box.removeAttribute('tabindex')
}
