/** @file Several runs beside each other: results, what was set differently, and their curves in one picture. */
import type { CompareReply, RunSummary } from '../../src/data/dashboard.ts'
import { CURVE_COLOURS, Curves } from '../curves.tsx'
import { count, number, percent, plain } from '../format.ts'
import { useData } from '../hooks.ts'
import { Empty, Shown, StateTag, Table } from '../parts.tsx'
import { linkTo, useAddress } from '../router.ts'

export function ComparePage() {
  const ids = (useAddress().query.get('runs') ?? '').split(',').filter(Boolean)
  const reply = useData<CompareReply>(
    ids.length < 2 ? null : `/api/compare?runs=${ids.map(encodeURIComponent).join(',')}`,
  )
  if (ids.length < 2) {
    return (
      <Empty title="Nothing to compare">
        Tick two runs or more on the <a href={linkTo([])}>list of runs</a>.
      </Empty>
    )
  }
  return <Shown of={reply}>{(data) => <Comparison data={data} />}</Shown>
}

function Comparison({ data: { runs, settings, results, series } }: { readonly data: CompareReply }) {
  const names = runs.map(({ name }) => name)
  const named = series.map((each, index) => ({ name: names[index] ?? each.run, series: each }))
  return (
    <>
      <div class="title">
        <h1>Compare</h1>
      </div>
      <Table head={['Run', 'State', 'Update', 'Loss', 'Accuracy', 'Margin', 'Eval loss']} numbersFrom={2}>
        {runs.map((run, index) => (
          <Row key={run.id} run={run} colour={index % CURVE_COLOURS} />
        ))}
      </Table>
      <h2>Set differently</h2>
      {settings.length === 0 ? (
        <p class="muted">No setting differs, or runs have not ended yet: settings are written at the end.</p>
      ) : (
        <Values names={names} rows={settings.map(({ name, values }) => ({ name, cells: values.map(plain) }))} />
      )}
      <h2>Results</h2>
      {results.length === 0 ? (
        <p class="muted">None yet.</p>
      ) : (
        <Values names={names} rows={results.map(({ name, values }) => ({ name, cells: values.map(number) }))} />
      )}
      <h2>Curves</h2>
      <Curves runs={named} />
    </>
  )
}

function Row({ run, colour }: { readonly run: RunSummary; readonly colour: number }) {
  return (
    <tr>
      <td>
        <i class={`dot curve-${colour}`} aria-hidden="true" /> <a href={linkTo(['run', run.id])}>{run.name}</a>
      </td>
      <td>
        <StateTag state={run.state} />
      </td>
      <td class="n">{count(run.update)}</td>
      <td class="n">{number(run.loss)}</td>
      <td class="n">{percent(run.accuracy)}</td>
      <td class="n">{number(run.margin)}</td>
      <td class="n">{number(run.evalLoss)}</td>
    </tr>
  )
}

interface ValuesProps {
  readonly names: readonly string[]
  readonly rows: readonly { readonly name: string; readonly cells: readonly string[] }[]
}

function Values({ names, rows }: ValuesProps) {
  return (
    <Table head={['', ...names]} numbersFrom={1}>
      {rows.map(({ name, cells }) => (
        <tr key={name}>
          <th scope="row">
            <code>{name}</code>
          </th>
          {cells.map((cell, index) => (
            <td key={index} class="n">
              {cell}
            </td>
          ))}
        </tr>
      ))}
    </Table>
  )
}
