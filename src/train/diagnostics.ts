/**
 * @file What the rows of an update or an evaluation say beside the means of their pairs: by the position of steps in
 * their solutions, by length, by weight. docs/diagnostics.md has what the figures are for.
 */
import type { PackedRow } from '../batch/pack.ts'
import type { WeightedPair } from './batch-loss.ts'
import { type LengthMoments, lengthMoments } from './length.ts'
import { marginOf } from './loss.ts'
import { pairWeights, type ScoredRow, type Weights, weightsOf } from './scored.ts'

export interface DiagnosticsOptions {
  readonly beta: number
  readonly ldAlpha?: number | null
  /** Whether members are learned from in pairs; else each by itself. */
  readonly isPaired: boolean
  /** Whether rows know what the reference says. */
  readonly hasReference: boolean
}

export interface Diagnostics {
  /** `pairs` are those of the row, in its order. */
  add(scored: ScoredRow, pairs: readonly WeightedPair[]): void
  metrics(): Record<string, number>
  /** How the margins of all pairs go with the lengths of their sides. */
  readonly lengths: LengthMoments
}

/** Positions from here on are one. */
const LAST_POSITION = 9

/** `1` for the first step of a solution, …, `8`, `9+`. */
export function positionName(position: number): string {
  return position < LAST_POSITION ? String(position) : `${LAST_POSITION}+`
}

/** A continuation in the part that it has in the loss. */
interface Side {
  readonly continuation: number
  readonly role: 'chosen' | 'rejected'
  /** How often it counts. */
  readonly count: number
  readonly weights: Weights
}

function sidesOf(packed: PackedRow, { isPaired, ldAlpha = null }: DiagnosticsOptions): Side[] {
  if (isPaired) {
    return packed.pairs.flatMap((pair): Side[] => {
      const { chosen, rejected } = pairWeights(packed, pair, ldAlpha)
      return [
        { continuation: pair.chosen, role: 'chosen', count: pair.weight, weights: chosen },
        { continuation: pair.rejected, role: 'rejected', count: pair.weight, weights: rejected },
      ]
    })
  }
  return packed.sources.map(({ group, member }, continuation) => {
    const { rating = 0, count = 1 } = group.details?.[member] ?? {}
    const role = rating > 0 ? 'chosen' : 'rejected'
    return { continuation, role, count, weights: weightsOf(packed, continuation, role) }
  })
}

/** Where each step of a continuation begins and ends among its tokens, and which one of its solution it is. */
function stepsOf({ sources, continuations }: PackedRow, continuation: number) {
  const { group, member } = sources[continuation]
  const ends = group.details?.[member].stepEnds ?? [continuations[continuation].length]
  const before = group.stepsBefore ?? 0
  return ends.map((end, at) => ({ begin: at === 0 ? 0 : ends[at - 1], end, position: before + at + 1 }))
}

/** Means by name, of whatever was counted under it. */
function namedMeans() {
  const totals = new Map<string, { sum: number; weight: number }>()
  return {
    add: (name: string, sum: number, weight: number): void => {
      const total = totals.get(name) ?? { sum: 0, weight: 0 }
      totals.set(name, { sum: total.sum + sum, weight: total.weight + weight })
    },
    // In an order that does not depend on that of the rows.
    all: (): [string, number][] =>
      [...totals].map(([name, { sum, weight }]): [string, number] => [name, sum / weight]).sort(byName),
  }
}

function byName([a]: [string, number], [b]: [string, number]): number {
  return a < b ? -1 : 1
}

/** Kish's effective sample size (Σw)² / Σw² as a part of how many weights there are: 1 where all are alike. */
function effectiveShare() {
  let [count, sum, squares] = [0, 0, 0]
  return {
    add: (weight: number, times: number): void => {
      count += times
      sum += times * weight
      squares += times * weight * weight
    },
    share: (): number | undefined => (squares > 0 ? sum ** 2 / (count * squares) : undefined),
  }
}

/**
 * |x| − 1 + e^−|x| of a log ratio x: Schulman's k3 (2020, "Approximating KL divergence") of KL(π ‖ ρ) where the policy π
 * has raised the token, of KL(ρ ‖ π) where it has lowered it. To second order both are x² / 2. Tokens that neither of the
 * two has written bias any estimate; this one they cannot drown, as it grows with |x| and not with a ratio.
 */
function farness(x: number): number {
  return Math.abs(x) + Math.expm1(-Math.abs(x))
}

export function diagnostics(options: DiagnosticsOptions): Diagnostics {
  const { beta, hasReference } = options
  const means = namedMeans()
  const [pairShare, tokenShare] = [effectiveShare(), effectiveShare()]
  const lengths = lengthMoments()
  const addSide = (scored: ScoredRow, side: Side): void => {
    const { packed, policy, reference } = scored
    const { continuation, role, count, weights } = side
    const [own, known] = [policy[continuation], reference[continuation]]
    means.add(`lengths/${role}`, count * own.length, count)
    for (const weight of weights ?? []) tokenShare.add(weight, count)
    for (const { begin, end, position } of stepsOf(packed, continuation)) {
      let [ratio, weighed, far] = [0, 0, 0]
      for (let at = begin; at < end; at++) {
        const x = own[at] - known[at]
        ratio += x
        far += farness(x)
        weighed += (weights?.[at] ?? 1) * x
      }
      const [name, tokens] = [positionName(position), count * (end - begin)]
      means.add(`rewards/${role}/step_${name}`, count * beta * weighed, count)
      if (!hasReference) continue
      means.add('kl/token', count * far, tokens)
      means.add(`kl/step_${name}`, count * far, tokens)
      if (role === 'chosen') means.add('logps/displacement', -count * ratio, tokens)
    }
  }
  return {
    add: (scored, pairs) => {
      for (const side of sidesOf(scored.packed, options)) addSide(scored, side)
      for (const [at, pair] of pairs.entries()) {
        const { chosen, rejected } = scored.packed.pairs[at]
        const longer = scored.policy[chosen].length - scored.policy[rejected].length
        lengths.add(longer, marginOf(pair, beta), pair.weight)
        pairShare.add(pair.weight * pair.policyWeight, 1)
      }
    },
    metrics: () => {
      const [ess, tokenEss] = [pairShare.share(), tokenShare.share()]
      return {
        ...Object.fromEntries(means.all()),
        ...(ess !== undefined && { 'weights/ess': ess }),
        ...(tokenEss !== undefined && { 'weights/token_ess': tokenEss }),
      }
    },
    lengths: lengths.moments,
  }
}
