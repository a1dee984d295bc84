/** @file How far the logits of two models on the same tokens are apart. */
import type { FloatArray } from '../engine/backend.ts'

export interface LogitChange {
  readonly tokens: number
  readonly maxDifference: number
  readonly meanDifference: number
  /** KL(first ‖ second) of the next token, in nats: mean and largest over tokens. */
  readonly kl: number
  readonly maxKl: number
  /** Tokens after which another token is the most likely one. */
  readonly topChanges: number
}

/** Both [tokens, vocabulary]. */
export function compareLogits(first: FloatArray, second: FloatArray, vocabularySize: number): LogitChange {
  const tokens = first.length / vocabularySize
  let [maxDifference, sum, kl, maxKl, topChanges] = [0, 0, 0, 0, 0]
  for (let start = 0; start < first.length; start += vocabularySize) {
    const [p, q] = [first, second].map((logits) => logits.subarray(start, start + vocabularySize))
    const [normP, normQ] = [logSumExp(p), logSumExp(q)]
    let divergence = 0
    let [topP, topQ] = [0, 0]
    for (let at = 0; at < vocabularySize; at++) {
      const difference = Math.abs(p[at] - q[at])
      // Written so that a NaN counts.
      if (!(difference <= maxDifference)) maxDifference = difference
      sum += difference
      const logP = p[at] - normP
      divergence += Math.exp(logP) * (logP - (q[at] - normQ))
      if (p[at] > p[topP]) topP = at
      if (q[at] > q[topQ]) topQ = at
    }
    kl += divergence
    maxKl = Math.max(maxKl, divergence)
    if (topP !== topQ) topChanges++
  }
  return { tokens, maxDifference, meanDifference: sum / first.length, kl: kl / tokens, maxKl, topChanges }
}

function logSumExp(logits: FloatArray): number {
  let largest = Number.NEGATIVE_INFINITY
  for (const logit of logits) largest = Math.max(largest, logit)
  let sum = 0
  for (const logit of logits) sum += Math.exp(logit - largest)
  return largest + Math.log(sum)
}
