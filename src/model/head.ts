/** @file The head: hidden states at the positions that predict a scored token → log-probabilities and their gradients. */
import { type Graph, makeGraph } from '../engine/backend.ts'
import { gradients } from '../engine/grad.ts'
import { exp, gather, input, largest, logSoftmax, matmul, mean, mul, pick, rmsNorm, sub, sum } from '../engine/ops.ts'
import type { Value } from '../engine/value.ts'
import type { ModelConfig } from './config.ts'

/** The number of scored tokens. */
const SCORED = 'S'

export interface HeadGraphs {
  /** x [S, hidden], weights, target [S] → logps [S, 1]. */
  readonly forward: Graph
  /**
   * The same → logps, slope [S, hidden] = d logp / d x, and statistics [S, 1]: entropy, best (the largest
   * log-probability), meanLogit.
   */
  readonly forwardSloped: Graph
  /** … and d logps [S, 1] → d x, and the gradients of the head's own weights. For full training. */
  readonly backward: Graph
  /** x [S, hidden] → logits [S, vocabulary]. */
  readonly logits: Graph
}

/**
 * d logp_t / d h = W[t] − Σ_v p_v W[v] does not depend on the loss, so it is computed beside the log-probability: the
 * logits are never kept, and the backward pass of the head is a product with d loss / d logp.
 */
export function buildHead(config: ModelConfig): HeadGraphs {
  const { hiddenSize: hidden, vocabularySize: vocabulary } = config
  const x = input('x', [SCORED, hidden])
  const norm = input('norm.weight', [hidden])
  const weight = input('head.weight', [vocabulary, hidden])
  const target = input('target', [SCORED], 'int')
  const h = rmsNorm(x, norm, config.normEpsilon)
  const logits = matmul(h, weight, { transposeB: true })
  const all = logSoftmax(logits)
  const logps = pick(all, target)

  const own = gather(weight, target)
  const expected = matmul(exp(all), weight) // Σ_v p_v W[v], [S, hidden]
  const [slope] = gradients([{ value: h, cotangent: sub(own, expected) }], [x])
  const dot = (other: Value): Value => sum(mul(h, other), -1)
  // log Σ exp z = z_t − logp_t and Σ_v p_v z_v = h · Σ_v p_v W[v]: no further pass over the vocabulary.
  const entropy = sub(sub(dot(own), logps), dot(expected))
  const dLogps = input('d logps', [SCORED, 1])
  const [dx, dNorm, dWeight] = gradients([{ value: logps, cotangent: dLogps }], [x, norm, weight])
  return {
    forward: makeGraph({ logps }),
    forwardSloped: makeGraph({ logps, slope, entropy, meanLogit: mean(logits), best: largest(all) }),
    backward: makeGraph({ 'd x': dx, 'd norm.weight': dNorm, 'd head.weight': dWeight }),
    logits: makeGraph({ logits }),
  }
}
