/** @file Pairs of steps that rollouts have after one prefix and that a judge scored differently. */
import type { Pair } from '../data/pair-row.ts'
import { type JudgedRollout, locateError } from './judged.ts'
import { type MadeFrom, makePair, type PairPlace, type Side, scoreOf } from './make-pair.ts'
import type { SolutionPairOptions } from './solution-pairs.ts'
import { count, type Reasons } from './step-pairs.ts'

/**
 * Every two scored steps after one prefix whose scores differ by `minMargin` or more, the largest margins of a problem
 * first. A prefix that has a wrong step in it is none.
 */
export function siblingPairs(
  judged: readonly JudgedRollout[],
  { minMargin, maxPerProblem }: SolutionPairOptions,
  made: MadeFrom,
  reasons: Reasons,
): Pair[] {
  const sites = new Map<string, { readonly place: PairPlace; readonly sides: Map<string, Side> }>()
  for (const { rollout, spans, verdicts } of judged) {
    const located = locateError(verdicts)
    const last = located.step ?? spans.length - 1
    for (const [step, { prefix, content, terminal, isCut }] of spans.entries()) {
      const score = scoreOf(verdicts[step])
      if (step > last || isCut || score === null) continue
      const key = JSON.stringify([rollout.problem, prefix])
      const place = { problem: rollout.problem, answer: rollout.answer, prefix, step }
      const site = sites.get(key) ?? { place, sides: new Map<string, Side>() }
      sites.set(key, site)
      if (!site.sides.has(content)) {
        site.sides.set(content, { content, terminal, score, rollout: rollout.id, from: 'rollout' })
      }
    }
  }
  const problems = new Map<string, { pair: Pair; margin: number }[]>()
  for (const { place, sides } of sites.values()) {
    if (sides.size < 2) count(reasons, 'one scored step only after the prefix')
    for (const chosen of sides.values()) {
      for (const rejected of sides.values()) {
        const margin = (chosen.score ?? 0) - (rejected.score ?? 0)
        if (margin <= 0) continue
        if (margin < minMargin) count(reasons, 'the scores differ by less than min_margin')
        else {
          const own = problems.get(place.problem) ?? []
          problems.set(place.problem, own)
          own.push({ pair: makePair(place, chosen, rejected, made), margin })
        }
      }
    }
  }
  return [...problems.values()].flatMap((own) => {
    if (own.length > maxPerProblem) count(reasons, 'more than max_pairs_per_prompt', own.length - maxPerProblem)
    return own
      .toSorted((a, b) => b.margin - a.margin)
      .slice(0, maxPerProblem)
      .map(({ pair }) => pair)
  })
}
