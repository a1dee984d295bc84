/** @file The head: hidden states at the positions that predict a scored token → log-probabilities and their gradients. */
import { type Graph, makeGraph } from '../engine/backend.ts'
import { gradients } from '../engine/grad.ts'
import {
  exp,
  gather,
  input,
  largest,
  log,
  logSoftmax,
  matmul,
  mean,
  mul,
  pick,
  rmsNorm,
  sub,
  sum,
} from '../engine/ops.ts'
import type { Value } from '../engine/value.ts'
import type { ModelConfig } from './config.ts'

/** The number of scored tokens. */
const SCORED = 'S'

/** What the graphs give beside, of the distribution π that a scored token is drawn from. */
export interface HeadStatistics {
  /** logCollision [S, 1] = log Σ_v π(v)², a constant: it has no gradient. */
  readonly collision: boolean
  /** kl [S, 1] = KL(ρ‖π), given the hidden states and the head of a reference ρ. */
  readonly kl: boolean
}

export interface HeadGraphs {
  /** x [S, hidden], weights, target [S] → logps [S, 1], and kl where it is asked. */
  readonly forward: Graph
  /**
   * The same → logps, slope [S, hidden] = d logp / d x, and statistics [S, 1]: entropy, best (the largest
   * log-probability), meanLogit, and those asked; with kl also kl slope [S, hidden] = d kl / d x.
   */
  readonly forwardSloped: Graph
  /** … and d logps [S, 1], with kl also d kl → d x, and the gradients of the head's own weights. For full training. */
  readonly backward: Graph
  /** x [S, hidden] → logits [S, vocabulary]. */
  readonly logits: Graph
}

/** The distributions that a head gives, from inputs of its own. */
function buildDistribution({ hiddenSize: hidden, vocabularySize, normEpsilon }: ModelConfig, owner = '') {
  const x = input(`${owner}x`, [SCORED, hidden])
  const norm = input(`${owner}norm.weight`, [hidden])
  const weight = input(`${owner}head.weight`, [vocabularySize, hidden])
  const h = rmsNorm(x, norm, normEpsilon)
  const logits = matmul(h, weight, { transposeB: true })
  return { x, norm, weight, h, logits, all: logSoftmax(logits) }
}

/**
 * d logp_t / d h = W[t] − Σ_v p_v W[v] does not depend on the loss, so it is computed beside the log-probability: the
 * logits are never kept, and the backward pass of the head is a product with d loss / d logp. So is that of a divergence:
 * d KL(ρ‖p) / d h = Σ_v p_v W[v] − Σ_v ρ_v W[v].
 */
export function buildHead(config: ModelConfig, asked: HeadStatistics): HeadGraphs {
  const { x, norm, weight, h, logits, all } = buildDistribution(config)
  const target = input('target', [SCORED], 'int')
  const logps = pick(all, target)
  const likely = exp(all)

  const own = gather(weight, target)
  const expected = matmul(likely, weight) // Σ_v p_v W[v], [S, hidden]
  const throughNorm = (dh: Value): Value => gradients([{ value: h, cotangent: dh }], [x])[0]
  const slope = throughNorm(sub(own, expected))
  const dot = (other: Value): Value => sum(mul(h, other), -1)
  // log Σ exp z = z_t − logp_t and Σ_v p_v z_v = h · Σ_v p_v W[v]: no further pass over the vocabulary.
  const entropy = sub(sub(dot(own), logps), dot(expected))

  const seeds = [{ value: logps, cotangent: input('d logps', [SCORED, 1]) }]
  const scores: Record<string, Value> = { logps }
  const extra: Record<string, Value> = {}
  if (asked.collision) extra['logCollision'] = log(sum(mul(likely, likely), -1))
  if (asked.kl) {
    const reference = buildDistribution(config, 'reference ')
    const likelyThere = exp(reference.all)
    const kl = sum(mul(likelyThere, sub(reference.all, all)), -1)
    scores['kl'] = kl
    extra['kl slope'] = throughNorm(sub(expected, matmul(likelyThere, weight)))
    seeds.push({ value: kl, cotangent: input('d kl', [SCORED, 1]) })
  }
  const [dx, dNorm, dWeight] = gradients(seeds, [x, norm, weight])
  return {
    forward: makeGraph(scores),
    forwardSloped: makeGraph({ ...scores, slope, entropy, meanLogit: mean(logits), best: largest(all), ...extra }),
    backward: makeGraph({ 'd x': dx, 'd norm.weight': dNorm, 'd head.weight': dWeight }),
    logits: makeGraph({ logits }),
  }
}
