/** @file A held-out part of a data set: whole problems, chosen by hash. */
import { sha256 } from '../base/hash.ts'
import type { Group } from '../data/records.ts'

export interface Split {
  readonly train: Group[]
  readonly heldOut: Group[]
}

/**
 * Holds out `fraction` of the problems (rounded; where it is not 0, at least one on each side if there are two).
 * A problem's place in the order of drawing depends on the seed and its own text only, not on the file's order.
 */
export function splitByProblem(groups: readonly Group[], fraction: number, seed: number): Split {
  const problems = [...new Set(groups.map(({ problem }) => problem))]
  const drawn = problems
    .map((problem) => ({ problem, rank: sha256(JSON.stringify([seed, problem])) }))
    .sort((a, b) => (a.rank < b.rank ? -1 : 1))
  const wanted = Math.max(1, Math.round(fraction * problems.length))
  const count = fraction > 0 ? Math.min(wanted, problems.length - 1) : 0
  const heldOut = new Set(drawn.slice(0, Math.max(0, count)).map(({ problem }) => problem))
  return {
    train: groups.filter(({ problem }) => !heldOut.has(problem)),
    heldOut: groups.filter(({ problem }) => heldOut.has(problem)),
  }
}
