/** @file How the judges of a run fare: what they said, and how far it is what people say. */
import { z } from 'zod'
import type { Estimate } from '../data/dashboard.ts'
import type { AgreementFigures, BenchmarkFigures, JudgeFigures, JudgesReply } from '../data/dashboard-reports.ts'
import type { StepLabel } from '../data/judgement.ts'
import type { Label } from '../data/labels.ts'
import { cohenKappa } from '../eval/agreement.ts'
import { bootstrap } from '../eval/interval.ts'
import { PROCESSBENCH_PUBLISHED } from '../eval/published.ts'
import { brierScore, expectedCalibrationError, type Outcome, reliability } from '../eval/reliability.ts'
import { estimate } from './estimate.ts'
import { readJsonFile, usageOf } from './run-view.ts'
import type { Run } from './runs.ts'
import { readJudgement, type Traces } from './trace-index.ts'
import { type JudgementEntry, labelLetters } from './trace-row.ts'

export async function judgesReply(run: Run): Promise<JudgesReply> {
  const traces = await run.traces.refresh()
  const { labels } = run.labels.read()
  return {
    judges: traces.judges.map((judge) => judgeFigures(run, traces, judge, labels)),
    usage: usageOf(run),
    benchmarks: benchmarksOf(run),
    published: PROCESSBENCH_PUBLISHED,
  }
}

const LABELS = ['correct', 'neutral', 'incorrect'] as const satisfies readonly StepLabel[]
const BY_LETTER: ReadonlyMap<string, StepLabel> = new Map([
  ['c', 'correct'],
  ['n', 'neutral'],
  ['i', 'incorrect'],
])
const MAX_EXAMPLES = 50
/** Of judgements, which are read to count why calls failed. */
const MAX_READ = 1000

/** A step that both judge and person have a word for. */
interface Compared {
  readonly solution: string
  readonly step: number
  readonly judge: StepLabel
  readonly person: StepLabel
}

function judgeFigures(run: Run, traces: Traces, judge: string, labels: ReadonlyMap<string, Label>): JudgeFigures {
  const entries = [...traces.judgements].flatMap(([solution, known]) =>
    known.flatMap((entry) => (entry.judge === judge ? [{ solution, entry }] : [])),
  )
  const count = (letters: string): number =>
    entries.reduce((sum, { entry }) => sum + [...entry.verdicts].filter((letter) => letters.includes(letter)).length, 0)
  const scores = entries.map(({ entry }) => entry.score).filter((score) => score !== null)
  const labelled = entries.flatMap(({ solution, entry }) => {
    const label = labels.get(solution)
    return label === undefined || label.judge_shown ? [] : [{ solution, entry, label }]
  })
  const compared = labelled.map(({ solution, entry, label }) => comparedSteps(solution, entry, label))
  const outcomes = labelled.flatMap(({ entry, label }) => outcomesOf(run, entry, label))
  return {
    judge,
    solutions: entries.length,
    scored: count('cni'),
    abstained: count('a'),
    failed: count('f'),
    failures: failuresOf(
      run,
      entries.map(({ entry }) => entry),
    ),
    meanScore: scores.length === 0 ? null : scores.reduce((sum, score) => sum + score, 0) / scores.length,
    agreement: agreementOf(compared),
    confusion: LABELS.map((own) =>
      LABELS.map((other) => compared.flat().filter(({ judge: a, person: b }) => a === own && b === other).length),
    ),
    calibration: {
      steps: outcomes.length,
      ece: expectedCalibrationError(outcomes),
      brier: brierScore(outcomes),
      bins: reliability(outcomes),
    },
    examples: compared
      .flat()
      .filter((one) => one.judge !== one.person)
      .slice(0, MAX_EXAMPLES)
      .map(({ solution, ...one }) => ({ trace: traces.bySolution.get(solution)?.id ?? '', ...one })),
  }
}

function comparedSteps(solution: string, { verdicts }: JudgementEntry, label: Label): Compared[] {
  return [...labelLetters(label)].flatMap((letter, step) => {
    const [judge, person] = [BY_LETTER.get(verdicts[step]), BY_LETTER.get(letter)]
    return judge === undefined || person === undefined ? [] : [{ solution, step, judge, person }]
  })
}

/** With intervals over solutions: steps of one are not independent. */
export function agreementOf(solutions: readonly (readonly Pick<Compared, 'judge' | 'person'>[])[]): AgreementFigures {
  const sums = solutions.map((steps) => [steps.length, steps.filter(({ judge, person }) => judge === person).length])
  const { kappa, items } = cohenKappa(solutions.map((steps) => steps.map(({ judge, person }) => [judge, person])))
  return { steps: items, same: bootstrap(sums, ([steps, same]) => same / steps), kappa }
}

function outcomesOf(run: Run, entry: JudgementEntry, label: Label): Outcome[] {
  const steps = readJudgement(run.traces, entry)?.steps ?? []
  return steps.flatMap((step, at) => {
    const rating = label.ratings[at]
    const isKnown = step.state === 'scored' && (rating === 1 || rating === -1)
    return isKnown ? [{ score: step.score, isRight: rating === 1 }] : []
  })
}

function failuresOf(run: Run, entries: readonly JudgementEntry[]): Record<string, number> {
  const counts = new Map<string, number>()
  for (const entry of entries.filter(({ verdicts }) => verdicts.includes('f')).slice(0, MAX_READ)) {
    for (const step of readJudgement(run.traces, entry)?.steps ?? []) {
      if (step.state === 'failed') counts.set(step.kind, (counts.get(step.kind) ?? 0) + 1)
    }
  }
  return Object.fromEntries(counts)
}

/** What `eval processbench` writes. */
const benchmark = z.object({
  type: z.literal('evaluation'),
  judge: z.string(),
  data: z.string(),
  report: z.object({
    firstErrors: z
      .object({ rows: z.number(), erroneousAccuracy: estimate, correctAccuracy: estimate, f1: estimate })
      .nullable(),
  }),
})

function benchmarksOf(run: Run): BenchmarkFigures[] {
  return run.files().flatMap(({ kind, name, path }) => {
    const parsed = kind === 'reports' ? benchmark.safeParse(readJsonFile(path)).data : undefined
    if (parsed === undefined || parsed.report.firstErrors === null) return []
    const { rows, erroneousAccuracy, correctAccuracy, f1 } = parsed.report.firstErrors
    const percent = {
      errorAccuracy: inPercent(erroneousAccuracy),
      correctAccuracy: inPercent(correctAccuracy),
      f1: inPercent(f1),
    }
    return [{ name, judge: parsed.judge, data: parsed.data, rows, ...percent }]
  })
}

function inPercent({ value, low, high }: Estimate): Estimate {
  return value === null ? { value, low, high } : { value: value * 100, low: low * 100, high: high * 100 }
}
