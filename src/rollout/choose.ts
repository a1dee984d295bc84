/** @file Logits → a token: penalty, temperature, top-k, top-p, min-p and the draw. */
import type { FloatArray } from '../engine/backend.ts'
import type { Sampling } from './generator.ts'

export type Filters = Pick<Sampling, 'temperature' | 'topK' | 'topP' | 'minP'>

/** Weights below e⁻⁴⁰ of the largest are 0: all of them together are less than the grid of the random numbers, 2⁻³². */
const LEAST = -40

function largestOf(logits: FloatArray): number {
  let most = Number.NEGATIVE_INFINITY
  for (let at = 0; at < logits.length; at++) if (logits[at] > most) most = logits[at]
  return most
}

/** Writes e^((z − largest z) / temperature). Gives their sum. */
function writeWeights(logits: FloatArray, temperature: number, weights: Float64Array): number {
  const most = largestOf(logits)
  let total = 0
  for (let at = 0; at < logits.length; at++) {
    const exponent = (logits[at] - most) / temperature
    const weight = exponent < LEAST ? 0 : Math.exp(exponent)
    weights[at] = weight
    total += weight
  }
  return total
}

/** log p of a token under softmax(logits). */
export function logProbability(logits: FloatArray, id: number): number {
  const most = largestOf(logits)
  let total = 0
  for (let at = 0; at < logits.length; at++) {
    const exponent = logits[at] - most
    if (exponent >= LEAST) total += Math.exp(exponent)
  }
  return logits[id] - most - Math.log(total)
}

/**
 * The logits of tokens that occurred, divided by the penalty where they are positive, else multiplied (Keskar et al. 2019,
 * as in transformers).
 */
export function penalise(logits: FloatArray, occurred: Iterable<number>, penalty: number): FloatArray {
  const changed = logits.slice()
  for (const id of occurred) changed[id] = logits[id] < 0 ? logits[id] * penalty : logits[id] / penalty
  return changed
}

/** The largest weights, ascending: so many at least, and of so much weight together, where there are so many. */
function largestWeights(weights: Float64Array, count: number, mass: number): Float64Array {
  for (let exponent = -4; ; exponent *= 2) {
    const floor = Math.exp(exponent)
    const largest = weights.filter((weight) => weight >= floor)
    const enough = largest.length >= count && sumOf(largest) >= mass
    if (enough || exponent < LEAST) return largest.sort()
  }
}

function sumOf(numbers: Float64Array): number {
  let total = 0
  for (let at = 0; at < numbers.length; at++) total += numbers[at]
  return total
}

/**
 * The least weight that the filters leave, of weights whose largest is 1. Each sees what the one before has left, as in
 * transformers: top-k, top-p, min-p. Equal weights stay or go together.
 */
function leastWeight(weights: Float64Array, total: number, { topK, topP, minP }: Filters): number {
  if (topK === 0 && topP === 1) return minP
  const sorted = largestWeights(weights, topK, topK > 0 ? 0 : topP * total)
  const ofTopK = topK === 0 ? 0 : sorted[Math.max(0, sorted.length - topK)]
  if (topP === 1) return Math.max(ofTopK, minP)
  const mass = topP * (topK === 0 ? total : sumOf(sorted.filter((weight) => weight >= ofTopK)))
  let at = sorted.length - 1
  for (let above = sorted[at]; at > 0 && above < mass && sorted[at - 1] >= ofTopK; above += sorted[at]) at--
  return Math.max(sorted[at], minP)
}

/** Chooses tokens of one vocabulary. */
export interface Chooser {
  /** The probabilities after temperature and filters; valid until the next call. */
  probabilities(logits: FloatArray, filters: Filters): Float64Array
  /** The token at `uniform` [0, 1) of their sum in the order of ids; −1 where the logits are no numbers. */
  choose(logits: FloatArray, filters: Filters, uniform: number): number
}

export function makeChooser(vocabularySize: number): Chooser {
  const weights = new Float64Array(vocabularySize)
  const write = (logits: FloatArray, filters: Filters): number => {
    const total = writeWeights(logits, filters.temperature, weights)
    const least = leastWeight(weights, total, filters)
    if (least === 0) return total
    let left = 0
    for (let at = 0; at < weights.length; at++) {
      if (weights[at] < least) weights[at] = 0
      left += weights[at]
    }
    return left
  }
  return {
    probabilities: (logits, filters) => {
      const total = write(logits, filters)
      return weights.map((weight) => weight / total)
    },
    choose: (logits, filters, uniform) => {
      const limit = uniform * write(logits, filters)
      let below = 0
      let last = -1
      if (Number.isNaN(limit)) return last
      for (let at = 0; at < weights.length; at++) {
        if (weights[at] === 0) continue
        last = at
        below += weights[at]
        if (below > limit) return at
      }
      return last
    },
  }
}
