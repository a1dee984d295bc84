/** @file What a judge is asked and what it answers: a step is scored, the judge abstained, or the call failed. */
import type { FailureKind, StepLabel } from '../data/judgement.ts'

/** A solution to be judged, in steps. */
export interface Solution {
  readonly problem: string
  readonly steps: readonly string[]
  /** A solution that is known to be right. */
  readonly reference?: string
}

export type StepVerdict =
  /** `score` in [0, 1]: how right the step is, or how likely. `why` is the judge's reason, perhaps empty. */
  | { readonly state: 'scored'; readonly score: number; readonly label: StepLabel; readonly why: string }
  | { readonly state: 'abstained'; readonly why: string }
  | { readonly state: 'failed'; readonly kind: FailureKind; readonly why: string }

/** What judging took. */
export interface Usage {
  /** Requests that were answered now; `cached` were answered before and cost nothing. */
  readonly calls: number
  readonly cached: number
  readonly promptTokens: number
  readonly completionTokens: number
  /** US dollars; null where a price is not known. */
  readonly cost: number | null
}

/** What one judge of several says of a step. */
export type MemberVerdict = StepVerdict & { readonly judge: string }

/** The verdict on a step; where several judges were asked, theirs merged, with what each of them says. */
export type MergedVerdict = StepVerdict & { readonly members?: readonly MemberVerdict[] }

/** One verdict for each step. */
export interface StepVerdicts {
  readonly steps: readonly MergedVerdict[]
  readonly usage: Usage
}

/** What a score is the chance of: that the step is right, or that the answer is reached from here (Monte-Carlo values). */
export type ScoreMeaning = 'correctness' | 'value'

/** Scores the steps of a solution. Never throws for what a provider does: that is a failed step. */
export interface StepJudge {
  /** Names all that its verdicts depend on: provider, model, mode, prompt version. */
  readonly name: string
  readonly meaning: ScoreMeaning
  judge(solution: Solution, signal: AbortSignal): Promise<StepVerdicts>
}

export const NO_USAGE: Usage = { calls: 0, cached: 0, promptTokens: 0, completionTokens: 0, cost: 0 }

export function addUsage(a: Usage, b: Usage): Usage {
  return {
    calls: a.calls + b.calls,
    cached: a.cached + b.cached,
    promptTokens: a.promptTokens + b.promptTokens,
    completionTokens: a.completionTokens + b.completionTokens,
    cost: a.cost === null || b.cost === null ? null : a.cost + b.cost,
  }
}
