/** @file A trace in the index: what lists, filters and sorting need of it, and where its text stands. */

import type { StepLetters, TraceRow } from '../data/dashboard-traces.ts'
import type { JudgedStep, Judgement } from '../data/judgement.ts'
import type { Label } from '../data/labels.ts'
import { RATED } from '../pair/human.ts'

/** What a judge says of a solution, and where it stands. */
export interface JudgementEntry {
  readonly judge: string
  /** An index of the run's files. */
  readonly file: number
  readonly offset: number
  readonly length: number
  readonly verdicts: StepLetters
  readonly score: number | null
  readonly firstError: number
}

export interface TraceEntry {
  readonly id: string
  /** The id of the solution; undefined where it has no step. */
  readonly solution: string | undefined
  readonly file: number
  readonly offset: number
  readonly length: number
  readonly problem: string
  readonly sample: number
  readonly maker: number
  readonly stepCount: number
  readonly isRight: boolean | null
  readonly isCut: boolean
}

const VERDICTS = { correct: 'c', neutral: 'n', incorrect: 'i' } as const

export function letterOf(step: JudgedStep): string {
  if (step.state === 'scored') return VERDICTS[step.label]
  return step.state === 'abstained' ? 'a' : 'f'
}

export function lettersOf(judgement: Judgement): Pick<JudgementEntry, 'verdicts' | 'score' | 'firstError'> {
  const verdicts = judgement.steps.map(letterOf).join('')
  return { verdicts, score: judgement.score, firstError: verdicts.indexOf('i') }
}

export function labelLetters({ ratings }: Pick<Label, 'ratings'>): StepLetters {
  return ratings.map((rating) => (rating === null ? '-' : VERDICTS[RATED[rating].label])).join('')
}

/** Steps that the judge scored and a person rated, and those on which they agree. */
export function compareLetters(verdicts: StepLetters, labels: StepLetters): { compared: number; same: number } {
  let [compared, same] = [0, 0]
  for (let at = 0; at < Math.min(verdicts.length, labels.length); at++) {
    if (labels[at] === '-' || !'cni'.includes(verdicts[at])) continue
    compared++
    same += Number(labels[at] === verdicts[at])
  }
  return { compared, same }
}

/** Whether a step has another verdict than label. */
export function differsFrom(judgement: JudgementEntry | undefined, label: Label | undefined): boolean {
  if (judgement === undefined || label === undefined) return false
  const { compared, same } = compareLetters(judgement.verdicts, labelLetters(label))
  return same < compared
}

export function isFlagged(label: Label | undefined): boolean {
  return label?.flagged === true || label?.bad_problem === true
}

const BEGIN = 240

export function rowOf(
  entry: TraceEntry,
  { problem, judgement, label }: { problem: string; judgement: JudgementEntry | undefined; label: Label | undefined },
): TraceRow {
  return {
    id: entry.id,
    source: entry.file,
    problem: entry.problem,
    begin: problem.length > BEGIN ? `${problem.slice(0, BEGIN)}…` : problem,
    sample: entry.sample,
    maker: entry.maker,
    stepCount: entry.stepCount,
    verdicts: judgement?.verdicts ?? '-'.repeat(entry.stepCount),
    labels: label === undefined ? null : labelLetters(label),
    score: judgement?.score ?? null,
    isRight: entry.isRight,
    isCut: entry.isCut,
    firstError: judgement?.firstError ?? null,
    differs: differsFrom(judgement, label),
    flagged: isFlagged(label),
  }
}
