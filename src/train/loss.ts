/** @file What a preference loss is: what it follows from, what it can be told, and what it gives. Holds no loss. */
import type { Curve } from './curve.ts'
import { type Divergence, scoreOf } from './divergence.ts'

/**
 * What the loss of a pair follows from. Log-probabilities are sums over the tokens of a side; where tokens have weights,
 * weighted sums, and `…Tokens` the sums of weights.
 */
export interface PairLogps {
  readonly chosen: number
  readonly rejected: number
  readonly referenceChosen: number
  readonly referenceRejected: number
  readonly chosenTokens: number
  readonly rejectedTokens: number
  /** The mean of `chosenTokens` over the pairs that the loss is a mean over. */
  readonly meanChosenTokens: number
  /** Σ over the tokens of the side of KL(reference ‖ policy); 0 where no loss asks for it. */
  readonly chosenKl: number
  readonly rejectedKl: number
  /** The judge's score of the chosen side less that of the rejected one, in [−1, 1]. */
  readonly scoreGap: number
  /** How likely the label is the wrong way round, instead of `labelSmoothing`. */
  readonly doubt?: number
  /** WPO's weight of the pair: its losses count so much. A constant for the gradient; 1 without WPO. */
  readonly policyWeight: number
}

/** What losses can be told. Each heeds some of it, as the table in `objective.ts` says. */
export interface LossOptions {
  readonly beta: number
  /** How likely the labels of a pair are the wrong way round: ε. */
  readonly labelSmoothing: number
  readonly divergence: Divergence
  readonly discopopTau: number
  /** SimPO's margin γ. */
  readonly gamma: number
  /** The shape α of AlphaPO's reward; 0: SimPO's. */
  readonly alphapoAlpha: number
  /** Weights of the log-likelihood of chosen sides beside the preference. */
  readonly cpoAlpha: number
  readonly rpoAlpha: number
  /** The weight λ of what chosen sides have lost. */
  readonly dpopLambda: number
  /** How much of the margin a gap of 1 between scores asks for. */
  readonly odpoAlpha: number
  /** How much of the difference of KLs TDPO₂ takes off. */
  readonly tdpoAlpha: number
  /** BCO's δ: what of a reward is common to both sides. */
  readonly rewardShift: number
  /** KTO's λ_D and λ_U. */
  readonly desirableWeight: number
  readonly undesirableWeight: number
}

/** A loss with its derivatives by what it follows from of the policy. */
export interface PairLoss {
  readonly value: number
  readonly dChosen: number
  readonly dRejected: number
  readonly dChosenKl: number
  readonly dRejectedKl: number
}

export type Loss = (pair: PairLogps, options: LossOptions) => PairLoss

/** A loss that follows from log-probabilities alone. */
export function lossOf(value: number, dChosen: number, dRejected: number): PairLoss {
  return { value, dChosen, dRejected, dChosenKl: 0, dRejectedKl: 0 }
}

/** Something that each side of a pair has one of. */
export interface Sides<T> {
  readonly chosen: T
  readonly rejected: T
}

/** Log ratios of policy and reference: Δ is their difference. */
export function ratiosOf(pair: PairLogps): Sides<number> {
  return { chosen: pair.chosen - pair.referenceChosen, rejected: pair.rejected - pair.referenceRejected }
}

/** What the log ratios count for under a divergence. */
export function scoresOf(pair: PairLogps, divergence: Divergence): Sides<Curve> {
  const { chosen, rejected } = ratiosOf(pair)
  return { chosen: scoreOf(chosen, divergence), rejected: scoreOf(rejected, divergence) }
}

/** β times the margin of the log ratios: βΔ. */
export function marginOf(pair: PairLogps, beta: number): number {
  const { chosen, rejected } = ratiosOf(pair)
  return beta * (chosen - rejected)
}

/** How likely the label of this pair is the wrong way round. */
export function doubtOf(pair: PairLogps, { labelSmoothing }: LossOptions): number {
  return pair.doubt ?? labelSmoothing
}
