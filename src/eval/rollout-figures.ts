/** @file All that is measured of a model's rollouts: answers, judged scores, and how the texts are. */
import type { Rollout } from '../data/rollout.ts'
import { type AggregationName, aggregate } from '../judge/aggregate.ts'
import type { StepVerdict } from '../judge/port.ts'
import { drawFigures } from './draw-figures.ts'
import {
  type Figure,
  type FigureName,
  firstOfEach,
  groupRollouts,
  meanByProblem,
  PLAIN_FIGURE,
  type Problems,
  type Scoring,
} from './figure.ts'
import { isRepetitive, isStoppedEarly } from './text-health.ts'

/** What one judge says of rollouts: a verdict on each step, by the id of the rollout. */
export type JudgedRollouts = ReadonlyMap<string, readonly StepVerdict[]>

/** All that one model wrote, and what judges say of it. */
export interface ModelRollouts {
  /** One rollout of each problem, without random numbers; of more the first. Empty where there are none. */
  readonly greedy: readonly Rollout[]
  /** Several of each problem; empty where there are none. */
  readonly samples: readonly Rollout[]
  readonly judgements: ReadonlyMap<string, JudgedRollouts>
}

export interface FigureOptions {
  /** How scores of steps become that of a rollout: each figure that needs one comes once for each. */
  readonly aggregations: readonly Exclude<AggregationName, 'weighted'>[]
  readonly sameAnswer: (a: string, b: string) => boolean
}

/** All figures that can be told; none of greedy decoding, or of samples, where there are no such rollouts. */
export function measureRollouts(model: ModelRollouts, { aggregations, sameAnswer }: FigureOptions): Figure[] {
  const scorings = [...model.judgements].flatMap(([judge, judged]) =>
    aggregations.map((aggregation) => scoreRollouts(judge, judged, aggregation)),
  )
  const texts = (source: FigureName['source'], problems: Problems): Figure[] =>
    problems.size === 0
      ? []
      : [
          ...judgedFigures(source, problems, scorings),
          ...coverageFigures(source, problems, model.judgements),
          ...textFigures(source, problems),
        ]
  const greedy = firstOfEach(groupRollouts(model.greedy))
  const samples = groupRollouts(model.samples)
  return [
    ...(greedy.size === 0 ? [] : [accuracyOf(greedy)]),
    ...texts('greedy', greedy),
    ...drawFigures(samples, scorings, sameAnswer),
    ...texts('samples', samples),
  ]
}

function scoreRollouts(judge: string, judged: JudgedRollouts, aggregation: AggregationName): Scoring {
  const scores = new Map([...judged].map(([id, verdicts]) => [id, aggregate(verdicts, aggregation).score]))
  return { judge, aggregation, scores }
}

function accuracyOf(greedy: Problems): Figure {
  const values = meanByProblem(greedy, ({ final_answer_correct: isRight }) =>
    isRight === null ? null : Number(isRight),
  )
  return { ...PLAIN_FIGURE, source: 'greedy', name: 'accuracy', values }
}

/** The mean over problems of the mean over their judged rollouts. */
function judgedFigures(source: FigureName['source'], problems: Problems, scorings: readonly Scoring[]): Figure[] {
  return scorings.map(({ judge, aggregation, scores }) => {
    const values = meanByProblem(problems, ({ id }) => scores.get(id) ?? null)
    return { ...PLAIN_FIGURE, source, name: 'judged', unit: 'score', judge, aggregation, values }
  })
}

/** The share of a rollout's steps that a judge has scored; rollouts that it has not judged are left out. */
function coverageFigures(
  source: FigureName['source'],
  problems: Problems,
  judgements: ModelRollouts['judgements'],
): Figure[] {
  return [...judgements].map(([judge, judged]) => {
    const values = meanByProblem(problems, ({ id }) => {
      const verdicts = judged.get(id)
      return verdicts === undefined ? null : aggregate(verdicts, 'mean').coverage
    })
    return { ...PLAIN_FIGURE, source, name: 'coverage', judge, values }
  })
}

function textFigures(source: FigureName['source'], problems: Problems): Figure[] {
  const each = (name: string, unit: FigureName['unit'], measure: (rollout: Rollout) => number): Figure => ({
    ...PLAIN_FIGURE,
    source,
    name,
    unit,
    values: meanByProblem(problems, measure),
  })
  return [
    each('repetitive', 'share', (rollout) => Number(isRepetitive(rollout))),
    each('truncated', 'share', ({ finish }) => Number(finish === 'length')),
    each('stopped-early', 'share', (rollout) => Number(isStoppedEarly(rollout))),
    each('tokens', 'count', ({ tokens }) => tokens),
    each('steps', 'count', ({ steps }) => steps.length),
  ]
}
