/** @file A figure: what is measured of a model's rollouts, as a number for each problem. */
import type { Rollout } from '../data/rollout.ts'
import type { AggregationName } from '../judge/aggregate.ts'
import type { ByProblem } from './compare.ts'

/** What a figure is: those of two models that have all of it in common are compared. */
export interface FigureName {
  readonly source: 'greedy' | 'samples'
  /** `accuracy`, `pass@4`, `maj@4`, `best-of-4`, `weighted@4`, `judged`, `coverage`, `tokens` … */
  readonly name: string
  /** Shares are in [0, 1]; scores are too, but for the aggregation `sum`. */
  readonly unit: 'share' | 'score' | 'count'
  /** Null for figures that need none. */
  readonly judge: string | null
  readonly aggregation: AggregationName | null
}

export interface Figure extends FigureName {
  /** False where draws of completions were sampled. */
  readonly isExact: boolean
  readonly values: ByProblem
}

/** What most figures have. */
export const PLAIN_FIGURE = { unit: 'share', judge: null, aggregation: null, isExact: true } as const

/** Scores of rollouts by their ids, as one judge and one aggregation have them; null where no step was scored. */
export interface Scoring {
  readonly judge: string
  readonly aggregation: AggregationName
  readonly scores: ReadonlyMap<string, number | null>
}

/** Rollouts by the text of their problem. */
export type Problems = ReadonlyMap<string, readonly Rollout[]>

/** Problems in the order in which they first occur. A rollout that comes again, by its id, counts once. */
export function groupRollouts(rollouts: readonly Rollout[]): Problems {
  const problems = new Map<string, Rollout[]>()
  for (const rollout of new Map(rollouts.map((one) => [one.id, one])).values()) {
    const own = problems.get(rollout.problem)
    if (own === undefined) problems.set(rollout.problem, [rollout])
    else own.push(rollout)
  }
  return problems
}

/** One rollout of each problem, so that a problem is right or wrong. */
export function firstOfEach(problems: Problems): Problems {
  return new Map([...problems].map(([problem, own]) => [problem, own.slice(0, 1)]))
}

/** The rollouts of which it is known whether they are right. */
export function onlyKnown(problems: Problems): Problems {
  const known = [...problems].map(
    ([problem, own]) => [problem, own.filter(({ final_answer_correct: isRight }) => isRight !== null)] as const,
  )
  return new Map(known.filter(([, own]) => own.length > 0))
}

/** The mean over a problem's rollouts of what has a value; problems without any are left out. */
export function meanByProblem(problems: Problems, measure: (rollout: Rollout) => number | null): ByProblem {
  const means = new Map<string, number>()
  for (const [problem, own] of problems) {
    const values = own.map(measure).filter((value) => value !== null)
    if (values.length > 0) means.set(problem, values.reduce((sum, value) => sum + value, 0) / values.length)
  }
  return means
}
