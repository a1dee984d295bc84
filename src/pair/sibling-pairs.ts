/** @file Pairs of steps that rollouts have after one prefix and that a judge scored differently. */
import type { Pair } from '../data/pair-row.ts'
import type { JudgedRollout } from './judged.ts'
import { type MadeBy, makePair, type PairPlace, placeKey, placeOf, type Side, stepSide } from './make-pair.ts'
import { count, type Reasons } from './reasons.ts'
import { withoutSpace } from './spans.ts'

interface Siblings {
  readonly place: PairPlace
  /** By what they say. */
  readonly sides: Map<string, { readonly side: Side; readonly score: number; readonly why: string }>
}

/**
 * Every two scored steps after one prefix whose scores differ by `minMargin` or more, the largest margins first. Behind a
 * wrong step and behind one whose call failed there are none.
 */
export function siblingPairs(
  judged: readonly JudgedRollout[],
  minMargin: number,
  by: MadeBy,
  reasons: Reasons,
): Pair[] {
  const found: { readonly pair: Pair; readonly margin: number }[] = []
  for (const { place, sides } of findSiblings(judged).values()) {
    if (sides.size === 1) count(reasons, 'one scored step only after the prefix')
    for (const chosen of sides.values()) {
      for (const rejected of sides.values()) {
        const margin = chosen.score - rejected.score
        if (margin <= 0) continue
        if (margin < minMargin) count(reasons, 'the scores differ by less than min_margin')
        else found.push({ pair: makePair(place, chosen.side, rejected.side, { ...by, why: rejected.why }), margin })
      }
    }
  }
  return found.sort((a, b) => b.margin - a.margin).map(({ pair }) => pair)
}

/** The scored steps after each prefix; of equal ones the first. */
function findSiblings(judged: readonly JudgedRollout[]): Map<string, Siblings> {
  const sites = new Map<string, Siblings>()
  for (const solution of judged) {
    for (const [step, verdict] of solution.verdicts.entries()) {
      if (verdict.state === 'failed') break
      const { content, isCut } = solution.spans[step]
      if (verdict.state === 'scored' && !isCut && content.trim() !== '') {
        const place = placeOf(solution, step)
        const key = placeKey(place)
        const site = sites.get(key) ?? { place, sides: new Map() }
        sites.set(key, site)
        const text = withoutSpace(content)
        const { score, why } = verdict
        if (!site.sides.has(text)) site.sides.set(text, { side: stepSide(solution, step, 'rollout'), score, why })
      }
      if (verdict.state === 'scored' && verdict.label === 'incorrect') break
    }
  }
  return sites
}
