/** @file Attention of a block of query tokens on the key tokens it may see, forward and backward. */
import { type Graph, makeGraph } from '../engine/backend.ts'
import { product } from '../engine/dims.ts'
import { add, input, matmul, mul, reshape, softmax, sub, sum, transpose } from '../engine/ops.ts'
import type { Value } from '../engine/value.ts'
import type { ModelConfig } from './config.ts'

/** The numbers of query tokens in a block and of key tokens it sees. */
const QUERIES = 'Q'
const KEYS = 'K'

export interface AttentionGraphs {
  /** query [Q, heads · size], key and value [K, keyValueHeads · size], mask [Q, K] → attended [Q, heads · size]. */
  readonly forward: Graph
  /** The same, `attended` and `d attended` → `d query`, `d key`, `d value`. */
  readonly backward: Graph
}

/** [Q, heads · size] → [groups, Q · repeats, size]: together, the query heads that share a key-value head. */
function group(x: Value, { heads, keyValueHeads, headSize }: ModelConfig): Value {
  const repeats = heads / keyValueHeads
  const split = transpose(reshape(x, [QUERIES, keyValueHeads, repeats, headSize]), [1, 0, 2, 3])
  return reshape(split, [keyValueHeads, product([QUERIES, repeats]), headSize])
}

function ungroup(x: Value, { heads, keyValueHeads, headSize }: ModelConfig): Value {
  const split = reshape(x, [keyValueHeads, QUERIES, heads / keyValueHeads, headSize])
  return reshape(transpose(split, [1, 0, 2, 3]), [QUERIES, heads * headSize])
}

/** [K, groups · size] → [groups, K, size]. */
function perGroup(x: Value, { keyValueHeads, headSize }: ModelConfig): Value {
  return transpose(reshape(x, [KEYS, keyValueHeads, headSize]), [1, 0, 2])
}

/**
 * attended = softmax(s · q kᵀ + mask) v with s = 1 / √size. The backward pass is written out: with the output at hand,
 * Σ_k p dp is Σ_size dO O (FlashAttention, appendix B.2), which spares a pass over [Q, K].
 */
export function buildAttention(config: ModelConfig): AttentionGraphs {
  const { heads, keyValueHeads: groups, headSize } = config
  const scale = 1 / Math.sqrt(headSize)
  const wide = [QUERIES, heads * headSize]
  const narrow = [KEYS, groups * headSize]
  const query = group(input('query', wide), config)
  const key = perGroup(input('key', narrow), config)
  const value = perGroup(input('value', narrow), config)
  const mask = reshape(input('mask', [QUERIES, KEYS]), [QUERIES, 1, KEYS])
  const scores = matmul(query, key, { transposeB: true, scale })
  const masked = add(reshape(scores, [groups, QUERIES, heads / groups, KEYS]), mask)
  const weights = reshape(softmax(masked), scores.shape) // [groups, Q · repeats, K]

  const dAttended = group(input('d attended', wide), config)
  const dWeights = matmul(dAttended, value, { transposeB: true })
  const inner = sum(mul(dAttended, group(input('attended', wide), config)), -1)
  const dScores = mul(weights, sub(dWeights, inner))
  const flat = (x: Value): Value => reshape(transpose(x, [1, 0, 2]), narrow)
  return {
    forward: makeGraph({ attended: ungroup(matmul(weights, value), config) }),
    backward: makeGraph({
      'd query': ungroup(matmul(dScores, key, { scale }), config),
      'd key': flat(matmul(dScores, query, { transposeA: true, scale })),
      'd value': flat(matmul(weights, dAttended, { transposeA: true })),
    }),
  }
}
