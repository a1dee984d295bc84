/** @file Confidence intervals by resampling whole problems: pairs of one problem are not independent. */
import { random } from '../base/random.ts'

/** What one problem adds to a mean: the sum of the values and of their weights. */
export interface Cluster {
  readonly sum: number
  readonly weight: number
}

export interface Interval {
  readonly mean: number
  readonly low: number
  readonly high: number
}

const RESAMPLES = 2000

function meanOf(clusters: Iterable<Cluster>): number {
  let sum = 0
  let weight = 0
  for (const cluster of clusters) {
    sum += cluster.sum
    weight += cluster.weight
  }
  return sum / weight
}

/**
 * The mean with its 95 % percentile-bootstrap interval (Efron & Tibshirani 1993, chapter 13), drawing problems with
 * replacement. The same clusters in the same order give the same interval.
 */
export function clusterInterval(clusters: readonly Cluster[]): Interval {
  const draw = random(0, 'bootstrap', clusters.length)
  const means = new Float64Array(RESAMPLES)
  for (let sample = 0; sample < RESAMPLES; sample++) {
    means[sample] = meanOf(clusters.map(() => clusters[draw.below(clusters.length)]))
  }
  means.sort()
  const at = (share: number): number => means[Math.round(share * (RESAMPLES - 1))]
  return { mean: meanOf(clusters), low: at(0.025), high: at(0.975) }
}
