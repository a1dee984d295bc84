/**
 * @file Where a wrong solution goes wrong, by Monte Carlo: the value of a prefix is the share of its continuations that
 * reach the right answer (Math-Shepherd), and the error is the step at which it falls to 0. Knows no policy.
 */
import type { JudgedRollout, Location } from './judged.ts'

/**
 * A binary search, as OmegaPRM's (Luo et al. 2024, arXiv 2406.06592), for the number of steps k after which the value of
 * a wrong solution is 0. At its end the value of k steps is 0 (that of all is known to be) and that of k − 1 is not, or
 * k is 0. Where values do not rise again after a 0, that is the only such place; else it is one of them.
 */
export interface FallSearch {
  readonly low: number
  readonly high: number
  /** What was valued, by number of steps. */
  readonly values: ReadonlyMap<number, number>
}

export function beginSearch(steps: number): FallSearch {
  return { low: 0, high: steps, values: new Map() }
}

/** The number of steps whose value is needed next; undefined where the search is over, and `low` what was found. */
export function wantedSteps({ low, high }: FallSearch): number | undefined {
  return low < high ? Math.floor((low + high) / 2) : undefined
}

/** The search after the value of what it wanted. */
export function giveValue(search: FallSearch, value: number): FallSearch {
  const steps = wantedSteps(search)
  if (steps === undefined) throw new Error('the search is over')
  const values = new Map([...search.values, [steps, value]])
  return value > 0 ? { ...search, low: steps + 1, values } : { ...search, high: steps, values }
}

/** The step at which the value falls to 0. */
export function locateFall({ low, values }: FallSearch): Location {
  if (low === 0) return { none: 'no continuation from the beginning reaches the answer' }
  const share = `${(100 * (values.get(low - 1) ?? 0)).toFixed(0)} %`
  return { step: low - 1, why: `${share} of the continuations reach the answer before this step, none behind it` }
}

/** What judge and Monte Carlo agree on. */
export function agreedLocation(judge: Location, monteCarlo: Location): Location {
  if ('none' in judge) return judge
  if ('none' in monteCarlo) return monteCarlo
  if (judge.step === monteCarlo.step) return judge
  return { none: 'the judge and Monte Carlo do not agree on the first wrong step' }
}

/** A row of TRL's stepwise supervision, with soft labels. */
export interface ValueRow {
  readonly prompt: string
  readonly completions: readonly string[]
  readonly labels: readonly number[]
}

/**
 * The values of a wrong solution's prefixes: each completion is what stands between two prefixes that were valued, one
 * step or several, with the value of the latter. The last one ends the solution, whose value is 0.
 */
export function valueRow({ rollout, spans }: JudgedRollout, values: FallSearch['values']): ValueRow {
  const valued = [...values].filter(([steps]) => steps > 0).sort(([a], [b]) => a - b)
  const ends = valued.map(([steps, label]) => ({ end: spans[steps].prefix.length, label }))
  const pieces = [...ends, { end: rollout.completion.length, label: 0 }].map(({ end, label }, at) => ({
    text: rollout.completion.slice(at === 0 ? 0 : ends[at - 1].end, end).trim(),
    label,
  }))
  const written = pieces.filter(({ text }) => text !== '')
  return {
    prompt: rollout.problem,
    completions: written.map(({ text }) => text),
    labels: written.map(({ label }) => label),
  }
}
