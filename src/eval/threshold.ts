/** @file The threshold below which a step counts as wrong, fitted on labelled rows (ProcessBench fits it on its gsm8k part). */
import type { StepVerdict } from '../judge/port.ts'
import { harmonicMean } from './first-error.ts'

export interface LabelledVerdicts {
  readonly verdicts: readonly StepVerdict[]
  /** The first wrong step from 0, −1 for none. */
  readonly label: number
}

export interface FittedThreshold {
  readonly threshold: number
  /** On the rows it was fitted on: it flatters. */
  readonly f1: number
}

/** Thresholds above `from` and at most `to` for which a row is judged right. */
interface Range {
  readonly from: number
  readonly to: number
  readonly isErroneous: boolean
}

/**
 * Where a row is right: the first step below a threshold is a step that is lower than all before it, for thresholds from its
 * score to that of the last such step before it. Undefined where there is no such threshold in [0, 1].
 */
function rangeOf({ verdicts, label }: LabelledVerdicts): Range | undefined {
  if (verdicts.some(({ state }) => state === 'failed')) return undefined
  let lowest = Number.POSITIVE_INFINITY
  for (const [at, verdict] of verdicts.entries()) {
    if (verdict.state !== 'scored' || verdict.score >= lowest) continue
    if (at === label) return { from: verdict.score, to: Math.min(1, lowest), isErroneous: true }
    lowest = verdict.score
  }
  return label === -1 && lowest <= 1 ? { from: Number.NEGATIVE_INFINITY, to: lowest, isErroneous: false } : undefined
}

/**
 * The threshold with the highest F1 of first errors: the middle of the best range, the lowest of several. Rows with a failed
 * step count as wrong. Null without rows of both kinds, or where no threshold finds anything.
 */
export function fitThreshold(rows: readonly LabelledVerdicts[]): FittedThreshold | null {
  const erroneous = rows.filter(({ label }) => label !== -1).length
  const ranges = rows.flatMap((row) => rangeOf(row) ?? [])
  const ends = ranges.flatMap((range) => [
    { at: range.from, change: 1, ...range },
    { at: range.to, change: -1, ...range },
  ])
  ends.sort((a, b) => a.at - b.at)
  let best: FittedThreshold = { threshold: 0, f1: 0 }
  const hits = { erroneous: 0, correct: 0 }
  for (const [index, { at, change, isErroneous }] of ends.entries()) {
    hits[isErroneous ? 'erroneous' : 'correct'] += change
    const next = ends.at(index + 1)?.at ?? at
    if (next <= Math.max(at, 0)) continue
    const f1 = harmonicMean(hits.erroneous / erroneous, hits.correct / (rows.length - erroneous))
    if (f1 > best.f1) best = { threshold: (Math.max(at, 0) + next) / 2, f1 }
  }
  return best.f1 > 0 ? best : null
}
