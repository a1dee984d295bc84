/** @file All that is measured of a judge against labels of people. Pure numbers: printing is the caller's. */
import type { LabelAgreement } from '../data/judge-events.ts'
import type { StepLabel } from '../data/judgement.ts'
import type { MergedVerdict } from '../judge/port.ts'
import { type Agreement, cohenKappa } from './agreement.ts'
import { BASELINES, type BaselineName, type BaselineScores, scoreBaseline } from './baselines.ts'
import { measureDrift, measureLengthBias, measureWrongProcess, type Share } from './diagnostics.ts'
import { type FirstErrorReport, firstErrorOf, scoreFirstErrors } from './first-error.ts'
import { measurePanel } from './panel.ts'
import { type PrmScoreReport, scorePrm } from './prm-score.ts'
import { brierScore, expectedCalibrationError, type Outcome, type ReliabilityBin, reliability } from './reliability.ts'
import { type FittedThreshold, fitThreshold } from './threshold.ts'

/** A solution that a judge and people have judged. */
export interface JudgedSolution {
  readonly verdicts: readonly MergedVerdict[]
  /** The judge's score of the whole. */
  readonly score: number | null
  /** The first wrong step from 0, −1 for none; null where it is not known. */
  readonly label: number | null
  readonly labels: readonly (StepLabel | null)[] | null
  readonly finalCorrect: boolean | null
  readonly category: string | null
}

export interface JudgeReport {
  /** Null where no row says where its first error is. */
  readonly firstErrors: FirstErrorReport | null
  /** A step with a lower score is taken for wrong. */
  readonly threshold: number
  /** The threshold that would have been best for first errors on these rows; null where nothing tells it. */
  readonly fitted: FittedThreshold | null
  /** Predictors that read no step, on the same rows. */
  readonly baselines: readonly ({ readonly name: BaselineName } & BaselineScores)[]
  /** Null where rows have no labels of their own for each step. */
  readonly prmScore: PrmScoreReport | null
  /** Scores as chances that a step is right, of steps that people called correct or incorrect. */
  readonly calibration: {
    readonly steps: number
    readonly ece: number | null
    readonly brier: number | null
    readonly bins: readonly ReliabilityBin[]
  }
  /** Judge and people on right and wrong steps. */
  readonly agreement: Agreement
  /** The judges of a panel among each other; empty for one judge. */
  readonly panel: readonly LabelAgreement[]
  readonly drift: Share
  readonly wrongProcess: Share
  readonly lengthBias: { readonly rho: number | null; readonly of: number }
}

/** What people say of each step; where they name the first wrong one only, nothing of those after it. */
function stepLabels({ labels, label, verdicts }: JudgedSolution): readonly (StepLabel | null)[] {
  if (labels !== null) return labels
  if (label === null) return verdicts.map(() => null)
  return verdicts.map((_, at) => (label === -1 || at < label ? 'correct' : at === label ? 'incorrect' : null))
}

/** The judge's and the people's word for each step, where both say right or wrong. */
function pairsOf(solution: JudgedSolution, threshold: number): (readonly [string | null, string | null])[] {
  const labels = stepLabels(solution)
  return solution.verdicts.map((verdict, at) => [
    verdict.state === 'scored' ? (verdict.score < threshold ? 'incorrect' : 'correct') : null,
    labels[at] === 'neutral' ? null : labels[at],
  ])
}

/** The scores of steps that people called right or wrong, with what they called them. */
export function outcomesOf(solution: JudgedSolution): Outcome[] {
  const labels = stepLabels(solution)
  return solution.verdicts.flatMap((verdict, at) => {
    const label = labels[at]
    if (verdict.state !== 'scored' || label === null || label === 'neutral') return []
    return [{ score: verdict.score, isRight: label === 'correct' }]
  })
}

export function reportJudge(solutions: readonly JudgedSolution[], threshold = 0.5): JudgeReport {
  const labelled = solutions.flatMap((solution) =>
    solution.label === null ? [] : [{ ...solution, label: solution.label }],
  )
  const rows = labelled.map(({ label, verdicts }) => ({ label, predicted: firstErrorOf(verdicts, threshold) }))
  const bare = labelled.map(({ label, verdicts, finalCorrect }) => ({
    stepCount: verdicts.length,
    label,
    finalCorrect,
  }))
  const graded = solutions.flatMap(({ labels, verdicts, category }) =>
    labels === null ? [] : [{ labels, verdicts, category: category ?? 'all' }],
  )
  const outcomes = solutions.flatMap(outcomesOf)
  return {
    firstErrors: rows.length === 0 ? null : scoreFirstErrors(rows),
    threshold,
    fitted: fitThreshold(labelled),
    baselines: BASELINES.flatMap((name) => {
      const scores = scoreBaseline(bare, name)
      return scores === null ? [] : [{ name, ...scores }]
    }),
    prmScore: graded.length === 0 ? null : scorePrm(graded, threshold),
    calibration: {
      steps: outcomes.length,
      ece: expectedCalibrationError(outcomes),
      brier: brierScore(outcomes),
      bins: reliability(outcomes),
    },
    agreement: cohenKappa(solutions.map((solution) => pairsOf(solution, threshold))),
    panel: measurePanel(solutions.map(({ verdicts }) => verdicts)),
    drift: measureDrift(solutions.map(({ verdicts }) => verdicts)),
    wrongProcess: measureWrongProcess(
      solutions.map(({ finalCorrect, verdicts }) => ({ finalCorrect, predicted: firstErrorOf(verdicts, threshold) })),
    ),
    lengthBias: measureLengthBias(solutions.map(({ score, verdicts }) => ({ score, steps: verdicts.length }))),
  }
}
