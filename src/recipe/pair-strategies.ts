/** @file From rollouts to pairs, by strategy: what is judged, what is sampled, and in which order. */
import type { Pair } from '../data/pair-row.ts'
import type { Rollout } from '../data/rollout.ts'
import type { StageEvent } from '../data/stage-events.ts'
import { type Cut, cutPairs, cutSolutions, endsWrong } from '../pair/cut-pairs.ts'
import { endsRight, type JudgedRollout } from '../pair/judged.ts'
import { type MadeBy, placeKey } from '../pair/make-pair.ts'
import { siblingPairs } from '../pair/sibling-pairs.ts'
import { solutionPairs } from '../pair/solution-pairs.ts'
import { findChosen, findSites, type Site, stepPairs, type Verification } from '../pair/step-pairs.ts'
import { locateErrors } from './locate-stage.ts'
import { continueFrom, judgeRollouts, type Pairing } from './pair-parts.ts'
import type { Strategy } from './pairs-settings.ts'

/** The files of what was judged. */
const TO_JUDGE = 'to-judge.jsonl'
const CANDIDATES = 'candidates.jsonl'

/** Temperatures of continuations that shall go wrong: the first, what each line adds, the last (Lu et al. 2024). */
const HOT = 1.1
const HEAT_PER_LINE = 0.05
const HOTTEST = 1.4

/** Undefined where the world's signal stopped it. */
type Making = AsyncGenerator<StageEvent, Pair[] | undefined>

export const strategies: { readonly [S in Strategy]: (pairing: Pairing, rollouts: readonly Rollout[]) => Making } = {
  step_dpo: makeStepPairs,
  siblings: makeSiblingPairs,
  dpo: makeSolutionPairs,
  scdpo: makeCutPairs,
}

function madeBy({ settings, judge }: Pairing): MadeBy {
  const { strategy, locate } = settings
  return { strategy, judge, locatedBy: strategy === 'step_dpo' ? locate : null }
}

/** What a chosen step must have; without a judge the answer alone. */
function verificationOf({ settings: { verify, reward_model } }: Pairing): Verification {
  return verify ?? (reward_model === undefined ? 'answer' : 'both')
}

/** Whether a rollout can only be chosen from if it was judged: what cannot be chosen is not judged. */
function needsJudge(verification: Verification, rollout: Rollout): boolean {
  return verification === 'judge' || (verification === 'both' && endsRight(rollout) !== false)
}

async function* makeStepPairs(pairing: Pairing, rollouts: readonly Rollout[]): Making {
  const verification = verificationOf(pairing)
  const isLocated = ({ final_answer_correct }: Rollout): boolean =>
    pairing.settings.locate !== 'monte_carlo' && final_answer_correct !== true
  const wanted = (rollout: Rollout): boolean => isLocated(rollout) || needsJudge(verification, rollout)
  const judged = yield* judgeRollouts(pairing, rollouts, TO_JUDGE, wanted)
  if (judged === undefined) return undefined
  const locate = yield* locateErrors(pairing, judged)
  if (locate === undefined) return undefined
  const sites = findSites(judged, locate, pairing.reasons)
  const chosen = findChosen(sites, judged, verification, 'rollout')
  const open = sites.filter((site) => !chosen.has(site))
  const continued = yield* repair(pairing, open, verification)
  if (continued === undefined) return undefined
  const repaired = findChosen(open, continued, verification, 'continuation')
  return stepPairs(sites, new Map([...chosen, ...repaired]), madeBy(pairing), pairing.reasons)
}

/** Continuations of the prefixes of sites that may hold a right step, judged. */
async function* repair(
  pairing: Pairing,
  sites: readonly Site[],
  verification: Verification,
): AsyncGenerator<StageEvent, JudgedRollout[] | undefined> {
  const { base_model, num_resamples } = pairing.settings
  if (sites.length === 0 || num_resamples === 0) return []
  if (base_model === undefined) {
    const message = `${sites.length} prefixes have no right step among the rollouts; with --base_model they would be continued`
    yield { type: 'warning', message }
    return []
  }
  const continued = yield* continueFrom(
    pairing,
    sites.map(({ place }) => place),
    num_resamples,
  )
  if (continued === undefined) return undefined
  const candidates = [...continued.values()].flat().filter(hasSteps)
  return yield* judgeRollouts(pairing, candidates, CANDIDATES, (rollout) => needsJudge(verification, rollout))
}

function hasSteps({ steps }: Rollout): boolean {
  return steps.length > 0
}

async function* makeSiblingPairs(pairing: Pairing, rollouts: readonly Rollout[]): Making {
  const judged = yield* judgeRollouts(pairing, rollouts, TO_JUDGE, () => true)
  return judged && siblingPairs(judged, pairing.settings.min_margin, madeBy(pairing), pairing.reasons)
}

async function* makeSolutionPairs(pairing: Pairing, rollouts: readonly Rollout[]): Making {
  const judged = yield* judgeRollouts(pairing, rollouts, TO_JUDGE, () => true)
  return judged && solutionPairs(judged, pairing.settings.min_margin, madeBy(pairing), pairing.reasons)
}

async function* makeCutPairs(pairing: Pairing, rollouts: readonly Rollout[]): Making {
  const { settings, reasons } = pairing
  const isJudged = verificationOf(pairing) !== 'answer'
  const isWanted = (rollout: Rollout): boolean => isJudged && endsRight(rollout) === true
  const judged = yield* judgeRollouts(pairing, rollouts, TO_JUDGE, isWanted)
  if (judged === undefined) return undefined
  const cuts = cutSolutions(judged, isJudged, settings.seed, reasons)
  const wrong = yield* goWrong(pairing, cuts)
  if (wrong === undefined) return undefined
  const others = yield* judgeRollouts(pairing, [...new Set(wrong.values())], CANDIDATES, () => isJudged)
  if (others === undefined) return undefined
  const byId = new Map(others.map((other) => [other.rollout.id, other]))
  const found = [...wrong].flatMap(([cut, { id }]) => {
    const other = byId.get(id)
    return other === undefined ? [] : [[cut, other] as const]
  })
  return cutPairs(cuts, new Map(found), { ...madeBy(pairing), isJudged }, reasons)
}

/** The first continuation of each cut that ends wrong. One more of each is sampled until there is one. */
async function* goWrong(
  pairing: Pairing,
  cuts: readonly Cut[],
): AsyncGenerator<StageEvent, Map<Cut, Rollout> | undefined> {
  const { temperature = HOT, num_resamples } = pairing.settings
  const heat = { perLine: HEAT_PER_LINE, most: Math.max(HOTTEST, temperature) }
  const wrong = new Map<Cut, Rollout>()
  for (let samples = 1; samples <= num_resamples; samples++) {
    const open = cuts.filter((cut) => !wrong.has(cut))
    const continued = yield* continueFrom(
      pairing,
      open.map(({ place }) => place),
      samples,
      { temperature, heat },
    )
    if (continued === undefined) return undefined
    for (const cut of open) {
      const found = continued.get(placeKey(cut.place))?.find(endsWrong)
      if (found !== undefined) wrong.set(cut, found)
    }
  }
  return wrong
}
