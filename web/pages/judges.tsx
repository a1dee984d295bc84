/** @file How good judges are: against people, on benchmarks, and what they cost. */
import type { BenchmarkFigures, JudgeFigures, JudgesReply } from '../../src/data/dashboard-reports.ts'
import { count, number, percent, score } from '../format.ts'
import { useData } from '../hooks.ts'
import { Empty, Fact, Interval, Shown, Table } from '../parts.tsx'
import { linkTo } from '../router.ts'
import { Usage } from './run-tabs.tsx'

export function JudgesPage({ run }: { readonly run: string }) {
  const judges = useData<JudgesReply>(`/api/runs/${encodeURIComponent(run)}/judges`)
  return (
    <Shown of={judges}>
      {(data) => (
        <>
          <div class="title">
            <h1>Judges</h1>
          </div>
          {data.judges.length === 0 && (
            <Empty title="Nothing was judged in this run">
              <code>stepdpo judge</code> has every step of its solutions scored.
            </Empty>
          )}
          {data.judges.map((judge) => (
            <Judge key={judge.judge} run={run} judge={judge} />
          ))}
          <h2>Cost and latency</h2>
          <Usage rows={data.usage} />
          <h2>ProcessBench</h2>
          <Benchmarks of={data} />
        </>
      )}
    </Shown>
  )
}

function Judge({ run, judge }: { readonly run: string; readonly judge: JudgeFigures }) {
  const failures = Object.entries(judge.failures)
    .map(([kind, times]) => `${kind} ${count(times)}`)
    .join(', ')
  return (
    <section class="card judge">
      <h2>{judge.judge}</h2>
      <dl class="facts">
        <Fact name="Solutions">{count(judge.solutions)}</Fact>
        <Fact name="Steps scored">{count(judge.scored)}</Fact>
        <Fact name="Abstained">{count(judge.abstained)}</Fact>
        <Fact name="Failed">
          {count(judge.failed)} <span class="muted small">{failures}</span>
        </Fact>
        <Fact name="Mean score">{score(judge.meanScore)}</Fact>
      </dl>
      {judge.agreement.steps === 0 ? (
        <p class="muted">
          No step has both its score and a person's label. <a href={linkTo(['run', run, 'label'])}>Label some</a>:
          agreement, confusion and calibration follow.
        </p>
      ) : (
        <Against run={run} judge={judge} />
      )}
    </section>
  )
}

function Against({ run, judge }: { readonly run: string; readonly judge: JudgeFigures }) {
  const { agreement } = judge
  return (
    <div class="against">
      <div>
        <h3>Agreement with people</h3>
        <p class="muted small">
          {count(agreement.steps)} steps, labelled without seeing the judge. κ is 0 for chance and 1 for always.
        </p>
        <dl class="pairs-of">
          <Fact name="Same label">
            <Interval of={agreement.same} from={0} to={1} show={percent} />
          </Fact>
          <Fact name="Cohen's κ">
            <Interval of={agreement.kappa} from={-0.2} to={1} mark={0} />
          </Fact>
        </dl>
      </div>
      <Confusion of={judge.confusion} />
      <Calibration of={judge.calibration} />
      {judge.examples.length > 0 && <Examples run={run} of={judge.examples} />}
    </div>
  )
}

const words = ['correct', 'neutral', 'incorrect']

function Confusion({ of }: { readonly of: JudgeFigures['confusion'] }) {
  const most = Math.max(1, ...of.flat())
  return (
    <div>
      <h3>Confusion</h3>
      <Table head={['judge ↓ person →', ...words]}>
        {words.map((word, row) => (
          <tr key={word}>
            <th scope="row">{word}</th>
            {words.map((other, column) => {
              const times = of[row]?.[column] ?? 0
              const shade = times === 0 ? 0 : 1 + Math.floor((3.99 * times) / most)
              return (
                <td key={other} class={`n shade-${shade} ${row === column ? 'same' : ''}`}>
                  {count(times)}
                </td>
              )
            })}
          </tr>
        ))}
      </Table>
    </div>
  )
}

/** Points on the diagonal: a score of 0.8 is right 8 times in 10. */
function Calibration({ of }: { readonly of: JudgeFigures['calibration'] }) {
  const filled = of.bins.filter(({ count: steps }) => steps > 0)
  const most = Math.max(1, ...filled.map(({ count: steps }) => steps))
  const text = filled
    .map(
      ({ meanScore, shareRight, count: steps }) =>
        `score ${score(meanScore)}: ${percent(shareRight)} right of ${steps}`,
    )
    .join('; ')
  return (
    <div>
      <h3>Calibration</h3>
      <svg class="calibration" viewBox="0 0 140 140" role="img" aria-label={`Calibration. ${text}`}>
        <title>{text}</title>
        <rect class="frame" x="20" y="4" width="116" height="116" />
        <line class="mark" x1="20" y1="120" x2="136" y2="4" />
        {filled.map(({ low, meanScore, shareRight, count: steps }) => (
          <circle
            key={low}
            cx={20 + 116 * (meanScore ?? low)}
            cy={120 - 116 * (shareRight ?? 0)}
            r={3 + 6 * Math.sqrt(steps / most)}
          />
        ))}
        <text x="78" y="136">
          score
        </text>
        <text x="10" y="62" class="upright">
          right
        </text>
      </svg>
      <p class="muted small">
        ECE {number(of.ece)}, Brier {number(of.brier)}, {count(of.steps)} steps. On the line scores are chances.
      </p>
    </div>
  )
}

function Examples({ run, of }: { readonly run: string; readonly of: JudgeFigures['examples'] }) {
  return (
    <div>
      <h3>Where they differ</h3>
      <ul class="examples">
        {of.slice(0, 20).map(({ trace, step, judge, person }) => (
          <li key={`${trace}/${step}`}>
            <a href={linkTo(['run', run, 'traces', trace])}>step {step + 1}</a>: judge {judge}, person {person}
          </li>
        ))}
      </ul>
    </div>
  )
}

function Benchmarks({ of: { benchmarks, published } }: { readonly of: JudgesReply }) {
  return (
    <>
      {benchmarks.length === 0 ? (
        <p class="muted">
          Not measured in this run: <code>stepdpo eval processbench --reward_model …</code> does it.
        </p>
      ) : (
        <Table head={['Judge', 'Data', 'Rows', 'On rows with an error', 'On rows without', 'F1']}>
          {benchmarks.map((row) => (
            <Benchmark key={`${row.name}/${row.judge}`} row={row} />
          ))}
        </Table>
      )}
      {published.length > 0 && (
        <details>
          <summary>Published F1 of {published.length} models, in percent</summary>
          <Table head={['Model', 'GSM8K', 'MATH', 'Average']} numbersFrom={1}>
            {published.map(({ model, gsm8k, math, average }) => (
              <tr key={model}>
                <th scope="row">{model}</th>
                <td class="n">{gsm8k.toFixed(1)}</td>
                <td class="n">{math.toFixed(1)}</td>
                <td class="n">{average.toFixed(1)}</td>
              </tr>
            ))}
          </Table>
        </details>
      )}
    </>
  )
}

function Benchmark({ row }: { readonly row: BenchmarkFigures }) {
  return (
    <tr>
      <th scope="row">{row.judge}</th>
      <td>{row.data}</td>
      <td class="n">{count(row.rows)}</td>
      {[row.errorAccuracy, row.correctAccuracy, row.f1].map((figure, index) => (
        <td key={index}>
          <Interval of={figure} from={0} to={100} />
        </td>
      ))}
    </tr>
  )
}
