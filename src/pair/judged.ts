/** @file Rollouts with what a judge says of their steps, and where their first error is. */
import type { JudgedStep } from '../data/judgement.ts'
import type { Rollout } from '../data/rollout.ts'
import { type StepSpan, stepSpans } from './spans.ts'

/** A rollout whose steps were judged, one verdict for each. */
export interface JudgedRollout {
  readonly rollout: Rollout
  readonly spans: readonly StepSpan[]
  readonly verdicts: readonly JudgedStep[]
  /** Of the whole solution; null where no step was scored. */
  readonly score: number | null
}

export type Location =
  | { readonly step: number; readonly none?: undefined }
  /** No step was found wrong, or nobody knows which is the first. */
  | { readonly step?: undefined; readonly none: 'no step was found wrong' | 'the judge failed before a first error' }

/** @throws Error where there is not one verdict for each step. */
export function judgedRollout(rollout: Rollout, verdicts: readonly JudgedStep[], score: number | null): JudgedRollout {
  const spans = stepSpans(rollout)
  if (verdicts.length !== spans.length) {
    throw new Error(`rollout ${rollout.id}: expected ${spans.length} verdicts, found ${verdicts.length}`)
  }
  return { rollout, spans, verdicts, score }
}

/**
 * The first step that the judge calls incorrect. A step on which it abstained is passed over, since it found nothing to
 * object to; behind a step whose call failed nothing is known.
 */
export function locateError(verdicts: readonly JudgedStep[]): Location {
  for (const [step, verdict] of verdicts.entries()) {
    if (verdict.state === 'failed') return { none: 'the judge failed before a first error' }
    if (verdict.state === 'scored' && verdict.label === 'incorrect') return { step }
  }
  return { none: 'no step was found wrong' }
}
