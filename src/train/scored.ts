/** @file A row with the log-probabilities of its continuations, token by token, and what a side of it sums up to. */
import type { PackedRow } from '../batch/pack.ts'
import type { GroupPair } from '../pair/pairs.ts'

/** One number for each token of each continuation. */
export type ByToken = readonly ArrayLike<number>[]

export interface ScoredRow {
  readonly packed: PackedRow
  readonly policy: ByToken
  /** Zeros where no loss asks the reference. */
  readonly reference: ByToken
  /** KL(reference ‖ policy) of the distribution each token was drawn from; undefined where no loss asks. */
  readonly kl?: ByToken
  /** log Σ_v π(v)² of the same; undefined without WPO. */
  readonly collision?: ByToken
}

/** The tokens of continuations, of what is known of a row's scored tokens. */
export function byToken({ continuations }: PackedRow, scored: ArrayLike<number>): ByToken {
  return continuations.map((tokens) => Array.from(tokens, (at) => scored[at]))
}

/** How much each token counts; undefined: all once. */
export type Weights = readonly number[] | undefined

type Role = 'chosen' | 'rejected'

/** What the objective and the row's maker say of the tokens of a continuation. */
export function weightsOf({ sources }: PackedRow, continuation: number, role: Role): Weights {
  const { group, member } = sources[continuation]
  return group.details?.[member].weights?.[role]
}

/** LD-DPO (Liu et al. 2024): tokens behind the length of the shorter side count `alpha` of what they would. */
function desensitise(weights: Weights, length: number, shared: number, alpha: number): Weights {
  if (length <= shared) return weights
  return Array.from({ length }, (_, at) => (weights?.[at] ?? 1) * (at < shared ? 1 : alpha))
}

/** The weights of both sides of a pair in its log ratios. */
export function pairWeights(
  packed: PackedRow,
  { chosen, rejected }: Pick<GroupPair, 'chosen' | 'rejected'>,
  ldAlpha: number | null,
): Readonly<Record<Role, Weights>> {
  const weights = {
    chosen: weightsOf(packed, chosen, 'chosen'),
    rejected: weightsOf(packed, rejected, 'rejected'),
  }
  if (ldAlpha === null) return weights
  const [w, l] = [packed.continuations[chosen].length, packed.continuations[rejected].length]
  const shared = Math.min(w, l)
  return {
    chosen: desensitise(weights.chosen, w, shared, ldAlpha),
    rejected: desensitise(weights.rejected, l, shared, ldAlpha),
  }
}

/** Σ of weight · value. */
export function weigh(values: ArrayLike<number>, weights: Weights): number {
  let total = 0
  for (let at = 0; at < values.length; at++) total += (weights?.[at] ?? 1) * values[at]
  return total
}

/** The tokens of a continuation: Σ of its weights. */
export function tokensOf(packed: PackedRow, continuation: number, role: Role): number {
  const weights = weightsOf(packed, continuation, role)
  return weights?.reduce((total, weight) => total + weight, 0) ?? packed.continuations[continuation].length
}

/** Adds slope · weight to the gradient of each token of a continuation. */
export function spread(slope: number, tokens: Int32Array, weights: Weights, into: Float64Array): void {
  for (let at = 0; at < tokens.length; at++) into[tokens[at]] += slope * (weights?.[at] ?? 1)
}
