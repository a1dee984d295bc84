/** @file Preference losses on summed log-probabilities: value and gradient of one pair. Knows nothing of tokens or models. */

/** Summed log-probabilities of a pair's two sides under the policy and the reference. */
export interface PairLogps {
  readonly chosen: number
  readonly rejected: number
  readonly referenceChosen: number
  readonly referenceRejected: number
}

export interface LossOptions {
  readonly beta: number
  /** How likely the labels of a pair are the wrong way round. */
  readonly labelSmoothing: number
}

export interface PairLoss {
  readonly value: number
  readonly dChosen: number
  readonly dRejected: number
}

type Loss = (pair: PairLogps, options: LossOptions) => PairLoss

/** log σ(z), exact far from 0. */
export function logSigmoid(z: number): number {
  return Math.min(z, 0) - Math.log1p(Math.exp(-Math.abs(z)))
}

function sigmoid(z: number): number {
  return z >= 0 ? 1 / (1 + Math.exp(-z)) : Math.exp(z) / (1 + Math.exp(z))
}

/** β times the margin of the log ratios. */
export function marginOf(pair: PairLogps, beta: number): number {
  return beta * (pair.chosen - pair.referenceChosen - (pair.rejected - pair.referenceRejected))
}

/**
 * −(1 − ε) log σ(βΔ) − ε log σ(−βΔ), with d / d(βΔ) = σ(βΔ) − 1 + ε. DPO (Rafailov et al. 2023, equation 7); with
 * ε > 0 cDPO (Mitchell 2023). On the tokens of one step this is Step-DPO (Lai et al. 2024, equation 2).
 */
const sigmoidLoss: Loss = (pair, { beta, labelSmoothing }) => {
  const z = marginOf(pair, beta)
  const slope = beta * (sigmoid(z) - 1 + labelSmoothing)
  const value = -(1 - labelSmoothing) * logSigmoid(z) - labelSmoothing * logSigmoid(-z)
  return { value, dChosen: slope, dRejected: -slope }
}

export const losses = { sigmoid: sigmoidLoss } satisfies Readonly<Record<string, Loss>>

export type LossType = keyof typeof losses
