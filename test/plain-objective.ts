/** DPO's loss and nothing else, with the defaults of all that other losses heed: for tests that change one thing of it. */
import type { Objective } from '../src/train/objective.ts'

export const plainObjective: Objective = {
  terms: [{ type: 'sigmoid', weight: 1 }],
  beta: 0.1,
  labelSmoothing: 0,
  divergence: { type: 'reverse_kl', alpha: 0.5 },
  discopopTau: 0.05,
  gamma: 0.5,
  alphapoAlpha: 0.25,
  cpoAlpha: 1,
  rpoAlpha: 1,
  dpopLambda: 50,
  odpoAlpha: 1,
  tdpoAlpha: 0.5,
  rewardShift: 0,
  desirableWeight: 1,
  undesirableWeight: 1,
}
