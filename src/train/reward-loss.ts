/**
 * @file Losses that judge the log ratio of each side by itself. Formulas are those of TRL's DPOTrainer 1.16 where it has
 * the loss; docs/losses.md has them side by side.
 */

import type { WeightedPair } from './batch-loss.ts'
import { bell, logSigmoid, sigmoid } from './curve.ts'
import { REVERSE_KL } from './divergence.ts'
import { type Loss, type LossOptions, lossOf, ratiosOf, scoresOf } from './loss.ts'

/** The value and its derivatives by both rewards. */
type RewardCurve = (chosen: number, rejected: number, options: LossOptions) => readonly [number, number, number]

/** A loss that follows from β times the scores of both sides under a divergence. */
function ofScores(curve: RewardCurve): Loss {
  return (pair, options) => {
    const { beta, divergence } = options
    const { chosen, rejected } = scoresOf(pair, divergence)
    const [value, dChosen, dRejected] = curve(beta * chosen.value, beta * rejected.value, options)
    return lossOf(value, beta * dChosen * chosen.slope, beta * dRejected * rejected.slope)
  }
}

/** A loss that follows from the rewards of both sides, whatever the divergence. */
function ofRewards(curve: RewardCurve): Loss {
  const loss = ofScores(curve)
  return (pair, options) => loss(pair, { ...options, divergence: REVERSE_KL })
}

/** −log σ(r_w) − ½ log σ(−r_w) − ½ log σ(−r_l). NCA (Chen et al. 2024) of two completions. */
export const ncaLoss = ofScores((chosen, rejected) => [
  -logSigmoid(chosen) - 0.5 * logSigmoid(-chosen) - 0.5 * logSigmoid(-rejected),
  0.5 * sigmoid(chosen) - sigmoid(-chosen),
  0.5 * sigmoid(rejected),
])

/** −log σ(r_w − δ) − log σ(−(r_l − δ)): BCO (Jung et al. 2024). */
export const bcoShiftedLoss = ofScores((chosen, rejected, { rewardShift }) => [
  -logSigmoid(chosen - rewardShift) - logSigmoid(rewardShift - rejected),
  -sigmoid(rewardShift - chosen),
  sigmoid(rejected - rewardShift),
])

/** −log σ(r_w) − log σ(−r_l): BCO without its reward shift δ, as TRL has it. */
export const bcoLoss: Loss = (pair, options) => bcoShiftedLoss(pair, { ...options, rewardShift: 0 })

/** 1 − σ(r_w) + σ(r_l), for chosen sides better than what the policy writes. APO (D'Oosterlinck et al. 2024, equation 7). */
export const apoZeroLoss = ofRewards((chosen, rejected) => [
  sigmoid(-chosen) + sigmoid(rejected),
  -bell(chosen),
  bell(rejected),
])

/** σ(r_w) + 1 − σ(r_w − r_l), for chosen sides worse than what the policy writes. APO, equation 8. */
export const apoDownLoss = ofRewards((chosen, rejected) => [
  sigmoid(chosen) + sigmoid(rejected - chosen),
  bell(chosen) - bell(chosen - rejected),
  bell(chosen - rejected),
])

/** (lr_w − 1 / 2β)² + (lr_l + 1 / 2β)² of log ratios: SPPO (Wu et al. 2024, equation 4.7) where the chosen side always wins. */
export const sppoLoss: Loss = (pair, { beta, divergence }) => {
  const { chosen, rejected } = scoresOf(pair, divergence)
  const [chosenError, rejectedError] = [chosen.value - 1 / (2 * beta), rejected.value + 1 / (2 * beta)]
  return lossOf(
    chosenError ** 2 + rejectedError ** 2,
    2 * chosenError * chosen.slope,
    2 * rejectedError * rejected.slope,
  )
}

/** The mean over batches of the mean reward of their sides, and over how many: BCO's δ is the mean. */
export interface RewardMean {
  readonly mean: number
  readonly count: number
}

/** Before the first batch. */
export const NO_REWARDS: RewardMean = { mean: 0, count: 0 }

/** The mean over a batch and those before it: each counts once, whatever its size, as in older releases of TRL and ms-swift. */
export function nextRewardShift({ mean, count }: RewardMean, pairs: readonly WeightedPair[], beta: number): RewardMean {
  let [total, weights] = [0, 0]
  for (const pair of pairs) {
    const { chosen, rejected } = ratiosOf(pair)
    total += (pair.weight * beta * (chosen + rejected)) / 2
    weights += pair.weight
  }
  return { mean: mean + (total / weights - mean) / (count + 1), count: count + 1 }
}
