/** @file First errors by Monte Carlo: the searches of all solutions advance together, so that batches are full. */
import { join } from 'node:path'
import { writeDurably } from '../base/files.ts'
import type { Rollout } from '../data/rollout.ts'
import type { StageEvent } from '../data/stage-events.ts'
import { endsRight, type JudgedRollout, type Location, locateError } from '../pair/judged.ts'
import { type PairPlace, placeKey, placeOf } from '../pair/make-pair.ts'
import {
  agreedLocation,
  beginSearch,
  type FallSearch,
  giveValue,
  locateFall,
  valueRow,
  wantedSteps,
} from '../pair/monte-carlo.ts'
import { continueFrom, type Pairing } from './pair-parts.ts'

/** Values of prefixes, as rows to train a process reward model on. */
export const VALUES = 'values.jsonl'

export type Locate = (solution: JudgedRollout) => Location

/** The first wrong step of each solution, by the settings' way. Undefined where the world's signal stopped it. */
export async function* locateErrors(
  pairing: Pairing,
  solutions: readonly JudgedRollout[],
): AsyncGenerator<StageEvent, Locate | undefined> {
  const { locate } = pairing.settings
  const byJudge: Locate = ({ verdicts }) => locateError(verdicts)
  if (locate === 'judge') return byJudge
  const isSearched = (solution: JudgedRollout): boolean =>
    flawOf(solution.rollout) === undefined && (locate === 'monte_carlo' || 'step' in byJudge(solution))
  const searched = solutions.filter(isSearched)
  const searches = yield* searchAll(pairing, searched)
  if (searches === undefined) return undefined
  const rows = searched.map((solution, at) => `${JSON.stringify(valueRow(solution, searches[at].values))}\n`)
  writeDurably(join(pairing.folder, VALUES), new Set(rows))
  const found = new Map(searched.map((solution, at) => [solution, locateFall(searches[at])]))
  const byValue: Locate = (solution) => found.get(solution) ?? { none: flawOf(solution.rollout) ?? 'nobody looked' }
  if (locate === 'monte_carlo') return byValue
  const agreed: Locate = (solution) => agreedLocation(byJudge(solution), byValue(solution))
  pairing.agreement = { agreed: searched.filter((solution) => 'step' in agreed(solution)).length, of: searched.length }
  return agreed
}

/** Why the value of a solution's last step is not known to be 0. */
function flawOf(rollout: Rollout): string | undefined {
  if (rollout.final_answer_correct === null) return 'the answer is not known'
  if (rollout.finish === 'length') return 'cut at max_new_tokens'
  return endsRight(rollout) ? 'the solution is right' : undefined
}

/** A search of each solution, at its end. */
async function* searchAll(
  pairing: Pairing,
  solutions: readonly JudgedRollout[],
): AsyncGenerator<StageEvent, FallSearch[] | undefined> {
  let searches = solutions.map(({ spans }) => beginSearch(spans.length))
  for (;;) {
    const places = searches.map((search, at) => placeWanted(search, solutions[at]))
    const open = places.filter((place) => place !== undefined)
    if (open.length === 0) return searches
    const continued = yield* continueFrom(pairing, open, pairing.settings.num_resamples)
    if (continued === undefined) return undefined
    searches = searches.map((search, at) => {
      const place = places[at]
      return place === undefined ? search : giveValue(search, shareRight(continued.get(placeKey(place)) ?? []))
    })
  }
}

function placeWanted(search: FallSearch, solution: JudgedRollout): PairPlace | undefined {
  const steps = wantedSteps(search)
  return steps === undefined ? undefined : placeOf(solution, steps)
}

function shareRight(continuations: readonly Rollout[]): number {
  return continuations.filter((rollout) => endsRight(rollout) === true).length / continuations.length
}
