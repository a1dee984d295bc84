/**
 * @file Figures that one update says too little of, over the last updates: the gradient's noise scale, and how margins
 * go with lengths. What they are made of belongs to the state of a run.
 */
import { z } from 'zod'
import { type LengthMoments, lengthCorrelation, NO_LENGTHS } from './length.ts'

/** Sums in which an update of so many updates ago counts DECAY^n: about the last twenty. */
export const trendFields = z.strictObject({
  /** Of tr Σ, the noise of the gradient, and of |G|², what is behind it. */
  noise: z.number(),
  signal: z.number(),
  lengths: z.array(z.number()).length(NO_LENGTHS.length),
})

export type Trends = z.output<typeof trendFields>

export const NO_TRENDS: Trends = { noise: 0, signal: 0, lengths: [...NO_LENGTHS] }

/** The norm of a mean gradient, and how many pairs (members, lists) it is the mean of. */
export interface MeasuredGradient {
  readonly norm: number
  readonly count: number
}

/** What an update says of the trends. */
export interface TrendSample {
  readonly lengths: LengthMoments
  /** The gradient of a part of the update and that of all of it; undefined where the update has one part only. */
  readonly gradients?: { readonly small: MeasuredGradient; readonly big: MeasuredGradient }
}

const DECAY = 0.95

export function followTrends(trends: Trends, { lengths, gradients }: TrendSample): Trends {
  const { noise, signal } = gradients === undefined ? { noise: 0, signal: 0 } : noiseOf(gradients)
  return {
    noise: DECAY * trends.noise + noise,
    signal: DECAY * trends.signal + signal,
    lengths: trends.lengths.map((sum, at) => DECAY * sum + lengths[at]),
  }
}

/** Unbiased estimates of tr Σ and |G|² (McCandlish et al. 2018, arXiv 1812.06162, appendix A.1). */
export function noiseOf({ small, big }: NonNullable<TrendSample['gradients']>): { noise: number; signal: number } {
  const [smallSquare, bigSquare] = [small.norm ** 2, big.norm ** 2]
  return {
    noise: (smallSquare - bigSquare) / (1 / small.count - 1 / big.count),
    signal: (big.count * bigSquare - small.count * smallSquare) / (big.count - small.count),
  }
}

/** The metrics that follow from the trends, as far as these say anything yet. */
export function trendMetrics({ noise, signal, lengths }: Trends): Record<string, number> {
  const correlation = lengthCorrelation(lengths)
  return {
    // The ratio of two sums that are estimates: where one is negative nothing is known yet.
    ...(noise > 0 && signal > 0 && { grad_noise_scale: noise / signal }),
    ...(correlation !== undefined && { 'rewards/length_correlation': correlation }),
  }
}
