/** @file Before and after training: answers that changed first, then all figures with their intervals. */
import type { Estimate } from '../../src/data/dashboard.ts'
import type { EvaluationItem, EvaluationsReply, FigureRow, Flip } from '../../src/data/dashboard-reports.ts'
import { count, number } from '../format.ts'
import { useData } from '../hooks.ts'
import { MathText } from '../math.tsx'
import { Empty, Interval, Shown, Table } from '../parts.tsx'
import { linkTo } from '../router.ts'

export function EvaluationsPage({ run }: { readonly run: string }) {
  const evaluations = useData<EvaluationsReply>(`/api/runs/${encodeURIComponent(run)}/evaluations`)
  return (
    <Shown of={evaluations}>
      {(data) => (
        <>
          <div class="title">
            <h1>Evaluations</h1>
          </div>
          {data.evaluations.length === 0 && (
            <Empty title="This run was not evaluated">
              <code>stepdpo eval</code> has both models solve problems that were not trained on.
            </Empty>
          )}
          {data.evaluations.map((evaluation) => (
            <Evaluation key={evaluation.name} run={run} evaluation={evaluation} />
          ))}
        </>
      )}
    </Shown>
  )
}

function Evaluation({ run, evaluation }: { readonly run: string; readonly evaluation: EvaluationItem }) {
  const { name, data, model, base, answers, flips, figures } = evaluation
  return (
    <section>
      <h2>
        {model} {base !== null && <>against {base}</>} <span class="muted">on {data}</span>
      </h2>
      <p class="muted small">{name}</p>
      {answers !== null && (
        <p class="flip-counts">
          <span class="mark good">✓ {count(answers.gained)} gained</span>{' '}
          <span class="mark wrong">✕ {count(answers.lost)} lost</span> of {count(answers.problems)} greedy answers.
          McNemar's test: p = {number(answers.p)}.
        </p>
      )}
      {flips.length > 0 && <Flips run={run} flips={flips} />}
      <Figures rows={figures} />
    </section>
  )
}

const FEW = 8

function Flips({ run, flips }: { readonly run: string; readonly flips: readonly Flip[] }) {
  const first = [...flips].sort((a, b) => Number(a.change === 'gained') - Number(b.change === 'gained'))
  return (
    <>
      <FlipTable run={run} flips={first.slice(0, FEW)} />
      {first.length > FEW && (
        <details>
          <summary>{count(first.length - FEW)} more</summary>
          <FlipTable run={run} flips={first.slice(FEW)} />
        </details>
      )}
    </>
  )
}

function FlipTable({ run, flips }: { readonly run: string; readonly flips: readonly Flip[] }) {
  return (
    <Table head={['Change', 'Problem', 'Before', 'After']}>
      {flips.map(({ problem, text, change, before, after }) => (
        <tr key={`${problem}/${before}`}>
          <td>
            <span class={`mark ${change === 'gained' ? 'good' : 'wrong'}`}>
              <i aria-hidden="true">{change === 'gained' ? '✓' : '✕'}</i>
              {change}
            </span>
          </td>
          <td class="wide">
            <MathText>{text}</MathText>
          </td>
          <td>
            <a href={linkTo(['run', run, 'traces', before])}>before</a>
          </td>
          <td>
            <a href={linkTo(['run', run, 'traces', after])}>after</a>
          </td>
        </tr>
      ))}
    </Table>
  )
}

function Figures({ rows }: { readonly rows: readonly FigureRow[] }) {
  if (rows.length === 0) return null
  return (
    <Table head={['Figure', 'Problems', 'Before', 'After', 'Change']}>
      {rows.map((row) => (
        <Figure key={`${row.source}/${row.name}/${row.judge}/${row.aggregation}`} row={row} rows={rows} />
      ))}
    </Table>
  )
}

/** Intervals of one unit stand on one axis, so that they can be compared by eye. */
function Figure({ row, rows }: { readonly row: FigureRow; readonly rows: readonly FigureRow[] }) {
  const alike = rows.filter(({ unit, name }) => unit === row.unit && (row.unit === '%' || name === row.name))
  const [from, to] = rangeOf(alike.flatMap(({ base, model }) => [base, model]))
  const [least, most] = rangeOf(alike.map(({ difference }) => difference))
  const width = Math.max(Math.abs(least), Math.abs(most))
  return (
    <tr>
      <th scope="row">
        {row.name}
        <div class="muted small">{[row.source, row.judge, row.aggregation, row.unit].filter(Boolean).join(' · ')}</div>
      </th>
      <td class="n">{count(row.problems)}</td>
      <td>
        <Interval of={row.base} from={from} to={to} />
      </td>
      <td>
        <Interval of={row.model} from={from} to={to} />
      </td>
      <td class={row.isSignificant === true ? 'clear' : ''}>
        <Interval of={row.difference} from={-width} to={width} mark={0} />
        {row.isSignificant === false && <span class="muted small">may be chance</span>}
      </td>
    </tr>
  )
}

function rangeOf(estimates: readonly (Estimate | null)[]): readonly [number, number] {
  const known = estimates.flatMap((each) => (each === null || each.value === null ? [] : [each]))
  const low = Math.min(...known.map((each) => each.low))
  const high = Math.max(...known.map((each) => each.high))
  return known.length === 0 ? [0, 1] : [Math.min(0, low), high]
}
