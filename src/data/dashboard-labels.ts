/** @file Of the dashboard's contract (dashboard.ts): what people say, of steps and of pairs. */
import type { Page } from './dashboard.ts'
import type { TraceJudgement } from './dashboard-traces.ts'
import type { Pair } from './pair-row.ts'

/** A person's label of a solution, as it stands now. */
export interface HumanLabel {
  readonly id: string
  readonly who: string
  /** ISO 8601. */
  readonly when: string
  /** One for each step; null where it was not rated. */
  readonly ratings: readonly Rating[]
  readonly flagged: boolean
  readonly badProblem: boolean
  readonly ownStep: OwnStep | null
  /** Whether the judge's opinion was to be seen: such labels do not count in agreement. */
  readonly judgeShown: boolean
}

/** PRM800K's: 1 correct, 0 neutral, −1 incorrect. */
export type Rating = -1 | 0 | 1 | null

/** What a person wrote in place of a step, from 0. */
export interface OwnStep {
  readonly step: number
  readonly text: string
}

export interface PairQuery {
  readonly offset?: number
  readonly limit?: number
  readonly q?: string
  readonly strategy?: string
  readonly dropped?: boolean
  /** A person calls the chosen step incorrect or the rejected one correct. */
  readonly contradicted?: boolean
  readonly min_margin?: number
  readonly source?: number
  readonly sort?: 'file' | 'margin'
  readonly order?: 'up' | 'down'
}

export interface PairItem {
  readonly pair: Pair
  /** An index of `PairsReply.sources`. */
  readonly source: number
  /** chosen_score − rejected_score; null where one is not known. */
  readonly margin: number | null
  /** Left out by training. */
  readonly dropped: { readonly who: string; readonly when: string } | null
  /** What people say of the two steps now; the pair is made anew by `stepdpo pairs` or `run`. */
  readonly labels: { readonly chosen: Rating; readonly rejected: Rating }
  readonly isContradicted: boolean
  /** The traces of the sides, where the run has them. */
  readonly traces: { readonly chosen: string | null; readonly rejected: string | null }
}

export interface PairsReply extends Page<PairItem> {
  readonly sources: readonly string[]
  readonly strategies: readonly string[]
}

export interface PairReview {
  readonly action: 'drop' | 'restore'
}

/** Solutions in the order of files, those of which the judge is least sure, or wrong ones whose steps look right to it. */
export type LabelOrder = 'file' | 'uncertain' | 'suspicious'

export interface LabelCounts {
  readonly labelled: number
  readonly skipped: number
  readonly open: number
  readonly ratedSteps: number
}

export interface LabelTask extends LabelCounts {
  readonly done: false
  readonly trace: string
  readonly problem: string
  readonly steps: readonly string[]
  readonly answer: string | null
}

/**
 * Ratings stand for the first steps without a gap; behind the last one everything is null. With `badProblem` there need
 * be none. `ownStep.step` is at most the number of rated steps.
 */
export interface LabelInput {
  readonly trace: string
  readonly ratings: readonly Rating[]
  readonly flagged: boolean
  readonly badProblem: boolean
  readonly ownStep: OwnStep | null
  readonly judgeShown: boolean
}

export interface LabelOutcome extends LabelCounts {
  readonly label: HumanLabel
  /** To be shown now. */
  readonly judge: TraceJudgement | null
  /** Rated steps that the judge scored, and how many of them it calls the same. */
  readonly compared: number
  readonly same: number
}

/** What was undone, label or skip, to go back to; null where there was nothing. */
export interface UndoOutcome extends LabelCounts {
  readonly undone: { readonly trace: string; readonly label: HumanLabel | null } | null
}

export interface LabelsReply
  extends Page<HumanLabel & { readonly trace: string; readonly begin: string }>,
    LabelCounts {}
