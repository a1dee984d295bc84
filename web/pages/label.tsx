/** @file Where people rate steps, by keys alone; what the judge says stays hidden until they have answered. */
import { useEffect, useState } from 'preact/hooks'
import type { LabelCounts, LabelOutcome, LabelTask, UndoOutcome } from '../../src/data/dashboard-labels.ts'
import type { Trace } from '../../src/data/dashboard-traces.ts'
import { count } from '../format.ts'
import { messageOf, useData } from '../hooks.ts'
import { Choice, Empty, Failure, Shown } from '../parts.tsx'
import { changeQuery, linkTo, useAddress } from '../router.ts'
import { isStatic, readJson, sendJson } from '../source.ts'
import { LabelSheet } from './label-sheet.tsx'

type Next = LabelTask | ({ readonly done: true } & LabelCounts)

const orders = { file: 'as in the file', uncertain: 'judge least sure', suspicious: 'wrong, but looks right' }

export function LabelPage({ run }: { readonly run: string }) {
  const { query } = useAddress()
  const order = query.get('order') ?? 'file'
  const path = `/api/runs/${encodeURIComponent(run)}/labels`
  const next = useData<Next>(isStatic ? null : `${path}/next?order=${encodeURIComponent(order)}`)
  const session = useData<{ readonly who: string }>('/api/session')
  if (isStatic) return <Empty title="This is a copy">Start `stepdpo view` to label.</Empty>
  return (
    <>
      <div class="title">
        <h1>Label</h1>
        {session.data !== null && <span class="muted">as {session.data.who}</span>}
        <Choice label="Order" value={order} options={orders} onChange={(value) => changeQuery({ order: value })} />
      </div>
      <Shown of={next}>{(data) => <Queue run={run} path={path} next={data} reload={next.reload} />}</Shown>
    </>
  )
}

type BackTask = Pick<LabelTask, 'done' | 'trace' | 'problem' | 'steps'>

function taskOf({ id, problemText, steps }: Trace): BackTask {
  return { done: false, trace: id, problem: problemText, steps }
}

interface QueueProps {
  readonly run: string
  readonly path: string
  readonly next: Next
  readonly reload: () => void
}

/** The task before the person: the next one, or one that they went back to. */
function Queue({ run, path, next, reload }: QueueProps) {
  const [counts, setCounts] = useState<LabelCounts>(next)
  const [back, setBack] = useState<{ readonly trace: Trace; readonly wasAnswered: boolean } | null>(null)
  const [error, setError] = useState<string | null>(null)
  useEffect(() => setCounts(next), [next])
  const traces = path.replace(/labels$/, 'traces')
  const tell = <Reply extends LabelCounts>(reply: Reply): Reply => {
    setCounts(reply)
    setError(null)
    return reply
  }
  const send = async <Reply extends LabelCounts>(way: string, body: unknown): Promise<Reply | null> => {
    try {
      return tell(await sendJson<Reply>(`${path}${way}`, body))
    } catch (failure) {
      setError(messageOf(failure))
      return null
    }
  }
  const goOn = () => {
    setBack(null)
    reload()
  }
  const undo = async () => {
    const outcome = await send<UndoOutcome>('/undo', {})
    if (outcome === null || outcome.undone === null) return
    const path = `${traces}/${encodeURIComponent(outcome.undone.trace)}`
    const trace = await readJson<Trace>(path, new AbortController().signal)
    setBack({ trace, wasAnswered: outcome.undone.label !== null })
  }
  const task: Next | BackTask = back === null ? next : taskOf(back.trace)
  return (
    <>
      <Progress counts={counts} />
      {error !== null && <Failure text={error} />}
      {task.done ? (
        <Done run={run} counts={counts} undo={undo} />
      ) : (
        <LabelSheet
          key={`${task.trace}/${back === null}`}
          run={run}
          task={task}
          wasAnswered={back?.wasAnswered ?? false}
          submit={(input) => send<LabelOutcome>('', input)}
          skip={async () => (await send('/skip', { trace: task.trace })) !== null && goOn()}
          undo={undo}
          goOn={goOn}
        />
      )}
    </>
  )
}

function Done({
  run,
  counts,
  undo,
}: {
  readonly run: string
  readonly counts: LabelCounts
  readonly undo: () => void
}) {
  if (counts.labelled + counts.skipped === 0) {
    return (
      <Empty title="There is nothing to label">
        <code>stepdpo generate</code> has a model write solutions.
      </Empty>
    )
  }
  return (
    <Empty title="All solutions are labelled or skipped">
      Look at <a href={linkTo(['run', run, 'judges'])}>how far the judge agrees</a>, and run <code>stepdpo pairs</code>{' '}
      again: your labels take the place of its verdicts.{' '}
      <button type="button" onClick={undo}>
        Undo the last
      </button>
    </Empty>
  )
}

function Progress({ counts: { labelled, skipped, open, ratedSteps } }: { readonly counts: LabelCounts }) {
  const all = labelled + skipped + open
  return (
    <div class="progress">
      <progress value={labelled + skipped} max={Math.max(1, all)} aria-label="Progress" />
      <span class="n" role="status">
        {count(labelled)} labelled ({count(ratedSteps)} steps), {count(skipped)} skipped, {count(open)} open
      </span>
    </div>
  )
}
