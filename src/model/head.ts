/** @file The head: hidden states at the positions that predict a scored token → log-probabilities and their gradients. */
import { type Graph, makeGraph } from '../engine/backend.ts'
import { gradients } from '../engine/grad.ts'
import {
  add,
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
  reshape,
  sub,
  sum,
} from '../engine/ops.ts'
import type { Value } from '../engine/value.ts'
import type { ModelConfig } from './config.ts'
import type { Family } from './layer.ts'
import { HEAD, HEAD_BIAS, headShapes } from './weights.ts'

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

/** The names under which the tensors of a reference's head are fed. */
export function ofReference(name: string): string {
  return `reference ${name}`
}

/** States [N, hidden] → logits [N, vocabulary]. The tensors of the head are fed under their names, or those of `feed`. */
export function buildLogits(family: Family, config: ModelConfig, x: Value, feed = (name: string) => name) {
  const tensors = new Map([...headShapes(family, config)].map(([name, shape]) => [name, input(feed(name), shape)]))
  const tensor = (name: string): Value => {
    const value = tensors.get(name)
    if (value === undefined) throw new Error(`head: no tensor is called ${name}`)
    return value
  }
  const weight = tensor(HEAD)
  const bias = tensors.get(HEAD_BIAS)
  const h = family.norm.apply(x, (part) => tensor(`${family.finalNorm}.${part}`), config.normEpsilon)
  const product = matmul(h, weight, { transposeB: true })
  return { tensors, weight, bias, h, logits: bias === undefined ? product : add(product, bias) }
}

/**
 * d logp_t / d h = W[t] − Σ_v p_v W[v] does not depend on the loss, so it is computed beside the log-probability: the
 * logits are never kept, and the backward pass of the head is a product with d loss / d logp. So is that of a divergence:
 * d KL(ρ‖p) / d h = Σ_v p_v W[v] − Σ_v ρ_v W[v].
 */
export function buildHead(family: Family, config: ModelConfig, asked: HeadStatistics): HeadGraphs {
  const x = input('x', [SCORED, config.hiddenSize])
  const { tensors, weight, bias, h, logits } = buildLogits(family, config, x)
  const all = logSoftmax(logits)
  const target = input('target', [SCORED], 'int')
  const logps = pick(all, target)
  const likely = exp(all)

  const own = gather(weight, target)
  const expected = matmul(likely, weight) // Σ_v p_v W[v], [S, hidden]
  const throughNorm = (dh: Value): Value => gradients([{ value: h, cotangent: dh }], [x])[0]
  const slope = throughNorm(sub(own, expected))
  const dot = (other: Value): Value => sum(mul(h, other), -1)
  const plus = (value: Value, more: (bias: Value) => Value): Value =>
    bias === undefined ? value : add(value, more(bias))
  const ownLogit = plus(dot(own), (b) => reshape(gather(b, target), [SCORED, 1]))
  const expectedLogit = plus(dot(expected), (b) => matmul(likely, reshape(b, [config.vocabularySize, 1])))
  // log Σ exp z = z_t − logp_t and Σ_v p_v z_v = h · Σ_v p_v W[v]: no further pass over the vocabulary.
  const entropy = sub(sub(ownLogit, logps), expectedLogit)

  const seeds = [{ value: logps, cotangent: input('d logps', [SCORED, 1]) }]
  const scores: Record<string, Value> = { logps }
  const extra: Record<string, Value> = {}
  if (asked.collision) extra['logCollision'] = log(sum(mul(likely, likely), -1))
  if (asked.kl) {
    const there = input(ofReference('x'), [SCORED, config.hiddenSize])
    const allThere = logSoftmax(buildLogits(family, config, there, ofReference).logits)
    const likelyThere = exp(allThere)
    const kl = sum(mul(likelyThere, sub(allThere, all)), -1)
    scores['kl'] = kl
    extra['kl slope'] = throughNorm(sub(expected, matmul(likelyThere, weight)))
    seeds.push({ value: kl, cotangent: input('d kl', [SCORED, 1]) })
  }
  const [dx, ...dTensors] = gradients(seeds, [x, ...tensors.values()])
  const named = [...tensors.keys()].map((name, at) => [`d ${name}`, dTensors[at]])
  return {
    forward: makeGraph(scores),
    forwardSloped: makeGraph({ ...scores, slope, entropy, meanLogit: mean(logits), best: largest(all), ...extra }),
    backward: makeGraph({ 'd x': dx, ...Object.fromEntries(named) }),
    logits: makeGraph({ logits }),
  }
}
