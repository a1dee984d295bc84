/**
 * @file Losses that ask no reference: they follow from the policy's own log-probabilities. Formulas are those of TRL's
 * experimental trainers 1.16 where they have the loss; docs/losses.md has them side by side.
 */

import { boundedExpm1, type Curve, logistic, logOdds } from './curve.ts'
import { doubtOf, type Loss, type LossOptions, lossOf } from './loss.ts'

/** −log σ(z) with z = β(r_w − r_l) − γ of rewards that follow from mean log-probabilities by token. */
function ofMeans(reward: (mean: number, options: LossOptions) => Curve): Loss {
  return (pair, options) => {
    const { beta, gamma } = options
    const chosen = reward(pair.chosen / pair.chosenTokens, options)
    const rejected = reward(pair.rejected / pair.rejectedTokens, options)
    const { value, slope } = logistic(beta * (chosen.value - rejected.value) - gamma, doubtOf(pair, options))
    return lossOf(
      value,
      (beta * slope * chosen.slope) / pair.chosenTokens,
      (-beta * slope * rejected.slope) / pair.rejectedTokens,
    )
  }
}

/** SimPO (Meng et al. 2024): the reward is the mean itself. */
export const simpoLoss = ofMeans((mean) => ({ value: mean, slope: 1 }))

/** AlphaPO (Gupta et al. 2025): r = (1 − p^−α) / α with log p the mean, which at α = 0 is SimPO's. */
export const alphapoLoss = ofMeans((mean, { alphapoAlpha: alpha }) => {
  if (Math.abs(alpha) < 1e-12) return { value: mean, slope: 1 } // the limit
  const { value, slope } = boundedExpm1(-alpha * mean)
  return { value: -value / alpha, slope }
})

/** −log σ(β(log π_w − log π_l)) − α log π_w, both of sums. CPO (Xu et al. 2024). */
export const cpoLoss: Loss = (pair, options) => {
  const { beta, cpoAlpha } = options
  const { value, slope } = logistic(beta * (pair.chosen - pair.rejected), doubtOf(pair, options))
  return lossOf(value - cpoAlpha * pair.chosen, beta * slope - cpoAlpha, -beta * slope)
}

/**
 * −log p_w − β log σ(log odds of p_w − log odds of p_l), log p the mean log-probability of a token of the side. ORPO
 * (Hong et al. 2024).
 */
export const orpoLoss: Loss = (pair, { beta }) => {
  const mean = pair.chosen / pair.chosenTokens
  const [chosen, rejected] = [logOdds(mean), logOdds(pair.rejected / pair.rejectedTokens)]
  const { value, slope } = logistic(chosen.value - rejected.value)
  return lossOf(
    beta * value - mean,
    (beta * slope * chosen.slope - 1) / pair.chosenTokens,
    (-beta * slope * rejected.slope) / pair.rejectedTokens,
  )
}

/** −log p by token of all chosen sides together: over the mean number of tokens, its mean over pairs is that over tokens. */
export const sftLoss: Loss = ({ chosen, meanChosenTokens }) =>
  lossOf(-chosen / meanChosenTokens, -1 / meanChosenTokens, 0)
