/**
 * @file Step-DPO's pairs (Lai et al. 2024, section 3.2): a wrong solution's first wrong step against a right one after the
 * same prefix, both written by the policy. Hardened: the chosen step is judged too, and its solution must end right.
 */
import type { Pair, PairSource } from '../data/pair-row.ts'
import { endsRight, type JudgedRollout, type Location, locateError, NOTHING_WRONG } from './judged.ts'
import { type MadeBy, makePair, type PairPlace, placeKey, placeOf, type Side, stepSide } from './make-pair.ts'
import { count, type Reasons } from './reasons.ts'
import { withoutSpace } from './spans.ts'

/**
 * What a chosen step must have: a judge that scored it right (`judge`); a solution that ends with the right answer, as in
 * the original code (`answer`); or both, and nothing in the whole solution that the judge found wrong (`both`). Where no
 * answer is known, `both` is the judge alone.
 */
export const VERIFICATIONS = ['both', 'answer', 'judge'] as const
export type Verification = (typeof VERIFICATIONS)[number]

const isVerified: { readonly [V in Verification]: (solution: JudgedRollout, step: number) => boolean } = {
  both: (solution, step) =>
    endsRight(solution.rollout) !== false && isClean(solution) && isScoredCorrect(solution, step),
  answer: ({ rollout }) => endsRight(rollout) === true,
  judge: (solution, step) => {
    const located = locateError(solution.verdicts.slice(0, step))
    return 'none' in located && located.none === NOTHING_WRONG && isScoredCorrect(solution, step)
  },
}

function isClean({ verdicts }: JudgedRollout): boolean {
  const located = locateError(verdicts)
  return 'none' in located && located.none === NOTHING_WRONG
}

function isScoredCorrect({ verdicts }: JudgedRollout, step: number): boolean {
  const verdict = verdicts[step]
  return verdict.state === 'scored' && verdict.label === 'correct'
}

export type RejectedSide = Side & { readonly why: string }

/** A prefix after which the policy went wrong. */
export interface Site {
  readonly place: PairPlace
  /** The wrong steps, each once. */
  readonly rejected: readonly RejectedSide[]
}

/** The prefixes at which rollouts first go wrong, in their order. Each rollout gives a wrong step, or a reason. */
export function findSites(
  judged: readonly JudgedRollout[],
  locate: (solution: JudgedRollout) => Location,
  reasons: Reasons,
): Site[] {
  const sites = new Map<string, { readonly place: PairPlace; readonly rejected: RejectedSide[] }>()
  for (const solution of judged) {
    const located = wrongStep(solution, locate(solution))
    if ('none' in located) {
      count(reasons, located.none)
      continue
    }
    const place = placeOf(solution, located.step)
    const key = placeKey(place)
    const site = sites.get(key) ?? { place, rejected: [] }
    sites.set(key, site)
    const side = stepSide(solution, located.step, 'rollout')
    if (hasContent(site.rejected, side)) count(reasons, 'the same wrong step again')
    else site.rejected.push({ ...side, why: located.why })
  }
  return [...sites.values()]
}

/** The first wrong step of a rollout that can be rejected. */
function wrongStep({ rollout, spans }: JudgedRollout, located: Location): Location {
  const isRight = rollout.final_answer_correct === true
  if ('none' in located) return isRight ? { none: 'the solution is right' } : located
  if (isRight) return { none: 'a step was found wrong, but the answer is right' }
  const { content, isCut } = spans[located.step]
  if (isCut) return { none: 'the wrong step was cut at max_new_tokens' }
  return content.trim() === '' ? { none: 'the wrong step was given to the policy' } : located
}

function hasContent(sides: readonly Side[], { content }: Side): boolean {
  const text = withoutSpace(content)
  return sides.some((side) => withoutSpace(side.content) === text)
}

/** The verified steps that solutions have after the prefixes of sites, by site. The most frequent first. */
export function findChosen(
  sites: readonly Site[],
  judged: readonly JudgedRollout[],
  verification: Verification,
  from: PairSource['from'],
): Map<Site, Side[]> {
  const wanted = new Map(sites.map((site) => [placeKey(site.place), site]))
  const found = new Map<Site, Map<string, { readonly side: Side; frequency: number }>>()
  for (const solution of judged) {
    for (const [step, { content, isCut }] of solution.spans.entries()) {
      const site = wanted.get(placeKey(placeOf(solution, step)))
      if (site === undefined || isCut || content.trim() === '' || !isVerified[verification](solution, step)) continue
      const side = stepSide(solution, step, from)
      if (hasContent(site.rejected, side)) continue
      const own = found.get(site) ?? new Map<string, { readonly side: Side; frequency: number }>()
      found.set(site, own)
      const text = withoutSpace(content)
      own.set(text, { side, ...own.get(text), frequency: (own.get(text)?.frequency ?? 0) + 1 })
    }
  }
  return new Map(
    [...found].map(([site, own]) => {
      const sorted = [...own.values()].sort((a, b) => b.frequency - a.frequency)
      return [site, sorted.map(({ side }) => side)]
    }),
  )
}

/** One pair for each wrong step that has a right sibling: the one that is most like it, so that they differ in the error. */
export function stepPairs(
  sites: readonly Site[],
  chosen: ReadonlyMap<Site, readonly Side[]>,
  by: MadeBy,
  reasons: Reasons,
): Pair[] {
  return sites.flatMap((site) => {
    const right = chosen.get(site) ?? []
    if (right.length === 0) {
      count(reasons, 'no right step was found after the same prefix', site.rejected.length)
      return []
    }
    return site.rejected.map((rejected) =>
      makePair(site.place, mostAlike(right, rejected), rejected, { ...by, why: rejected.why }),
    )
  })
}

/** The side with the longest common beginning; of equal ones the first. */
function mostAlike(sides: readonly Side[], { content }: Side): Side {
  const shared = (other: string): number => {
    let length = 0
    while (length < content.length && content[length] === other[length]) length++
    return length
  }
  return sides.reduce((best, side) => (shared(side.content) > shared(best.content) ? side : best))
}
