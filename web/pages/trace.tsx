/** @file One solution: its steps, what judge and people say of them, how one score came of many, and its siblings. */
import { useEffect, useState } from 'preact/hooks'
import type { Trace, TraceJudgement, TraceRow, TracesReply } from '../../src/data/dashboard-traces.ts'
import { age, count, percent, score } from '../format.ts'
import { useData, useKeys } from '../hooks.ts'
import { MathText } from '../math.tsx'
import { Choice, Empty, Fact, Shown, Table } from '../parts.tsx'
import { linkTo, writeQuery } from '../router.ts'
import { AnswerMark, ScoreBar, Step, Strip } from '../steps.tsx'

export function TracePage({ run, item }: { readonly run: string; readonly item: string }) {
  const trace = useData<Trace>(`/api/runs/${encodeURIComponent(run)}/traces/${encodeURIComponent(item)}`)
  return <Shown of={trace}>{(data) => <TraceView run={run} trace={data} />}</Shown>
}

function TraceView({ run, trace }: { readonly run: string; readonly trace: Trace }) {
  const [judge, setJudge] = useState('0')
  const judgement = trace.judgements[Number(judge)] ?? null
  const judges = Object.fromEntries(trace.judgements.map((each, index) => [String(index), each.judge]))
  return (
    <>
      <div class="title">
        <h1>Trace</h1>
        <a class="button" href={linkTo(['run', run, 'problems', trace.problem])}>
          Tree of the problem
        </a>
        {trace.judgements.length > 1 && <Choice label="Judge" value={judge} options={judges} onChange={setJudge} />}
      </div>
      <section class="problem" aria-label="Problem">
        <MathText>{trace.problemText}</MathText>
      </section>
      <div class="columns">
        <div>
          <Steps trace={trace} judgement={judgement} />
          <Siblings run={run} trace={trace} />
        </div>
        <aside>
          <Answer trace={trace} />
          {judgement !== null && <Aggregations of={judgement} />}
          <About run={run} trace={trace} judgement={judgement} />
        </aside>
      </div>
    </>
  )
}

interface StepsProps {
  readonly trace: Trace
  readonly judgement: TraceJudgement | null
}

function Steps({ trace, judgement }: StepsProps) {
  const [current, setCurrent] = useState(-1)
  useKeys({
    j: () => setCurrent((old) => Math.min(trace.steps.length - 1, old + 1)),
    k: () => setCurrent((old) => Math.max(0, old - 1)),
  })
  useEffect(() => {
    document.querySelector(`[data-step="${current}"]`)?.scrollIntoView({ block: 'nearest' })
  }, [current])
  if (trace.steps.length === 0) return <Empty title="The policy wrote nothing" />
  let end = 0
  return (
    <ol class="steps" aria-label="Steps">
      {trace.steps.map((text, index) => {
        const begin = trace.completion.indexOf(text, end)
        end = begin < 0 ? end : begin + text.length
        return (
          <Step
            key={index}
            index={index}
            text={text}
            judged={judgement?.steps[index] ?? null}
            rating={trace.label?.ratings[index] ?? null}
            isGiven={begin >= 0 && end <= trace.given}
            isCurrent={index === current}
          />
        )
      })}
    </ol>
  )
}

function Answer({ trace }: { readonly trace: Trace }) {
  return (
    <section class="card">
      <h2>Answer</h2>
      <dl class="pairs-of">
        <Fact name="Extracted">
          <code>{trace.finalAnswer ?? 'none'}</code>
        </Fact>
        <Fact name="True">
          <code>{trace.answer ?? 'not known'}</code>
        </Fact>
      </dl>
      <AnswerMark isRight={trace.isRight} />
    </section>
  )
}

/** One score of many, by each way, with the arithmetic. */
function Aggregations({ of }: { readonly of: TraceJudgement }) {
  const [isAll, setIsAll] = useState(false)
  const used = of.aggregations.filter(({ isUsed }) => isUsed)
  const shown = isAll || used.length === 0 ? of.aggregations : used
  return (
    <section class="card">
      <h2>Score</h2>
      <p class="muted small">
        {percent(of.coverage)} of the steps were scored. Used: <b>{of.aggregation}</b>.
      </p>
      <dl class="arithmetic">
        {shown.map(({ name, score: value, arithmetic, isUsed }) => (
          <div key={name} class={isUsed ? 'used' : ''}>
            <dt>{name}</dt>
            <dd>
              {arithmetic !== '' && <code>{arithmetic} = </code>}
              <b>{score(value)}</b>
            </dd>
          </div>
        ))}
      </dl>
      <button type="button" onClick={() => setIsAll(!isAll)} aria-expanded={isAll}>
        {isAll ? 'Only the one used' : `All ${of.aggregations.length} ways`}
      </button>
    </section>
  )
}

function About({ run, trace, judgement }: StepsProps & { readonly run: string }) {
  return (
    <section class="card">
      <h2>Where it is from</h2>
      <dl class="pairs-of">
        <Fact name="File">{trace.sourceName}</Fact>
        {trace.makerName !== null && <Fact name="Maker">{trace.makerName}</Fact>}
        {judgement !== null && <Fact name="Judge">{judgement.judge}</Fact>}
        {trace.tokens !== null && <Fact name="Tokens">{count(trace.tokens)}</Fact>}
        {trace.finish !== null && <Fact name="End">{trace.finish === 'stop' ? 'by itself' : 'cut at the limit'}</Fact>}
        {trace.label !== null && (
          <Fact name="Labelled">
            by {trace.label.who}, <span title={trace.label.when}>{age(trace.label.when, new Date())} ago</span>
          </Fact>
        )}
        {trace.pairs.length > 0 && (
          <Fact name="In pairs">
            {trace.pairs.slice(0, 5).map((pair) => (
              <a key={pair} class="id" href={linkTo(['run', run, 'pairs'], { pair })}>
                {pair.slice(0, 8)}
              </a>
            ))}
          </Fact>
        )}
      </dl>
    </section>
  )
}

/** Solutions of the same problem, by file and by who wrote them: before and after training. */
function Siblings({ run, trace }: { readonly run: string; readonly trace: Trace }) {
  const query = writeQuery({ problem: trace.problem, limit: 100 })
  const { data } = useData<TracesReply>(`/api/runs/${encodeURIComponent(run)}/traces${query}`)
  if (data === null || data.items.length < 2) return null
  const keys = [...new Set(data.items.map(({ source, maker }) => `${source}/${maker}`))]
  return (
    <section>
      <h2>Solutions of this problem</h2>
      {keys.map((key) => {
        const rows = data.items.filter(({ source, maker }) => `${source}/${maker}` === key)
        const first = rows[0]
        return (
          <section key={key} class="siblings">
            <h3>
              {first === undefined ? '' : data.sources[first.source]?.name}{' '}
              <span class="muted">{first === undefined ? '' : (data.makers[first.maker] ?? '').split(' ', 1)}</span>
            </h3>
            <Table head={['Sample', 'Steps', 'Score', 'Answer']}>
              {rows.slice(0, 12).map((row) => (
                <Sibling key={row.id} run={run} row={row} isThis={row.id === trace.id} />
              ))}
            </Table>
          </section>
        )
      })}
      <a href={linkTo(['run', run, 'traces'], { problem: trace.problem })}>All {count(data.found)} in a list</a>
    </section>
  )
}

function Sibling({ run, row, isThis }: { readonly run: string; readonly row: TraceRow; readonly isThis: boolean }) {
  return (
    <tr class={isThis ? 'current' : ''}>
      <td>
        {isThis ? `${row.sample + 1}, this` : <a href={linkTo(['run', run, 'traces', row.id])}>{row.sample + 1}</a>}
      </td>
      <td>
        <Strip letters={row.verdicts} by="judge" />
      </td>
      <td>
        <ScoreBar value={row.score} />
      </td>
      <td>
        <AnswerMark isRight={row.isRight} />
      </td>
    </tr>
  )
}
