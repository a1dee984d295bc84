/** @file The frame of all pages: where one is, where one can go, which keys there are. */
import type { JSX } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import type { RunSummary } from '../src/data/dashboard.ts'
import { useData, useKeys, useReloading } from './hooks.ts'
import { Keyboard } from './keyboard.tsx'
import { ComparePage } from './pages/compare.tsx'
import { EvaluationsPage } from './pages/evaluations.tsx'
import { JudgesPage } from './pages/judges.tsx'
import { LabelPage } from './pages/label.tsx'
import { PairsPage } from './pages/pairs.tsx'
import { ProblemsPage } from './pages/problems.tsx'
import { RunPage } from './pages/run.tsx'
import { RunsPage } from './pages/runs.tsx'
import { TracePage } from './pages/trace.tsx'
import { TracesPage } from './pages/traces.tsx'
import { TreePage } from './pages/tree.tsx'
import { Empty, StateTag } from './parts.tsx'
import { goTo, linkTo, useAddress } from './router.ts'
import { turnTheme } from './theme.ts'

interface RunPlace {
  readonly run: string
  /** The trace or the problem. */
  readonly item: string
}

interface Section {
  readonly title: string
  /** Behind `g`. */
  readonly key: string
  readonly page: (place: RunPlace) => JSX.Element
  readonly itemPage?: (place: RunPlace) => JSX.Element
}

/** By the part of the address behind the run's. */
const sections: Readonly<Record<string, Section>> = {
  run: { title: 'Run', key: 'r', page: RunPage },
  traces: { title: 'Traces', key: 't', page: TracesPage, itemPage: TracePage },
  problems: { title: 'Tree', key: 'b', page: ProblemsPage, itemPage: TreePage },
  pairs: { title: 'Pairs', key: 'p', page: PairsPage },
  label: { title: 'Label', key: 'l', page: LabelPage },
  judges: { title: 'Judges', key: 'j', page: JudgesPage },
  eval: { title: 'Eval', key: 'e', page: EvaluationsPage },
}

export function App() {
  const { parts } = useAddress()
  const [area = '', run = '', sectionName = 'run', item] = parts
  const section = Object.hasOwn(sections, sectionName) ? sections[sectionName] : undefined
  const isRun = area === 'run' && run !== '' && section !== undefined
  const [helps, setHelps] = useState(false)
  useShortcuts(area === 'run' ? run : null, () => setHelps(true))
  useHeading(isRun ? section.title : area === 'compare' ? 'Compare' : 'Runs')
  return (
    <>
      <button type="button" class="skip" onClick={skipToContent}>
        To the content
      </button>
      <header class="top">
        <a class="brand" href={linkTo([])}>
          <Logo /> stepdpo
        </a>
        {isRun && <RunHead run={run} current={sectionName} />}
        <span class="grow" />
        <button type="button" class="quiet" onClick={() => setHelps(true)} aria-label="Keys">
          ?
        </button>
        <button type="button" class="quiet" onClick={turnTheme} aria-label="Light or dark">
          ◐
        </button>
      </header>
      <main id="content" tabIndex={-1}>
        <PageOf
          key={`${run}/${sectionName}/${item}`}
          area={area}
          section={isRun ? section : undefined}
          place={{ run, item }}
        />
      </main>
      {helps && <Keyboard close={() => setHelps(false)} />}
    </>
  )
}

interface PageOfProps {
  readonly area: string
  readonly section: Section | undefined
  readonly place: { readonly run: string; readonly item: string | undefined }
}

function PageOf({ area, section, place: { run, item } }: PageOfProps) {
  if (area === '') return <RunsPage />
  if (area === 'compare') return <ComparePage />
  if (section === undefined) return <Empty title="There is no such page">Its address may be cut.</Empty>
  const Page = item !== undefined && section.itemPage !== undefined ? section.itemPage : section.page
  return <Page run={run} item={item ?? ''} />
}

function RunHead({ run, current }: { readonly run: string; readonly current: string }) {
  const { data, reload } = useData<RunSummary>(`/api/runs/${encodeURIComponent(run)}`)
  useReloading(reload, data?.state === 'running', 3000)
  return (
    <>
      <span class="run-name" title={data?.runName ?? ''}>
        {data?.name ?? '…'}
      </span>
      {data !== null && <StateTag state={data.state} />}
      <nav aria-label="Pages of the run">
        {Object.entries(sections).map(([name, { title }]) => (
          <a
            key={name}
            href={linkTo(name === 'run' ? ['run', run] : ['run', run, name])}
            aria-current={name === current ? 'page' : undefined}
          >
            {title}
          </a>
        ))}
      </nav>
    </>
  )
}

function Logo() {
  return (
    <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
      <path d="M1 14h4v-4h4V6h4V2h2" fill="none" stroke="currentColor" stroke-width="2" />
    </svg>
  )
}

/** `g` and a letter go to a page; `/` to the search; `?` shows all keys. */
function useShortcuts(run: string | null, help: () => void): void {
  const isGoing = useRef(false)
  const go = (name: string) => {
    if (name === 'runs') goTo(linkTo([]))
    else if (run !== null) goTo(linkTo(name === 'run' ? ['run', run] : ['run', run, name]))
  }
  useKeys({ '/': () => document.querySelector<HTMLInputElement>('input.search')?.focus(), '?': help })
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.altKey || event.metaKey || isField(event.target)) return
      const was = isGoing.current
      isGoing.current = event.key === 'g' && !was
      if (isGoing.current || !was) return
      const name = event.key === 'a' ? 'runs' : Object.keys(sections).find((each) => sections[each]?.key === event.key)
      if (name === undefined) return
      event.preventDefault()
      event.stopImmediatePropagation()
      go(name)
    }
    // Before the keys of pages: `g j` is not `j`.
    addEventListener('keydown', press, { capture: true })
    return () => removeEventListener('keydown', press, { capture: true })
  }, [run])
}

function isField(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && ['INPUT', 'TEXTAREA', 'SELECT'].includes(target.tagName)
}

/** A button, as a hash is an address here. */
function skipToContent(): void {
  document.querySelector<HTMLElement>('#content')?.focus()
}

function useHeading(title: string): void {
  useEffect(() => {
    document.title = `${title} · stepdpo`
  }, [title])
}
