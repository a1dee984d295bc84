/**
 * @file SCDPO's pairs (Lu et al. 2024, arXiv 2407.00782): a right solution is cut after a random step and gone on with
 * until it goes wrong. The rest of the right solution is chosen, the rest of the wrong one is rejected.
 */
import { random } from '../base/random.ts'
import type { Pair } from '../data/pair-row.ts'
import type { Rollout } from '../data/rollout.ts'
import { endsRight, type JudgedRollout, type Location, locateError, NOTHING_WRONG } from './judged.ts'
import { type MadeBy, makePair, type PairPlace, placeOf, restSide } from './make-pair.ts'
import { count, type Reasons } from './reasons.ts'
import { withoutSpace } from './spans.ts'

/** A right solution, and the place where it is cut. */
export interface Cut {
  readonly solution: JudgedRollout
  readonly place: PairPlace
}

/** Cuts right solutions, each once, at random places. Where they are judged, nothing in them may be wrong. */
export function cutSolutions(
  judged: readonly JudgedRollout[],
  isJudged: boolean,
  seed: number,
  reasons: Reasons,
): Cut[] {
  const seen = new Set<string>()
  return judged.flatMap((solution) => {
    const { rollout, spans, verdicts } = solution
    const places = spans.flatMap(({ prefix, content }, step) =>
      content.trim() === '' || prefix.length <= (rollout.given ?? 0) ? [] : [step],
    )
    const key = JSON.stringify([rollout.problem, rollout.asked, withoutSpace(rollout.completion)])
    const flaw = flawOf(rollout, isJudged ? locateError(verdicts) : { none: NOTHING_WRONG })
    const reason =
      flaw ?? (seen.has(key) ? 'the same solution again' : places.length === 0 ? 'one step only' : undefined)
    seen.add(key)
    if (reason !== undefined) {
      count(reasons, reason)
      return []
    }
    const step = places[random(seed, 'cut', rollout.id).below(places.length)]
    return [{ solution, place: placeOf(solution, step) }]
  })
}

function flawOf(rollout: Rollout, located: Location): string | undefined {
  if (endsRight(rollout) !== true) return 'the solution is not right'
  if ('step' in located) return 'a step was found wrong, but the answer is right'
  return located.none === NOTHING_WRONG ? undefined : located.none
}

/** Whether a continuation is one to reject: it comes to its end, and its answer is another one. */
export function endsWrong(rollout: Rollout): boolean {
  return endsRight(rollout) === false && rollout.finish === 'stop' && rollout.final_answer !== null
}

/** The pairs of cuts and the wrong solutions that were found for them. Where those are judged, the error must stand behind the cut. */
export function cutPairs(
  cuts: readonly Cut[],
  wrong: ReadonlyMap<Cut, JudgedRollout>,
  by: MadeBy & { readonly isJudged: boolean },
  reasons: Reasons,
): Pair[] {
  return cuts.flatMap((cut) => {
    const { place, solution } = cut
    const other = wrong.get(cut)
    if (other === undefined) {
      count(reasons, 'no continuation ends wrong')
      return []
    }
    const located = locateBehind(other)
    if (by.isJudged && 'none' in located) {
      count(reasons, located.none)
      return []
    }
    const start = place.prefix.length
    const why = 'why' in located ? located.why : ''
    return [
      makePair(place, restSide(solution, start, 'rollout'), restSide(other, start, 'continuation'), { ...by, why }),
    ]
  })
}

/** The first error, where the policy wrote it. */
function locateBehind({ verdicts, spans }: JudgedRollout): Location {
  const located = locateError(verdicts)
  const isGiven = 'step' in located && spans[located.step].content.trim() === ''
  return isGiven ? { none: 'the error of the continuation stands before the cut' } : located
}
