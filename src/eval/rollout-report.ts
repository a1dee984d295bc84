/** @file What a model's rollouts come to, and what became of those of its base model. Printing is the caller's. */
import type { StepCounts } from '../data/judge-events.ts'
import type { Rollout } from '../data/rollout.ts'
import type { StepVerdict } from '../judge/port.ts'
import { type AnswerChanges, type ByProblem, compareAnswers, compareMeans, type PairedMeans } from './compare.ts'
import { type Figure, type FigureName, groupRollouts } from './figure.ts'
import type { Estimate } from './interval.ts'
import { type Column, intervalKind, meanIntervals } from './mean-interval.ts'
import { type FigureOptions, type JudgedRollouts, type ModelRollouts, measureRollouts } from './rollout-figures.ts'

/** The mean of a figure over the problems that have it. */
export interface FigureReport extends FigureName {
  readonly isExact: boolean
  readonly problems: number
  readonly mean: Estimate
  readonly interval: 'wilson' | 'bootstrap'
}

/** What one judge left undone. */
export interface JudgeCounts {
  readonly judge: string
  /** Rollouts without a judgement. */
  readonly notJudged: number
  /** Rollouts that were judged, of which no step was scored. */
  readonly notScored: number
  readonly steps: StepCounts
}

/** What there is, and what could not be counted. */
export interface RolloutCounts {
  readonly problems: number
  readonly rollouts: number
  /** Of one problem. */
  readonly fewest: number
  readonly most: number
  /** Rollouts whose problem brings no answer: they are neither right nor wrong, and no accuracy counts them. */
  readonly unknownAnswer: number
  /** Rollouts in which no final answer was found: wrong, where the right one is known. */
  readonly noAnswer: number
  readonly judges: readonly JudgeCounts[]
}

export interface ModelReport {
  /** Null where there are no such rollouts. */
  readonly greedy: RolloutCounts | null
  readonly samples: RolloutCounts | null
  readonly figures: readonly FigureReport[]
}

/** A figure of both models. */
export interface FigureDifference extends FigureName, PairedMeans {
  /** At 5 %: by McNemar's test for greedy accuracy, else where the interval of the difference leaves out 0. */
  readonly isSignificant: boolean
}

/** Both models on the problems that both have. */
export interface ModelComparison {
  /** Of greedy answers; null where a model has none, or no problem of both has a known answer. */
  readonly answers: AnswerChanges | null
  readonly differences: readonly FigureDifference[]
}

export interface RolloutReport {
  readonly model: ModelReport
  /** Both null where there is one model alone. */
  readonly base: ModelReport | null
  readonly comparison: ModelComparison | null
}

const SIGNIFICANCE = 0.05

/** Reports on a model, alone or against the one that it was trained from. */
export function reportRollouts(
  model: ModelRollouts,
  base: ModelRollouts | null,
  options: FigureOptions,
): RolloutReport {
  const figures = measureRollouts(model, options)
  if (base === null) return { model: reportModel(model, figures), base: null, comparison: null }
  const baseFigures = measureRollouts(base, options)
  return {
    model: reportModel(model, figures),
    base: reportModel(base, baseFigures),
    comparison: compareFigures(baseFigures, figures),
  }
}

function reportModel(model: ModelRollouts, figures: readonly Figure[]): ModelReport {
  const columns = columnsOf(figures.map(({ values }) => values))
  // A number of steps or tokens that happens to be 1 everywhere is no share.
  const kinds = columns.map((column, at) => (figures[at].unit === 'count' ? 'bootstrap' : intervalKind(column)))
  const means = meanIntervals(columns, kinds)
  return {
    greedy: countRollouts(model.greedy, model.judgements),
    samples: countRollouts(model.samples, model.judgements),
    figures: figures.map(({ values, isExact, ...name }, at) => ({
      ...name,
      isExact,
      problems: values.size,
      mean: means[at],
      interval: kinds[at],
    })),
  }
}

/** One row for each problem that any figure has. */
function columnsOf(figures: readonly ByProblem[]): Column[] {
  const problems = [...new Set(figures.flatMap((values) => [...values.keys()]))]
  return figures.map((values) => problems.map((problem) => values.get(problem) ?? null))
}

function countRollouts(rollouts: readonly Rollout[], judgements: ModelRollouts['judgements']): RolloutCounts | null {
  const problems = [...groupRollouts(rollouts).values()]
  if (problems.length === 0) return null
  const all = problems.flat()
  const sizes = problems.map((own) => own.length)
  return {
    problems: problems.length,
    rollouts: all.length,
    fewest: sizes.reduce((least, size) => Math.min(least, size)),
    most: sizes.reduce((most, size) => Math.max(most, size)),
    unknownAnswer: all.filter(({ final_answer_correct: isRight }) => isRight === null).length,
    noAnswer: all.filter(({ final_answer: answer }) => answer === null).length,
    judges: [...judgements].map(([judge, judged]) => countJudged(judge, judged, all)),
  }
}

function countJudged(judge: string, judged: JudgedRollouts, rollouts: readonly Rollout[]): JudgeCounts {
  const known = rollouts.flatMap(({ id }) => {
    const verdicts = judged.get(id)
    return verdicts === undefined ? [] : [verdicts]
  })
  const count = (state: StepVerdict['state']): number =>
    known.flat().filter((verdict) => verdict.state === state).length
  return {
    judge,
    notJudged: rollouts.length - known.length,
    notScored: known.filter((verdicts) => verdicts.every(({ state }) => state !== 'scored')).length,
    steps: { scored: count('scored'), abstained: count('abstained'), failed: count('failed') },
  }
}

function compareFigures(base: readonly Figure[], tuned: readonly Figure[]): ModelComparison {
  const before = new Map(base.map((figure) => [keyOf(figure), figure]))
  const pairs = tuned.flatMap((figure) => {
    const own = before.get(keyOf(figure))
    return own === undefined ? [] : [{ figure, values: [own.values, figure.values] as const }]
  })
  const means = compareMeans(pairs.map(({ values }) => values))
  const accuracy = pairs.findIndex(({ figure }) => figure.source === 'greedy' && figure.name === 'accuracy')
  const answers = accuracy === -1 || means[accuracy].problems === 0 ? null : compareAnswers(...pairs[accuracy].values)
  return {
    answers,
    differences: pairs.map(({ figure: { values, isExact, ...name } }, at) => ({
      ...name,
      ...means[at],
      isSignificant:
        at === accuracy && answers !== null ? answers.p < SIGNIFICANCE : leavesOutZero(means[at].difference),
    })),
  }
}

function keyOf({ source, name, judge, aggregation }: FigureName): string {
  return JSON.stringify([source, name, judge, aggregation])
}

function leavesOutZero({ low, high }: Estimate): boolean {
  return low !== null && (low > 0 || high < 0)
}
