/** @file Whole solutions as pairs: the best of a problem against the worst, as plain DPO has them. */
import type { Pair } from '../data/pair-row.ts'
import type { JudgedRollout } from './judged.ts'
import { type MadeFrom, makePair, type Side } from './make-pair.ts'
import { count, type Reasons } from './step-pairs.ts'

export interface SolutionPairOptions {
  /** How much more the chosen side's score must be, where scores decide. */
  readonly minMargin: number
  readonly maxPerProblem: number
}

/**
 * Pairs of each problem: the first is the best against the worst, the next the second best against the second worst, and
 * so on; sides come again where there are fewer of one kind. Answers decide where they are known (right against wrong),
 * and scores among equals; scores alone where they are not.
 */
export function solutionPairs(
  judged: readonly JudgedRollout[],
  { minMargin, maxPerProblem }: SolutionPairOptions,
  made: MadeFrom,
  reasons: Reasons,
): Pair[] {
  const problems = new Map<string, JudgedRollout[]>()
  for (const solution of judged) {
    if (solution.rollout.finish === 'length') count(reasons, 'cut at max_new_tokens')
    else problems.set(solution.rollout.problem, [...(problems.get(solution.rollout.problem) ?? []), solution])
  }
  return [...problems.values()].flatMap((own) => {
    const distinct = [...new Map(own.map((solution) => [solution.rollout.completion, solution])).values()]
    const isKnown = distinct[0].rollout.final_answer_correct !== null
    const ranked = distinct.toSorted((a, b) => (b.score ?? 0) - (a.score ?? 0))
    const good = isKnown ? ranked.filter(({ rollout }) => rollout.final_answer_correct === true) : ranked
    const bad = (isKnown ? ranked.filter(({ rollout }) => rollout.final_answer_correct === false) : ranked).toReversed()
    if (good.length === 0) count(reasons, 'no right solution of the problem')
    else if (bad.length === 0) count(reasons, 'no wrong solution of the problem')
    const wanted =
      good.length === 0 || bad.length === 0 ? 0 : Math.min(maxPerProblem, Math.max(good.length, bad.length))
    return Array.from({ length: wanted }, (_, at) => [good[at % good.length], bad[at % bad.length]]).flatMap(
      ([chosen, rejected]) => {
        if (!isKnown && (chosen.score ?? 0) - (rejected.score ?? 0) < Math.max(minMargin, Number.EPSILON)) {
          count(reasons, 'the scores differ by less than min_margin')
          return []
        }
        const { problem, answer } = chosen.rollout
        return [makePair({ problem, answer, prefix: '', step: 0 }, sideOf(chosen), sideOf(rejected), made)]
      },
    )
  })
}

function sideOf({ rollout, score }: JudgedRollout): Side {
  return { content: rollout.completion.trim(), terminal: true, score, rollout: rollout.id, from: 'rollout' }
}
