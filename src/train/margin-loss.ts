/**
 * @file Losses that follow from Δ, how much more the policy prefers the chosen side than the reference does. Formulas are
 * those of TRL's DPOTrainer 1.16 where it has the loss; docs/losses.md has them side by side.
 */

import { bell, type Curve, logistic, logSigmoid, sigmoid } from './curve.ts'
import { doubtOf, type Loss, type LossOptions, lossOf, type PairLogps, ratiosOf, scoresOf } from './loss.ts'

/** A loss that follows from z = βΔ. */
function ofMargin(curve: (z: number, options: LossOptions, pair: PairLogps) => Curve): Loss {
  return (pair, options) => {
    const { chosen, rejected } = scoresOf(pair, options.divergence)
    const { value, slope } = curve(options.beta * (chosen.value - rejected.value), options, pair)
    return lossOf(value, options.beta * slope * chosen.slope, -options.beta * slope * rejected.slope)
  }
}

/**
 * DPO (Rafailov et al. 2023, equation 7); with ε > 0 cDPO (Mitchell 2023). On the tokens of one step this is Step-DPO
 * (Lai et al. 2024, equation 2).
 */
export const sigmoidLoss = ofMargin((z, options, pair) => logistic(z, doubtOf(pair, options)))

/** [−(1 − ε) log σ(z) + ε log σ(−z)] / (1 − 2ε): unbiased under flipped labels (Chowdhury et al. 2024). */
export const robustLoss = ofMargin((z, { labelSmoothing: epsilon }) => ({
  value: (epsilon * logSigmoid(-z) - (1 - epsilon) * logSigmoid(z)) / (1 - 2 * epsilon),
  slope: -((1 - epsilon) * sigmoid(-z) + epsilon * sigmoid(z)) / (1 - 2 * epsilon),
}))

/** max(0, 1 − z): SLiC's (Zhao et al. 2023) on DPO's margin. */
export const hingeLoss = ofMargin((z) => ({ value: Math.max(0, 1 - z), slope: z < 1 ? -1 : 0 }))

/** KL of (σ(z), σ(−z)) from (1 − ε, ε), which ε = 0 makes infinite. EXO (Ji et al. 2024, equation 16). */
export const exoLoss = ofMargin((z, { labelSmoothing: epsilon }) => {
  const chosen = logSigmoid(z) - Math.log1p(-epsilon)
  const rejected = logSigmoid(-z) - Math.log(epsilon)
  return {
    value: sigmoid(z) * chosen + sigmoid(-z) * rejected,
    slope: bell(z) * (chosen - rejected),
  }
})

/** −(1 − m) log σ(z) + m e^−z with m = σ(z / τ), τ ≤ 1. DiscoPOP (Lu et al. 2024, equation 5). */
export const discopopLoss = ofMargin((z, { discopopTau }) => {
  const scaled = z / discopopTau
  const [mixed, rest] = [sigmoid(scaled), sigmoid(-scaled)]
  // m e^−z as one power: far below 0 it vanishes, although e^−z alone is infinite.
  const exponential = Math.exp(logSigmoid(scaled) - z)
  return {
    value: exponential - rest * logSigmoid(z),
    slope: (rest / discopopTau) * (exponential + mixed * logSigmoid(z)) - exponential - rest * sigmoid(-z),
  }
})

/** −log σ(z − α · gap): DPO with an offset (Amini et al. 2024), here the gap between the judge's scores. */
export const odpoLoss = ofMargin((z, { odpoAlpha }, { scoreGap }) => logistic(z - odpoAlpha * scoreGap))

/** A loss that follows from the difference of scores by token. */
function ofTokenMargin(curve: (margin: number, beta: number) => Curve): Loss {
  return (pair, { beta, divergence }) => {
    const { chosen, rejected } = scoresOf(pair, divergence)
    const { value, slope } = curve(chosen.value / pair.chosenTokens - rejected.value / pair.rejectedTokens, beta)
    return lossOf(value, (slope * chosen.slope) / pair.chosenTokens, (-slope * rejected.slope) / pair.rejectedTokens)
  }
}

/** (Δ − 1 / 2β)² with log ratios by token. IPO (Azar et al. 2023, equation 17) as its authors told TRL they compute it. */
export const ipoLoss = ofTokenMargin((margin, beta) => {
  const error = margin - 1 / (2 * beta)
  return { value: error ** 2, slope: 2 * error }
})

/** (Δ − 1 / 2β)² with summed log ratios: IPO as its paper writes it and OpenRLHF computes it. */
export const ipoSumLoss: Loss = (pair, options) => ipoLoss({ ...pair, chosenTokens: 1, rejectedTokens: 1 }, options)

/** −log σ(βΔ) with log ratios by token, as TRL has it. */
export const sigmoidNormLoss = ofTokenMargin((margin, beta) => {
  const { value, slope } = logistic(beta * margin)
  return { value, slope: beta * slope }
})

/** DPO's and α times the mean −log p of the chosen side by token: RPO (Pang et al. 2024). */
export const rpoLoss: Loss = (pair, options) => {
  const { value, dChosen, dRejected } = sigmoidLoss(pair, options)
  const weight = options.rpoAlpha / pair.chosenTokens
  return lossOf(value - weight * pair.chosen, dChosen - weight, dRejected)
}

/** How much less probable than under the reference the chosen side has become: max(0, −lr_w). */
function lossOfChosen(ratio: number): Curve {
  return ratio < 0 ? { value: -ratio, slope: -1 } : { value: 0, slope: 0 }
}

/** −log σ(β(Δ − λ max(0, −lr_w))): DPO-Positive (Pal et al. 2024). */
export const dpopLoss: Loss = (pair, { beta, dpopLambda }) => {
  const { chosen, rejected } = ratiosOf(pair)
  const lost = lossOfChosen(chosen)
  const { value, slope } = logistic(beta * (chosen - rejected - dpopLambda * lost.value))
  return lossOf(value, beta * slope * (1 - dpopLambda * lost.slope), -beta * slope)
}

/** −log σ(βΔ) + λ max(0, −lr_w): what mlx-lm-lora calls dpop, the penalty outside the sigmoid. */
export const dpopOutsideLoss: Loss = (pair, { beta, dpopLambda }) => {
  const { chosen, rejected } = ratiosOf(pair)
  const lost = lossOfChosen(chosen)
  const { value, slope } = logistic(beta * (chosen - rejected))
  return lossOf(value + dpopLambda * lost.value, beta * slope + dpopLambda * lost.slope, -beta * slope)
}
