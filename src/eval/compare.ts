/** @file Two models on the same problems: answers that became right or wrong, and differences of means. */
import type { Estimate } from './interval.ts'
import { bootstrapMeans } from './mean-interval.ts'

/** A number for each problem that has one. */
export type ByProblem = ReadonlyMap<string, number>

/** Problems that both models have answered, by what became of their answers. */
export interface AnswerChanges {
  readonly bothRight: number
  readonly bothWrong: number
  /** Wrong before, right now; in the order of the base model's problems. */
  readonly gained: readonly string[]
  /** Right before, wrong now. */
  readonly lost: readonly string[]
  /** McNemar's exact p: how likely a difference as large would be if both models were equally good. */
  readonly p: number
}

/** Compares right (1) and wrong (0) answers to the problems that both have. */
export function compareAnswers(base: ByProblem, tuned: ByProblem): AnswerChanges {
  const both = problemsOfBoth(base, tuned)
  const pick = (before: number, now: number): string[] =>
    both.filter((problem) => base.get(problem) === before && tuned.get(problem) === now)
  const [gained, lost] = [pick(0, 1), pick(1, 0)]
  return {
    bothRight: pick(1, 1).length,
    bothWrong: pick(0, 0).length,
    gained,
    lost,
    p: mcnemar(gained.length, lost.length),
  }
}

/**
 * McNemar's exact test, two-sided: under equal models each change is a gain or a loss by the toss of a coin, so
 * p = 2 · P(Binomial(gained + lost, ½) ≤ the smaller), at most 1 (McNemar 1947; exact form: Fagerland et al. 2013, BMC
 * Medical Research Methodology 13:91).
 */
export function mcnemar(gained: number, lost: number): number {
  const changes = gained + lost
  let logTerm = -changes * Math.LN2 // log C(changes, i) / 2^changes, which itself may underflow
  let tail = 0
  for (let i = 0; i <= Math.min(gained, lost); i++) {
    tail += Math.exp(logTerm)
    logTerm += Math.log((changes - i) / (i + 1))
  }
  return Math.min(1, 2 * tail)
}

/** The means of two models over the problems that both have a number for, and the mean of the differences. */
export interface PairedMeans {
  readonly problems: number
  /** Null without such problems. */
  readonly base: number | null
  readonly tuned: number | null
  /** Tuned − base, with the interval of a bootstrap that draws problems, each with both its numbers. */
  readonly difference: Estimate
}

/** Compares means, each of a pair of numbers by problem. */
export function compareMeans(pairs: readonly (readonly [base: ByProblem, tuned: ByProblem])[]): PairedMeans[] {
  const problems = [...new Set(pairs.flatMap(([base, tuned]) => problemsOfBoth(base, tuned)))]
  const differences = bootstrapMeans(
    pairs.map(([base, tuned]) =>
      problems.map((problem) => {
        const [before, now] = [base.get(problem), tuned.get(problem)]
        return before === undefined || now === undefined ? null : now - before
      }),
    ),
  )
  return pairs.map(([base, tuned], at) => {
    const both = problemsOfBoth(base, tuned)
    return {
      problems: both.length,
      base: meanOver(both, base),
      tuned: meanOver(both, tuned),
      difference: differences[at],
    }
  })
}

function problemsOfBoth(base: ByProblem, tuned: ByProblem): string[] {
  return [...base.keys()].filter((problem) => tuned.has(problem))
}

function meanOver(problems: readonly string[], values: ByProblem): number | null {
  if (problems.length === 0) return null
  return problems.reduce((sum, problem) => sum + (values.get(problem) ?? 0), 0) / problems.length
}
