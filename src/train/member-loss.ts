/**
 * @file Losses of single completions that are known to be good or bad, without a pair: KTO (Ethayarajh et al. 2024) and
 * APO zero without pairs (D'Oosterlinck et al. 2024), as in TRL's KTOTrainer 1.16.
 */

import { bell, sigmoid } from './curve.ts'
import type { LossOptions } from './loss.ts'

export type MemberLossType = 'kto' | 'apo_zero_unpaired'

/** Summed log-probabilities of a completion under policy and reference, and which way they should go. */
export interface MemberLogps {
  readonly logp: number
  readonly reference: number
  readonly desirable: boolean
}

export interface MemberLossOptions extends Pick<LossOptions, 'beta' | 'desirableWeight' | 'undesirableWeight'> {
  /** KTO's z₀: what log ratio is no gain. */
  readonly klBaseline: number
}

export interface MemberLoss {
  readonly value: number
  readonly dLogp: number
}

/**
 * λ_D (1 − σ(β(lr − z₀))) where desirable, λ_U (1 − σ(β(z₀ − lr))) where not; `apo_zero_unpaired` takes z₀ = 0. Nothing
 * is learned from z₀. Step-KTO (Lin et al. 2025) is the same of a whole solution, and of its first h steps for each h.
 */
export function memberLoss(
  type: MemberLossType,
  { logp, reference, desirable }: MemberLogps,
  { beta, desirableWeight, undesirableWeight, klBaseline }: MemberLossOptions,
): MemberLoss {
  const gain = beta * (logp - reference - (type === 'kto' ? klBaseline : 0))
  const [sign, weight] = desirable ? [1, desirableWeight] : [-1, undesirableWeight]
  return { value: weight * sigmoid(-sign * gain), dLogp: -sign * weight * beta * bell(gain) }
}

/** KTO's z₀: the mean log ratio of completions after prompts that are not theirs, at least 0; 0 of none. */
export function klBaseline(mismatchedRatios: readonly number[]): number {
  if (mismatchedRatios.length === 0) return 0
  return Math.max(0, mismatchedRatios.reduce((total, ratio) => total + ratio, 0) / mismatchedRatios.length)
}
