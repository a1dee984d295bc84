/** @file What a person has said of the solution before them, by PRM800K's rules. Knows nothing of pages. */
import type { LabelInput, LabelTask, OwnStep, Rating } from '../src/data/dashboard-labels.ts'

export interface Draft {
  readonly trace: string
  readonly stepCount: number
  /** Of the first steps, without a gap. */
  readonly ratings: readonly Exclude<Rating, null>[]
  /** Which step is looked at, from 0. */
  readonly current: number
  readonly flagged: boolean
  readonly badProblem: boolean
  readonly ownStep: OwnStep | null
  readonly judgeShown: boolean
}

export function newDraft({ trace, steps }: Pick<LabelTask, 'trace' | 'steps'>): Draft {
  const nothing = { ratings: [], current: 0, flagged: false, badProblem: false, ownStep: null, judgeShown: false }
  return { trace, stepCount: steps.length, ...nothing }
}

/** A step is rated once those before it are; what followed a step that is now incorrect is not rated any more. */
export function rate(draft: Draft, rating: Exclude<Rating, null>, stopsAtError: boolean): Draft {
  const { current, ratings, stepCount } = draft
  if (current > ratings.length || current >= stepCount || isBehindError(draft, stopsAtError)) return draft
  const all = [...ratings.slice(0, current), rating, ...ratings.slice(current + 1)]
  const stops = stopsAtError && rating === -1
  const kept = stops ? all.slice(0, current + 1) : all
  const ownStep = draft.ownStep !== null && draft.ownStep.step > kept.length ? null : draft.ownStep
  return { ...draft, ratings: kept, ownStep, current: stops ? current : Math.min(stepCount - 1, current + 1) }
}

function isBehindError({ current, ratings }: Draft, stopsAtError: boolean): boolean {
  const error = ratings.indexOf(-1)
  return stopsAtError && error >= 0 && current > error
}

/** To any rated step, or to the first that is not. */
export function move(draft: Draft, by: number): Draft {
  const last = Math.min(draft.stepCount - 1, draft.ratings.length)
  return { ...draft, current: Math.max(0, Math.min(last, draft.current + by)) }
}

/** Takes the last rating back. */
export function takeBack(draft: Draft): Draft {
  const ratings = draft.ratings.slice(0, -1)
  return { ...draft, ratings, current: ratings.length, ownStep: null }
}

/** Why it cannot be submitted yet; null where it can. */
export function whatIsMissing(draft: Draft, stopsAtError: boolean): string | null {
  const { ratings, stepCount, badProblem, ownStep } = draft
  if (badProblem || ratings.length === stepCount) return null
  if (stopsAtError && ratings.includes(-1)) return null
  if (ownStep !== null && ownStep.step === ratings.length) return null
  const open = stepCount - ratings.length
  return open === 1 ? '1 step is not rated' : `${open} steps are not rated`
}

export function toInput(draft: Draft): LabelInput {
  const { trace, flagged, badProblem, ownStep, judgeShown, stepCount } = draft
  const ratings = Array.from({ length: stepCount }, (_, step) => draft.ratings[step] ?? null)
  return { trace, ratings, flagged, badProblem, ownStep, judgeShown }
}
