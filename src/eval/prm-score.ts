/**
 * @file How well a judge tells right steps from wrong ones: PRMBench's PRMScore (Song et al. 2025, arXiv 2501.03124, and
 * github.com/ssmisya/PRMBench).
 */
import type { StepLabel } from '../data/judgement.ts'
import type { StepVerdict } from '../judge/port.ts'
import { bootstrap, type Estimate } from './interval.ts'

export interface StepRow {
  /** What people said of each step; steps without a label, and neutral ones, are left out. */
  readonly labels: readonly (StepLabel | null)[]
  readonly verdicts: readonly StepVerdict[]
  /** The class of errors that scores are averaged over. */
  readonly category: string
}

export interface PrmScore {
  /** `steps = scored + abstained + failed`, of those that are labelled correct or incorrect. */
  readonly steps: number
  readonly scored: number
  readonly abstained: number
  readonly failed: number
  /** F1 with the correct steps as positives. */
  readonly f1: Estimate
  /** F1 with the incorrect steps as positives. */
  readonly negativeF1: Estimate
  /** Half of each; where no step is labelled incorrect the F1 alone, as PRMBench has it for its `multi_solutions`. */
  readonly score: Estimate
}

export interface PrmScoreReport {
  /** Of all steps together, which PRMBench's tables call overall. */
  readonly overall: PrmScore
  readonly categories: ReadonlyMap<string, PrmScore>
  /** The mean of the categories that have a score; null where none has. */
  readonly average: number | null
}

/** What the steps of a row add up to. `found` are those that the judge called what they are labelled. */
interface Counts {
  correct: number
  correctFound: number
  correctCalled: number
  incorrect: number
  incorrectFound: number
  incorrectCalled: number
  abstained: number
  failed: number
}

/**
 * The PRMScore of each category, with intervals over rows. A step is called incorrect below the threshold. A step
 * without a score is found by neither F1: it lowers the recall of its side.
 */
export function scorePrm(rows: readonly StepRow[], threshold = 0.5): PrmScoreReport {
  const byCategory = new Map<string, Counts[]>()
  const all = rows.map((row) => countRow(row, threshold))
  rows.forEach(({ category }, index) => {
    const own = byCategory.get(category)
    if (own === undefined) byCategory.set(category, [all[index]])
    else own.push(all[index])
  })
  const categories = new Map([...byCategory].map(([name, own]) => [name, scoreCategory(own)]))
  const scores = [...categories.values()].flatMap(({ score }) => (score.value === null ? [] : [score.value]))
  return {
    overall: scoreCategory(all),
    categories,
    average: scores.length === 0 ? null : sumOf(scores) / scores.length,
  }
}

function countRow({ labels, verdicts }: StepRow, threshold: number): Counts {
  const counts = {
    correct: 0,
    correctFound: 0,
    correctCalled: 0,
    incorrect: 0,
    incorrectFound: 0,
    incorrectCalled: 0,
    abstained: 0,
    failed: 0,
  }
  labels.forEach((label, index) => {
    if (label !== 'correct' && label !== 'incorrect') return
    counts[label]++
    const verdict = verdicts[index]
    if (verdict.state !== 'scored') {
      counts[verdict.state]++
      return
    }
    const called = verdict.score < threshold ? 'incorrect' : 'correct'
    counts[`${called}Called`]++
    if (called === label) counts[`${called}Found`]++
  })
  return counts
}

function scoreCategory(rows: readonly Counts[]): PrmScore {
  const total = (name: keyof Counts): number => sumOf(rows.map((row) => row[name]))
  const steps = total('correct') + total('incorrect')
  const columns = rows.map((row) => [
    row.correctFound,
    row.correct + row.correctCalled,
    row.incorrectFound,
    row.incorrect + row.incorrectCalled,
  ])
  // F1 = 2 TP / (positives + called positives): 0 / 0 where there are neither.
  const f1 = bootstrap(columns, ([found, either]) => (2 * found) / either)
  const isMixed = total('incorrect') > 0
  return {
    steps,
    scored: steps - total('abstained') - total('failed'),
    abstained: total('abstained'),
    failed: total('failed'),
    f1,
    negativeF1: bootstrap(columns, ([, , found, either]) => (2 * found) / either),
    score: isMixed
      ? bootstrap(columns, ([right, eitherRight, wrong, eitherWrong]) => right / eitherRight + wrong / eitherWrong)
      : f1,
  }
}

function sumOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0)
}
