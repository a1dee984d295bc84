/** @file What people say of steps, in place of what the judge said. */
import type { JudgedStep, StepLabel } from '../data/judgement.ts'
import { type Label, solutionId } from '../data/labels.ts'
import type { Rollout } from '../data/rollout.ts'
import { AGGREGATIONS, aggregate } from '../judge/aggregate.ts'
import type { JudgedRollout } from './judged.ts'

/** PRM800K's ratings in the judge's words; a neutral step is not wrong (Lightman et al. 2023, appendix F). */
export const RATED: Readonly<Record<-1 | 0 | 1, { readonly label: StepLabel; readonly score: number }>> = {
  1: { label: 'correct', score: 1 },
  0: { label: 'neutral', score: 1 },
  [-1]: { label: 'incorrect', score: 0 },
}

/**
 * The steps that a person rated with that verdict, the others with the judge's. The score of the whole is made anew, by
 * `aggregation` where it needs nothing but scores.
 */
export function heedPeople(
  judged: JudgedRollout,
  labels: ReadonlyMap<string, Label>,
  aggregation?: string,
): JudgedRollout {
  const label = labelOf(judged.rollout, labels)
  if (label === undefined) return judged
  const verdicts = judged.verdicts.map((verdict, at): JudgedStep => {
    const rating = label.ratings[at]
    if (rating === null) return verdict
    return { text: verdict.text, state: 'scored', ...RATED[rating], why: `${label.who} says so` }
  })
  const method = AGGREGATIONS.find((name) => name === aggregation && name !== 'weighted') ?? 'product'
  return { ...judged, verdicts, score: aggregate(verdicts, method).score }
}

/** What a person says of a rollout's steps. */
export function labelOf({ problem, steps }: Rollout, labels: ReadonlyMap<string, Label>): Label | undefined {
  if (labels.size === 0) return undefined
  const id = solutionId(problem, steps)
  return id === undefined ? undefined : labels.get(id)
}

/** Problems that a person calls bad. */
export function badProblems(labels: ReadonlyMap<string, Label>): Set<string> {
  return new Set([...labels.values()].flatMap(({ problem, bad_problem: isBad }) => (isBad ? [problem] : [])))
}
