/** @file Signs that a judge does not judge steps: it looks at the end, passes right answers, or counts steps. */
import type { Comparison } from '../judge/pairwise.ts'
import type { StepVerdict } from '../judge/port.ts'
import type { FirstError } from './first-error.ts'
import { bootstrap, type Estimate } from './interval.ts'

/** A share of the solutions that it can be told of. */
export interface Share {
  readonly share: Estimate
  readonly of: number
}

function shareOf(holds: readonly boolean[]): Share {
  const columns = holds.map((one) => [Number(one), 1])
  return { share: bootstrap(columns, ([sum, count]) => sum / count), of: holds.length }
}

/**
 * PRM→ORM drift: the share of solutions whose lowest score is that of their last step, and of no step before it (Zhang
 * et al. 2025, arXiv 2501.07301). Only solutions with two scores or more can drift.
 */
export function measureDrift(solutions: readonly (readonly StepVerdict[])[]): Share {
  const scores = solutions.map((verdicts) =>
    verdicts.map((verdict) => (verdict.state === 'scored' ? verdict.score : Number.NaN)),
  )
  const several = scores.filter((values) => values.filter((value) => !Number.isNaN(value)).length > 1)
  return shareOf(
    several.map((values) => {
      const last = values[values.length - 1]
      return values.slice(0, -1).every((value) => !(value <= last)) && !Number.isNaN(last)
    }),
  )
}

export interface JudgedAnswer {
  readonly finalCorrect: boolean | null
  readonly predicted: FirstError
}

/** The share of solutions with a right final answer in which the judge sees a wrong step. */
export function measureWrongProcess(solutions: readonly JudgedAnswer[]): Share {
  const judged = solutions.filter(({ finalCorrect, predicted }) => finalCorrect && typeof predicted === 'number')
  return shareOf(judged.map(({ predicted }) => predicted !== -1))
}

/** Position bias: the share of comparisons in both orders in which the order decided, of those with two answers. */
export function measurePositionBias(comparisons: readonly Pick<Comparison, 'isConsistent'>[]): Share {
  return shareOf(comparisons.flatMap(({ isConsistent }) => (isConsistent === null ? [] : !isConsistent)))
}

/** Spearman's ρ of scores and numbers of steps: far from 0, a judge counts steps. */
export function measureLengthBias(solutions: readonly { readonly score: number | null; readonly steps: number }[]): {
  readonly rho: number | null
  readonly of: number
} {
  const scored = solutions.flatMap(({ score, steps }) => (score === null ? [] : [[score, steps] as const]))
  const rho = spearman(
    scored.map(([score]) => score),
    scored.map(([, steps]) => steps),
  )
  return { rho, of: scored.length }
}

/** The correlation of ranks, equal values sharing their mean rank; null where either side is all alike. */
export function spearman(a: readonly number[], b: readonly number[]): number | null {
  const [x, y] = [ranksOf(a), ranksOf(b)]
  const middle = (a.length + 1) / 2
  let [xy, xx, yy] = [0, 0, 0]
  x.forEach((rank, index) => {
    const [dx, dy] = [rank - middle, y[index] - middle]
    xy += dx * dy
    xx += dx * dx
    yy += dy * dy
  })
  return xx === 0 || yy === 0 ? null : xy / Math.sqrt(xx * yy)
}

function ranksOf(values: readonly number[]): number[] {
  const order = values.map((_, index) => index).sort((i, j) => values[i] - values[j])
  const ranks: number[] = []
  for (let from = 0; from < order.length; ) {
    let to = from + 1
    while (to < order.length && values[order[to]] === values[order[from]]) to++
    for (let index = from; index < to; index++) ranks[order[index]] = (from + 1 + to) / 2
    from = to
  }
  return ranks
}
