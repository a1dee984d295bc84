/**
 * @file How well a judge finds the first wrong step of a solution: ProcessBench's scores (Zheng et al. 2024, arXiv
 * 2412.06559).
 */
import type { StepVerdict } from '../judge/port.ts'
import { bootstrap, type Estimate } from './interval.ts'

/** The first wrong step from 0, −1 where every step is right; or that there is no verdict. */
export type FirstError = number | 'abstained' | 'failed'

export interface FirstErrorRow {
  /** The first wrong step from 0, −1 for none: what people found. */
  readonly label: number
  readonly predicted: FirstError
}

/** Rows with an error: where the judge saw it. */
export interface ErroneousCounts {
  readonly rows: number
  readonly exact: number
  readonly tooEarly: number
  readonly tooLate: number
  /** The judge saw no error. */
  readonly missed: number
  readonly noVerdict: number
}

/** Rows without an error. */
export interface CorrectCounts {
  readonly rows: number
  readonly exact: number
  readonly falseAlarm: number
  readonly noVerdict: number
}

export interface FirstErrorReport {
  /** `rows = scored + abstained + failed`. Rows without a verdict count as wrong in every accuracy. */
  readonly rows: number
  readonly scored: number
  readonly abstained: number
  readonly failed: number
  readonly erroneous: ErroneousCounts
  readonly correct: CorrectCounts
  /** Shares of exact rows with 95 % intervals; not defined without rows. */
  readonly erroneousAccuracy: Estimate
  readonly correctAccuracy: Estimate
  readonly f1: Estimate
}

/**
 * The first scored step below the threshold, or −1. A step that failed before it could have been wrong, so that the
 * solution has failed; steps on which the judge abstained are not held against the solution, but one without any
 * score is abstained on.
 */
export function firstErrorOf(verdicts: readonly StepVerdict[], threshold = 0.5): FirstError {
  const first = verdicts.findIndex((verdict) => verdict.state === 'scored' && verdict.score < threshold)
  const seen = first < 0 ? verdicts : verdicts.slice(0, first)
  if (seen.some((verdict) => verdict.state === 'failed')) return 'failed'
  if (first >= 0) return first
  return verdicts.some((verdict) => verdict.state === 'scored') ? -1 : 'abstained'
}

/** Scores predictions; the intervals are over rows. */
export function scoreFirstErrors(rows: readonly FirstErrorRow[]): FirstErrorReport {
  const count = (holds: (row: FirstErrorRow) => boolean): number => rows.filter(holds).length
  const columns = rows.map(({ label, predicted }) => {
    const isExact = Number(label === predicted)
    return label === -1 ? [0, 0, 1, isExact] : [1, isExact, 0, 0]
  })
  const abstained = count(({ predicted }) => predicted === 'abstained')
  const failed = count(({ predicted }) => predicted === 'failed')
  return {
    rows: rows.length,
    scored: rows.length - abstained - failed,
    abstained,
    failed,
    erroneous: countErroneous(rows.filter(({ label }) => label !== -1)),
    correct: countCorrect(rows.filter(({ label }) => label === -1)),
    erroneousAccuracy: bootstrap(columns, ([erroneous, found]) => found / erroneous),
    correctAccuracy: bootstrap(columns, ([, , correct, passed]) => passed / correct),
    f1: bootstrap(columns, ([erroneous, found, correct, passed]) => harmonicMean(found / erroneous, passed / correct)),
  }
}

/** 0 where both are 0. */
export function harmonicMean(a: number, b: number): number {
  return a === 0 && b === 0 ? 0 : (2 * a * b) / (a + b)
}

function countErroneous(rows: readonly FirstErrorRow[]): ErroneousCounts {
  const counts = { rows: rows.length, exact: 0, tooEarly: 0, tooLate: 0, missed: 0, noVerdict: 0 }
  for (const { label, predicted } of rows) {
    if (typeof predicted !== 'number') counts.noVerdict++
    else if (predicted === label) counts.exact++
    else if (predicted === -1) counts.missed++
    else if (predicted < label) counts.tooEarly++
    else counts.tooLate++
  }
  return counts
}

function countCorrect(rows: readonly FirstErrorRow[]): CorrectCounts {
  const counts = { rows: rows.length, exact: 0, falseAlarm: 0, noVerdict: 0 }
  for (const { predicted } of rows) {
    if (typeof predicted !== 'number') counts.noVerdict++
    else if (predicted === -1) counts.exact++
    else counts.falseAlarm++
  }
  return counts
}
