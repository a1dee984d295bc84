/** @file Losses that heed how far the policy's distribution of every token is from the reference's: TDPO (Zeng et al. 2024). */

import { logistic } from './curve.ts'
import { type Loss, marginOf } from './loss.ts'

/** −log σ(β(Δ − (K_l − K_w))), K a side's Σ KL(reference ‖ policy): TDPO₁. */
export const tdpo1Loss: Loss = (pair, { beta }) => {
  const { value, slope } = logistic(marginOf(pair, beta) - beta * (pair.rejectedKl - pair.chosenKl))
  const d = beta * slope
  return { value, dChosen: d, dRejected: -d, dChosenKl: d, dRejectedKl: -d }
}

/** −log σ(β(Δ − α(K_l − sg K_w))), where nothing is learned from K_w: TDPO₂. */
export const tdpo2Loss: Loss = (pair, { beta, tdpoAlpha }) => {
  const { value, slope } = logistic(marginOf(pair, beta) - beta * tdpoAlpha * (pair.rejectedKl - pair.chosenKl))
  const d = beta * slope
  return { value, dChosen: d, dRejected: -d, dChosenKl: 0, dRejectedKl: -tdpoAlpha * d }
}
