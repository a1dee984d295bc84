/**
 * @file Preference losses on summed log-probabilities: value and gradient of one pair. Knows nothing of tokens or models.
 * Formulas are those of TRL's DPOTrainer 1.16 where it has the loss; docs/losses.md has them side by side.
 */

/** Summed log-probabilities of a pair's two sides under the policy and the reference, and how many tokens they have. */
export interface PairLogps {
  readonly chosen: number
  readonly rejected: number
  readonly referenceChosen: number
  readonly referenceRejected: number
  readonly chosenTokens: number
  readonly rejectedTokens: number
  /** The mean of `chosenTokens` over the pairs that the loss is a mean over. */
  readonly meanChosenTokens: number
}

export interface LossOptions {
  readonly beta: number
  /** How likely the labels of a pair are the wrong way round: ε. */
  readonly labelSmoothing: number
}

/** A loss with its derivatives by the policy's two log-probabilities. */
export interface PairLoss {
  readonly value: number
  readonly dChosen: number
  readonly dRejected: number
}

type Loss = (pair: PairLogps, options: LossOptions) => PairLoss

/** log σ(z), exact far from 0. */
function logSigmoid(z: number): number {
  return Math.min(z, 0) - Math.log1p(Math.exp(-Math.abs(z)))
}

function sigmoid(z: number): number {
  return z >= 0 ? 1 / (1 + Math.exp(-z)) : Math.exp(z) / (1 + Math.exp(z))
}

/** dσ(z) / dz. */
function bell(z: number): number {
  return sigmoid(z) * sigmoid(-z)
}

/** β times the margin of the log ratios: βΔ. */
export function marginOf(pair: PairLogps, beta: number): number {
  const { chosen, rejected } = ratiosOf(pair)
  return beta * (chosen - rejected)
}

/** Log ratios of policy and reference: Δ is their difference. */
function ratiosOf(pair: PairLogps): { readonly chosen: number; readonly rejected: number } {
  return { chosen: pair.chosen - pair.referenceChosen, rejected: pair.rejected - pair.referenceRejected }
}

/** A function of one number at a point: its value and its derivative. */
interface Curve {
  readonly value: number
  readonly slope: number
}

/** A loss that follows from z = βΔ alone. */
function ofMargin(curve: (z: number, epsilon: number) => Curve): Loss {
  return (pair, { beta, labelSmoothing }) => {
    const { value, slope } = curve(marginOf(pair, beta), labelSmoothing)
    return { value, dChosen: beta * slope, dRejected: -beta * slope }
  }
}

/** −(1 − ε) log σ(z) − ε log σ(−z). */
export function logistic(z: number, epsilon: number): Curve {
  return {
    value: -(1 - epsilon) * logSigmoid(z) - epsilon * logSigmoid(-z),
    slope: sigmoid(z) - 1 + epsilon,
  }
}

/**
 * DPO (Rafailov et al. 2023, equation 7); with ε > 0 cDPO (Mitchell 2023). On the tokens of one step this is Step-DPO
 * (Lai et al. 2024, equation 2).
 */
const sigmoidLoss = ofMargin(logistic)

/** [−(1 − ε) log σ(z) + ε log σ(−z)] / (1 − 2ε): unbiased under flipped labels (Chowdhury et al. 2024). */
const robustLoss = ofMargin((z, epsilon) => ({
  value: (epsilon * logSigmoid(-z) - (1 - epsilon) * logSigmoid(z)) / (1 - 2 * epsilon),
  slope: -((1 - epsilon) * sigmoid(-z) + epsilon * sigmoid(z)) / (1 - 2 * epsilon),
}))

/** max(0, 1 − z): SLiC's (Zhao et al. 2023) on DPO's margin. */
const hingeLoss = ofMargin((z) => ({ value: Math.max(0, 1 - z), slope: z < 1 ? -1 : 0 }))

/** KL of (σ(z), σ(−z)) from (1 − ε, ε), which ε = 0 makes infinite. EXO (Ji et al. 2024, equation 16). */
const exoLoss = ofMargin((z, epsilon) => {
  const chosen = logSigmoid(z) - Math.log1p(-epsilon)
  const rejected = logSigmoid(-z) - Math.log(epsilon)
  return {
    value: sigmoid(z) * chosen + sigmoid(-z) * rejected,
    slope: bell(z) * (chosen - rejected),
  }
})

/** TRL's default of `discopop_tau`. */
const DISCOPOP_TEMPERATURE = 0.05

/** −(1 − m) log σ(z) + m e^−z with m = σ(z / τ), τ = 0.05. DiscoPOP (Lu et al. 2024, equation 5). */
const discopopLoss = ofMargin((z) => {
  const scaled = z / DISCOPOP_TEMPERATURE
  const [mixed, rest] = [sigmoid(scaled), sigmoid(-scaled)]
  // m e^−z as one power: far below 0 it vanishes, although e^−z alone is infinite.
  const exponential = Math.exp(logSigmoid(scaled) - z)
  return {
    value: exponential - rest * logSigmoid(z),
    slope: (rest / DISCOPOP_TEMPERATURE) * (exponential + mixed * logSigmoid(z)) - exponential - rest * sigmoid(-z),
  }
})

/** (Δ − 1 / 2β)² with log ratios by token. IPO (Azar et al. 2023, equation 17) as its authors told TRL they compute it. */
const ipoLoss: Loss = (pair, { beta }) => {
  const { chosen, rejected } = ratiosOf(pair)
  const error = chosen / pair.chosenTokens - rejected / pair.rejectedTokens - 1 / (2 * beta)
  return {
    value: error ** 2,
    dChosen: (2 * error) / pair.chosenTokens,
    dRejected: (-2 * error) / pair.rejectedTokens,
  }
}

/** (Δ − 1 / 2β)² with summed log ratios: IPO as its paper writes it and OpenRLHF computes it. */
const ipoSumLoss: Loss = (pair, options) => ipoLoss({ ...pair, chosenTokens: 1, rejectedTokens: 1 }, options)

/** −log σ(βΔ) with log ratios by token, as TRL has it. */
const sigmoidNormLoss: Loss = (pair, { beta }) => {
  const { chosen, rejected } = ratiosOf(pair)
  const z = beta * (chosen / pair.chosenTokens - rejected / pair.rejectedTokens)
  const slope = -beta * sigmoid(-z)
  return { value: -logSigmoid(z), dChosen: slope / pair.chosenTokens, dRejected: -slope / pair.rejectedTokens }
}

/** A loss that follows from the rewards of both sides. `curve` gives its value and its derivatives by them. */
function ofRewards(curve: (chosen: number, rejected: number) => PairLoss): Loss {
  return (pair, { beta }) => {
    const { chosen, rejected } = ratiosOf(pair)
    const { value, dChosen, dRejected } = curve(beta * chosen, beta * rejected)
    return { value, dChosen: beta * dChosen, dRejected: beta * dRejected }
  }
}

/** −log σ(r_w) − ½ log σ(−r_w) − ½ log σ(−r_l). NCA (Chen et al. 2024) of two completions. */
const ncaLoss = ofRewards((chosen, rejected) => ({
  value: -logSigmoid(chosen) - 0.5 * logSigmoid(-chosen) - 0.5 * logSigmoid(-rejected),
  dChosen: 0.5 * sigmoid(chosen) - sigmoid(-chosen),
  dRejected: 0.5 * sigmoid(rejected),
}))

/** −log σ(r_w) − log σ(−r_l): BCO (Jung et al. 2024) without its reward shift δ, as TRL has it. */
const bcoLoss = ofRewards((chosen, rejected) => ({
  value: -logSigmoid(chosen) - logSigmoid(-rejected),
  dChosen: -sigmoid(-chosen),
  dRejected: sigmoid(rejected),
}))

/** 1 − σ(r_w) + σ(r_l), for chosen sides better than what the policy writes. APO (D'Oosterlinck et al. 2024, equation 7). */
const apoZeroLoss = ofRewards((chosen, rejected) => ({
  value: sigmoid(-chosen) + sigmoid(rejected),
  dChosen: -bell(chosen),
  dRejected: bell(rejected),
}))

/** σ(r_w) + 1 − σ(r_w − r_l), for chosen sides worse than what the policy writes. APO, equation 8. */
const apoDownLoss = ofRewards((chosen, rejected) => ({
  value: sigmoid(chosen) + sigmoid(rejected - chosen),
  dChosen: bell(chosen) - bell(chosen - rejected),
  dRejected: bell(chosen - rejected),
}))

/** (lr_w − 1 / 2β)² + (lr_l + 1 / 2β)² of log ratios: SPPO (Wu et al. 2024, equation 4.7) where the chosen side always wins. */
const sppoLoss: Loss = (pair, { beta }) => {
  const { chosen, rejected } = ratiosOf(pair)
  const [chosenError, rejectedError] = [chosen - 1 / (2 * beta), rejected + 1 / (2 * beta)]
  return {
    value: chosenError ** 2 + rejectedError ** 2,
    dChosen: 2 * chosenError,
    dRejected: 2 * rejectedError,
  }
}

/** −log p by token of all chosen sides together: over the mean number of tokens, its mean over pairs is that over tokens. */
const sftLoss: Loss = ({ chosen, meanChosenTokens }) => ({
  value: -chosen / meanChosenTokens,
  dChosen: -1 / meanChosenTokens,
  dRejected: 0,
})

export const losses = {
  sigmoid: sigmoidLoss,
  hinge: hingeLoss,
  ipo: ipoLoss,
  ipo_sum: ipoSumLoss,
  robust: robustLoss,
  exo_pair: exoLoss,
  nca_pair: ncaLoss,
  bco_pair: bcoLoss,
  sppo_hard: sppoLoss,
  apo_zero: apoZeroLoss,
  apo_down: apoDownLoss,
  discopop: discopopLoss,
  sigmoid_norm: sigmoidNormLoss,
  sft: sftLoss,
} satisfies Readonly<Record<string, Loss>>
