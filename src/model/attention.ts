/** @file Attention of a block of query tokens on the key tokens it may see, forward and backward. */
import { type Graph, makeGraph } from '../engine/backend.ts'
import { add, input, matmul, mul, reshape, softmax, sub, sum, transpose } from '../engine/ops.ts'
import type { Value } from '../engine/value.ts'
import type { ModelConfig } from './config.ts'

/** The numbers of query tokens in a block and of key tokens it sees. */
const QUERIES = 'Q'
const KEYS = 'K'

export interface AttentionGraphs {
  /** query [Q, heads · size], key and value [K, keyValueHeads · size], mask [Q, K] → attended [Q, heads · size]. */
  readonly forward: Graph
  /**
   * The same, `attended` and `d attended` → `d query`, and `d key`, `d value` added to what they are `so far`. The sums
   * are the last thing computed, element by element: they may be written over what was fed.
   */
  readonly backward: Graph
}

/**
 * attended = softmax(s · q kᵀ + mask) v, s being mostly 1 / √size. The backward pass is written out: with the output at hand,
 * Σ_k p dp is Σ_size dO O (FlashAttention, appendix B.2), which spares a pass over [Q, K]. Each head is a product of
 * its own: runtimes share a batch of products out to threads one by one.
 */
export function buildAttention(config: ModelConfig): AttentionGraphs {
  const { heads, keyValueHeads: groups, headSize, attentionScale: scale } = config
  const repeats = heads / groups
  const wide = [QUERIES, heads * headSize]
  const narrow = [KEYS, groups * headSize]
  // [tokens, groups · count · size] → [groups, count, tokens, size], and back
  const perHead = (x: Value, count: number): Value =>
    transpose(reshape(x, [x.shape[0], groups, count, headSize]), [1, 2, 0, 3])
  const perToken = (x: Value, shape: Value['shape']): Value => reshape(transpose(x, [2, 0, 1, 3]), shape)

  const query = perHead(input('query', wide), repeats)
  const key = perHead(input('key', narrow), 1) // one for all heads of its group
  const value = perHead(input('value', narrow), 1)
  const scores = matmul(query, key, { transposeB: true, scale })
  const weights = softmax(add(scores, input('mask', [QUERIES, KEYS]))) // [groups, repeats, Q, K]

  const dAttended = perHead(input('d attended', wide), repeats)
  const inner = sum(mul(dAttended, perHead(input('attended', wide), repeats)), -1)
  const dScores = mul(weights, sub(matmul(dAttended, value, { transposeB: true }), inner))
  const dKey = matmul(dScores, query, { transposeA: true, scale })
  const dValue = matmul(weights, dAttended, { transposeA: true })
  return {
    forward: makeGraph({ attended: perToken(matmul(weights, value), wide) }),
    backward: makeGraph({
      'd query': perToken(matmul(dScores, key, { scale }), wide),
      'd key': add(input('d key so far', narrow), perToken(sum(dKey, 1), narrow)),
      'd value': add(input('d value so far', narrow), perToken(sum(dValue, 1), narrow)),
    }),
  }
}
