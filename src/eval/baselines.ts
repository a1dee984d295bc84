/** @file Predictors of first errors that read no step: what any judge must beat. */
import { harmonicMean } from './first-error.ts'

export interface BaselineRow {
  readonly stepCount: number
  /** The first wrong step from 0, −1 for none. */
  readonly label: number
  readonly finalCorrect: boolean | null
}

export type BaselineName =
  | 'constant'
  | 'uniform'
  | 'prior'
  | 'best-blind'
  | 'final-answer-uniform'
  | 'final-answer-middle'

/** The chance that the prediction for a row is `step` (from 0, −1 for no error). */
type Predictor = (row: BaselineRow, step: number) => number

/**
 * `prior` and `best-blind` know how the labels of the rows are distributed. The last two know whether the final answer is
 * right, and take a right one for a solution without an error.
 */
const predictors: { readonly [N in BaselineName]: (rows: readonly BaselineRow[]) => Predictor } = {
  constant: () => (_, step) => Number(step === -1),
  uniform:
    () =>
    ({ stepCount }) =>
      1 / (stepCount + 1),
  prior: (rows) => (_, step) => countOf(rows, step) / rows.length,
  'best-blind': guessBlindly,
  'final-answer-uniform': () => knowing(({ stepCount }) => 1 / stepCount),
  'final-answer-middle': () => knowing(({ stepCount }, step) => Number(step === Math.floor((stepCount - 1) / 2))),
}

export const BASELINES: readonly BaselineName[] = [
  'constant',
  'uniform',
  'prior',
  'best-blind',
  'final-answer-uniform',
  'final-answer-middle',
]

function countOf(rows: readonly BaselineRow[], step: number): number {
  return rows.filter(({ label }) => label === step).length
}

/**
 * No error with the chance q, else the step that is wrong first most often, in the part c of rows with an error. The
 * accuracies are q and (1 − q)·c, and their harmonic mean 2q(1 − q)c / (q + (1 − q)c) is highest at q = √c / (1 + √c).
 */
function guessBlindly(rows: readonly BaselineRow[]): Predictor {
  const wrong = rows.filter(({ label }) => label !== -1)
  const steps = [...new Set(wrong.map(({ label }) => label))]
  const commonest = steps.reduce((a, b) => (countOf(wrong, b) > countOf(wrong, a) ? b : a), 0)
  const root = Math.sqrt(countOf(wrong, commonest) / wrong.length)
  const none = root / (1 + root)
  return (_, step) => (step === -1 ? none : step === commonest ? 1 - none : 0)
}

function knowing(guess: Predictor): Predictor {
  return (row, step) => {
    if (row.finalCorrect === true || step === -1) return Number(row.finalCorrect === true && step === -1)
    return guess(row, step)
  }
}

export interface BaselineScores {
  readonly erroneousAccuracy: number
  readonly correctAccuracy: number
  /** Of the expected accuracies. */
  readonly f1: number
}

/**
 * The expected accuracies of a baseline, exactly, without drawing. Null where it cannot be told: no row with an error,
 * none without, or a baseline that knows the final answer on rows that do not say whether it is right.
 */
export function scoreBaseline(rows: readonly BaselineRow[], name: BaselineName): BaselineScores | null {
  if (name.startsWith('final-answer') && rows.some(({ finalCorrect }) => finalCorrect === null)) return null
  const erroneous = rows.filter(({ label }) => label !== -1)
  const correct = rows.filter(({ label }) => label === -1)
  if (erroneous.length === 0 || correct.length === 0) return null
  const chanceOf = predictors[name](rows)
  const accuracy = (part: readonly BaselineRow[]): number =>
    part.reduce((sum, row) => sum + chanceOf(row, row.label), 0) / part.length
  const erroneousAccuracy = accuracy(erroneous)
  const correctAccuracy = accuracy(correct)
  return { erroneousAccuracy, correctAccuracy, f1: harmonicMean(erroneousAccuracy, correctAccuracy) }
}
