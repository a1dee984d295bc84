/** @file Whole solutions as pairs: the best of a problem against the worst, as plain DPO has them. */
import type { Pair } from '../data/pair-row.ts'
import { JUDGE_FAILED, type JudgedRollout } from './judged.ts'
import { type MadeBy, makePair, placeKey, placeOf, restSide, type Side } from './make-pair.ts'
import { count, type Reasons } from './reasons.ts'
import { withoutSpace } from './spans.ts'

type Matched = readonly (readonly [chosen: JudgedRollout, rejected: JudgedRollout])[]

/**
 * Pairs of each problem: the first is the best against the worst, the next the second best against the second worst, and
 * so on; sides come again where there are fewer of one kind. Answers decide where they are known (right against wrong),
 * and scores among equals; scores alone, by `minMargin` at least, where they are not.
 */
export function solutionPairs(
  judged: readonly JudgedRollout[],
  minMargin: number,
  by: MadeBy,
  reasons: Reasons,
): Pair[] {
  return [...usableSolutions(judged, reasons).values()].flatMap((own) => {
    const isKnown = own.some(({ rollout }) => rollout.final_answer_correct !== null)
    const matched = isKnown ? matchAnswers(own, reasons) : matchScores(own, minMargin, reasons)
    const place = placeOf(own[0], 0)
    const sideOf = (solution: JudgedRollout): Side => restSide(solution, place.prefix.length, 'rollout')
    return matched.map(([chosen, rejected]) => makePair(place, sideOf(chosen), sideOf(rejected), { ...by, why: '' }))
  })
}

/** Finished solutions of each problem, each once. */
function usableSolutions(judged: readonly JudgedRollout[], reasons: Reasons): Map<string, JudgedRollout[]> {
  const problems = new Map<string, JudgedRollout[]>()
  const seen = new Set<string>()
  for (const solution of judged) {
    const { rollout, verdicts } = solution
    const key = placeKey(placeOf(solution, 0))
    const content = JSON.stringify([key, withoutSpace(rollout.completion)])
    if (rollout.finish === 'length') count(reasons, 'cut at max_new_tokens')
    else if (verdicts.some(({ state }) => state === 'failed')) count(reasons, JUDGE_FAILED)
    else if (seen.has(content)) count(reasons, 'the same solution again')
    else {
      seen.add(content)
      problems.set(key, [...(problems.get(key) ?? []), solution])
    }
  }
  return problems
}

function matchAnswers(solutions: readonly JudgedRollout[], reasons: Reasons): Matched {
  const right = solutions.filter(({ rollout }) => rollout.final_answer_correct === true)
  const wrong = solutions.filter(({ rollout }) => rollout.final_answer_correct === false)
  if (right.length === 0) count(reasons, 'no right solution of the problem', wrong.length)
  if (wrong.length === 0) count(reasons, 'no wrong solution of the problem', right.length)
  if (right.length === 0 || wrong.length === 0) return []
  // Solutions without a score are neither the best nor the worst: they come last.
  const best = right.toSorted((a, b) => (b.score ?? -Infinity) - (a.score ?? -Infinity) || 0)
  const worst = wrong.toSorted((a, b) => (a.score ?? Infinity) - (b.score ?? Infinity) || 0)
  const length = Math.max(best.length, worst.length)
  return Array.from({ length }, (_, at) => [best[at % best.length], worst[at % worst.length]] as const)
}

/** The first with the last, the second with the last but one, up to the middle. */
function matchScores(solutions: readonly JudgedRollout[], minMargin: number, reasons: Reasons): Matched {
  const scored = solutions.flatMap((solution) => (solution.score === null ? [] : [{ solution, score: solution.score }]))
  if (scored.length < solutions.length) count(reasons, 'no step was scored', solutions.length - scored.length)
  const ranked = scored.toSorted((a, b) => b.score - a.score)
  if (ranked.length % 2 === 1) count(reasons, 'no other solution to compare with')
  return Array.from({ length: Math.floor(ranked.length / 2) }, (_, at) => at).flatMap((at) => {
    const [best, worst] = [ranked[at], ranked[ranked.length - 1 - at]]
    if (best.score > worst.score && best.score - worst.score >= minMargin)
      return [[best.solution, worst.solution] as const]
    count(reasons, 'the scores differ by less than min_margin', 2)
    return []
  })
}
