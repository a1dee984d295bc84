/** @file Rollouts with what a judge says of their steps, and where their first error is. */
import type { JudgedStep, Judgement } from '../data/judgement.ts'
import type { Rollout } from '../data/rollout.ts'
import { type StepSpan, stepSpans } from './spans.ts'

/** A rollout in steps, with one verdict for each. */
export interface JudgedRollout {
  readonly rollout: Rollout
  readonly spans: readonly StepSpan[]
  readonly verdicts: readonly JudgedStep[]
  /** Of the whole solution; null where no step was scored. */
  readonly score: number | null
}

/** The first wrong step and why it is wrong, or why there is none. */
export type Location = { readonly step: number; readonly why: string } | { readonly none: string }

export const NOTHING_WRONG = 'no step was found wrong'
export const JUDGE_FAILED = 'the judge failed before a first error'

/**
 * A rollout with its judgement. Without one nobody was asked, and the judge abstained on all steps.
 * @throws Error where there is not one verdict for each step of its text.
 */
export function judgedRollout(rollout: Rollout, judgement?: Pick<Judgement, 'steps' | 'score'>): JudgedRollout {
  const spans = stepSpans(rollout)
  const { steps: verdicts, score } = judgement ?? {
    steps: rollout.steps.map((text): JudgedStep => ({ text, state: 'abstained', why: 'nobody was asked' })),
    score: null,
  }
  if (spans?.length !== verdicts.length) {
    throw new Error(
      `rollout ${rollout.id}: expected ${spans?.length ?? 'other'} steps with a verdict each, found ${verdicts.length}`,
    )
  }
  return { rollout, spans, verdicts, score }
}

/**
 * The first step that the judge calls incorrect. A step on which it abstained is passed over, since it found nothing to
 * object to; behind a step whose call failed nothing is known.
 */
export function locateError(verdicts: readonly JudgedStep[]): Location {
  for (const [step, verdict] of verdicts.entries()) {
    if (verdict.state === 'failed') return { none: JUDGE_FAILED }
    if (verdict.state === 'scored' && verdict.label === 'incorrect') return { step, why: verdict.why }
  }
  return { none: NOTHING_WRONG }
}

/** Whether the solution came to its end and the end is right; null where no answer is known. */
export function endsRight({ final_answer_correct: isRight, finish }: Rollout): boolean | null {
  return finish === 'stop' ? isRight : false
}
