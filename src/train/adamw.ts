/** @file AdamW (Loshchilov & Hutter 2019) as torch.optim.AdamW computes it, and clipping by the global norm. */

/** A tensor that learns, with the two moments of its gradient. */
export interface Moments {
  readonly first: Float32Array
  readonly second: Float32Array
}

export interface AdamOptions {
  readonly beta1: number
  readonly beta2: number
  readonly epsilon: number
  readonly weightDecay: number
}

export interface Learning {
  readonly values: Float32Array
  readonly gradient: ArrayLike<number>
  readonly decays: boolean
}

export function zeroMoments(length: number): Moments {
  return { first: new Float32Array(length), second: new Float32Array(length) }
}

/**
 * One update, in place. The gradient is multiplied by `factor` first, which is how it is clipped.
 * @param time how many updates there were, this one counted.
 * @returns whether all values and moments are finite.
 */
export function adamStep(
  { values, gradient, decays }: Learning,
  { first, second }: Moments,
  options: AdamOptions,
  { time, rate, factor }: { readonly time: number; readonly rate: number; readonly factor: number },
): boolean {
  const { beta1, beta2, epsilon, weightDecay } = options
  const keep = decays ? 1 - rate * weightDecay : 1
  const size = rate / (1 - beta1 ** time)
  const spread = Math.sqrt(1 - beta2 ** time)
  let total = 0 // in float64 no sum of finite float32 overflows
  for (let at = 0; at < values.length; at++) {
    const slope = gradient[at] * factor
    first[at] += (slope - first[at]) * (1 - beta1)
    second[at] = second[at] * beta2 + (1 - beta2) * slope * slope
    values[at] = values[at] * keep - (size * first[at]) / (Math.sqrt(second[at]) / spread + epsilon)
    total += first[at] + second[at] + values[at]
  }
  return Number.isFinite(total)
}

/** The L2 norm of all gradients together. */
export function globalNorm(gradients: Iterable<ArrayLike<number>>): number {
  let total = 0
  for (const gradient of gradients) {
    for (let at = 0; at < gradient.length; at++) total += gradient[at] * gradient[at]
  }
  return Math.sqrt(total)
}

/** What gradients of this norm are multiplied by (torch.nn.utils.clip_grad_norm_). No limit where `maxNorm` is 0. */
export function clipFactor(norm: number, maxNorm: number): number {
  return maxNorm > 0 ? Math.min(1, maxNorm / (norm + 1e-6)) : 1
}
