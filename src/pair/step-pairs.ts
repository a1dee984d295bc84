/**
 * @file Step-DPO's pairs (Lai et al. 2024, section 3.2): a wrong solution's first wrong step against a right one after the
 * same prefix, both written by the policy. Hardened: the chosen step is judged too, and its solution must end right.
 */
import type { Pair } from '../data/pair-row.ts'
import type { Rollout } from '../data/rollout.ts'
import { type JudgedRollout, locateError } from './judged.ts'
import { type MadeFrom, makePair, type Side, scoreOf } from './make-pair.ts'
import type { StepSpan } from './spans.ts'

/**
 * What a chosen step must have: a judge that scored it right (`judge`); a solution that ends with the right answer, as in
 * the original code (`answer`); or a right end and a judge that found nothing wrong in the whole solution (`both`).
 */
export const VERIFICATIONS = ['both', 'answer', 'judge'] as const
export type Verification = (typeof VERIFICATIONS)[number]

const isVerified: { readonly [V in Verification]: (solution: JudgedRollout, step: number) => boolean } = {
  both: (solution) => endsRight(solution) && locateError(solution.verdicts).none === 'no step was found wrong',
  answer: endsRight,
  judge: ({ verdicts }, step) => {
    const verdict = verdicts[step]
    return verdict.state === 'scored' && verdict.label === 'correct'
  },
}

function endsRight({ rollout }: JudgedRollout): boolean {
  return rollout.final_answer_correct !== false && rollout.finish === 'stop'
}

/** A prefix after which the policy went wrong. */
export interface Site {
  readonly problem: string
  readonly answer: string | null
  readonly prefix: string
  readonly step: number
  /** The wrong steps, each once. */
  readonly rejected: readonly Side[]
}

/** Why rollouts give no wrong step. */
export type Reasons = Map<string, number>

export function count(reasons: Reasons, reason: string, by = 1): void {
  reasons.set(reason, (reasons.get(reason) ?? 0) + by)
}

const siteKey = (problem: string, prefix: string): string => JSON.stringify([problem, prefix])

/** The prefixes at which judged rollouts first go wrong, in their order. Rollouts that give none are counted by reason. */
export function findSites(judged: readonly JudgedRollout[], reasons: Reasons): Site[] {
  const sites = new Map<string, Site & { readonly rejected: Side[] }>()
  for (const solution of judged) {
    const { rollout, spans, verdicts } = solution
    const located = locateError(verdicts)
    const flaw = flawOf(rollout, located, spans)
    if (flaw !== undefined || located.step === undefined) {
      count(reasons, flaw ?? 'no step was found wrong')
      continue
    }
    const { step } = located
    const { prefix, content, terminal } = spans[step]
    const key = siteKey(rollout.problem, prefix)
    const site = sites.get(key) ?? { problem: rollout.problem, answer: rollout.answer, prefix, step, rejected: [] }
    sites.set(key, site)
    const side = { content, terminal, score: scoreOf(verdicts[step]), rollout: rollout.id, from: 'rollout' }
    if (site.rejected.some((other) => other.content === content)) count(reasons, 'the same wrong step again')
    else site.rejected.push(side)
  }
  return [...sites.values()]
}

function flawOf(
  { final_answer_correct: isRight }: Rollout,
  located: ReturnType<typeof locateError>,
  spans: readonly StepSpan[],
): string | undefined {
  if (located.none !== undefined) return isRight === true ? 'the solution is right' : located.none
  if (isRight === true) return 'a step was found wrong, but the answer is right'
  return spans[located.step].isCut ? 'the wrong step was cut at max_new_tokens' : undefined
}

/** The verified steps that rollouts have after the prefixes of sites, by site. The most frequent first. */
export function findChosen(
  sites: readonly Site[],
  judged: readonly JudgedRollout[],
  verification: Verification,
): Map<Site, Side[]> {
  const wanted = new Map(sites.map((site) => [siteKey(site.problem, site.prefix), site]))
  const found = new Map<Site, Map<string, Side & { frequency: number }>>()
  for (const solution of judged) {
    const { rollout, spans, verdicts } = solution
    for (const [step, { prefix, content, terminal, isCut }] of spans.entries()) {
      const site = wanted.get(siteKey(rollout.problem, prefix))
      if (site === undefined || isCut || !isVerified[verification](solution, step)) continue
      const own = found.get(site) ?? new Map<string, Side & { frequency: number }>()
      found.set(site, own)
      const known = own.get(content)
      if (known !== undefined) known.frequency++
      else if (!site.rejected.some((side) => side.content === content)) {
        const side = { content, terminal, score: scoreOf(verdicts[step]), rollout: rollout.id, from: 'rollout' }
        own.set(content, { ...side, frequency: 1 })
      }
    }
  }
  const byFrequency = (a: { frequency: number }, b: { frequency: number }): number => b.frequency - a.frequency
  return new Map([...found].map(([site, sides]) => [site, [...sides.values()].sort(byFrequency)]))
}

/** One pair for each wrong step that has a right sibling: the one that is most like it, so that they differ in the error. */
export function stepPairs(
  sites: readonly Site[],
  chosen: ReadonlyMap<Site, readonly Side[]>,
  made: MadeFrom,
  reasons: Reasons,
): Pair[] {
  return sites.flatMap((site) => {
    const right = chosen.get(site) ?? []
    if (right.length === 0) {
      count(reasons, 'no right step was found after the same prefix', site.rejected.length)
      return []
    }
    return site.rejected.map((rejected) => makePair(site, mostAlike(right, rejected), rejected, made))
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
