/** @file What was left out of a data set: how often, why, and where first. */
import type { InputPlace } from '../base/errors.ts'

const MAX_PLACES = 3

export interface Tally {
  readonly count: number
  /** The first few lines. */
  readonly places: readonly InputPlace[]
}

/** By reason. */
export type Tallies = Map<string, Tally>

/** Counts `count` more for a reason. */
export function tally(tallies: Tallies, reason: string, place: InputPlace, count = 1): void {
  const known = tallies.get(reason) ?? { count: 0, places: [] }
  const isListed = known.places.length === MAX_PLACES || known.places.at(-1)?.line === place.line
  tallies.set(reason, { count: known.count + count, places: isListed ? known.places : [...known.places, place] })
}
