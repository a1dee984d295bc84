/** @file Rotary position tables. The arithmetic is that of transformers: each step rounded to float32. */
import { UserError } from '../base/errors.ts'
import type { Backend, Tensor } from '../engine/backend.ts'
import type { ModelConfig, Rope, RopeScaling } from './config.ts'

const { fround } = Math

/** The frequencies of one head, [size / 2]. `factors` divide them where a GGUF file brings its own scaling. */
export function inverseFrequencies({ size, theta, scaling }: Rope, factors?: Float32Array): Float32Array {
  const plain = powers(size, theta).map((power) => 1 / power)
  if (factors !== undefined) return plain.map((frequency, at) => frequency / factors[at])
  switch (scaling.kind) {
    case 'none':
      return plain
    case 'linear':
      return plain.map((frequency) => frequency / scaling.factor)
    case 'llama3':
      return plain.map((frequency) => scaleLlama3(frequency, scaling))
    case 'yarn':
      return yarnFrequencies(size, theta, scaling)
    case 'longrope':
      return powers(size, theta).map((power, at) => 1 / fround(fround(scaling.factors[at]) * power))
  }
}

/** θ^(2 i / size), [size / 2]. */
function powers(size: number, theta: number): Float32Array {
  return Float32Array.from({ length: size / 2 }, (_, at) => theta ** fround((2 * at) / size))
}

type YarnScaling = Extract<RopeScaling, { kind: 'yarn' }>

/** Slow dimensions are stretched by the factor, fast ones kept, those between mixed (transformers, rope utils, yarn). */
function yarnFrequencies(size: number, theta: number, scaling: YarnScaling): Float32Array {
  const { factor, originalPositions, betaFast, betaSlow, truncate } = scaling
  /** The dimension that turns so often over the original positions. */
  const dimensionOf = (turns: number): number =>
    (size * Math.log(originalPositions / (turns * 2 * Math.PI))) / (2 * Math.log(theta))
  const [first, last] = [dimensionOf(betaFast), dimensionOf(betaSlow)]
  const low = Math.max(truncate ? Math.floor(first) : first, 0)
  const high = Math.min(truncate ? Math.ceil(last) : last, size - 1)
  const width = low === high ? 0.001 : high - low // no division by zero
  return powers(size, theta).map((power, at) => {
    const stretched = fround(Math.min(1, Math.max(0, fround(fround(at - low) / width))))
    const kept = fround(1 - stretched)
    return fround(fround(1 / fround(factor * power)) * fround(1 - kept)) + fround(fround(1 / power) * kept)
  })
}

/** Positions below this are turned: longrope's factors for longer texts are not supported. */
function reachOf(rope: Rope | null): number {
  return rope?.scaling.kind === 'longrope' ? rope.scaling.originalPositions : Number.POSITIVE_INFINITY
}

/** Rows of a model have no more tokens than this. */
export function modelReach({ kinds }: Pick<ModelConfig, 'kinds'>): number {
  return Math.min(...kinds.map(({ rope }) => reachOf(rope)))
}

export function rotaryPlan(rope: Rope, factors?: Float32Array): RotaryPlan {
  const { scaling } = rope
  return {
    frequencies: inverseFrequencies(rope, factors),
    scale: 'attentionFactor' in scaling ? scaling.attentionFactor : 1,
    reach: reachOf(rope),
  }
}

/** PyTorch divides a number by a tensor so: the reciprocal first. */
function dividedBy(number: number, by: number): number {
  return fround(fround(number) * fround(1 / by))
}

type Llama3Scaling = Extract<RopeScaling, { kind: 'llama3' }>

/** Long waves are stretched by the factor, short ones kept, those between are mixed (transformers, rope utils, llama3). */
function scaleLlama3(frequency: number, scaling: Llama3Scaling): number {
  const { factor, lowFrequencyFactor: low, highFrequencyFactor: high, originalPositions: original } = scaling
  const wavelength = dividedBy(2 * Math.PI, frequency)
  if (wavelength < original / high) return frequency
  if (wavelength > original / low) return frequency / factor
  const smooth = fround(fround(dividedBy(original, wavelength) - low) / (high - low))
  return fround(fround(fround(1 - smooth) * frequency) / factor) + fround(smooth * frequency)
}

/** cos and sin of position × frequency, times a scale, [T, size / 2] each. */
export interface RotaryTables {
  readonly cos: Tensor
  readonly sin: Tensor
}

/** The frequencies of a head, and what cos and sin are multiplied by. */
export interface RotaryPlan {
  readonly frequencies: Float32Array
  readonly scale: number
  readonly reach: number
}

export function beyondReach(reach: number, tokens: number): string {
  return `this model's longrope is supported up to ${reach} tokens, for which it was pretrained, and not for ${tokens}`
}

/** Why so many tokens are too long for a model; undefined where they are not. */
export function whyTooLong(config: Pick<ModelConfig, 'kinds'>, tokens: number): string | undefined {
  const reach = modelReach(config)
  return tokens > reach ? beyondReach(reach, tokens) : undefined
}

/** @throws UserError for a position that the plan does not reach. */
export function rotaryTables(
  allocate: Backend['allocate'],
  { frequencies, scale, reach }: RotaryPlan,
  positions: ArrayLike<number>,
): RotaryTables {
  const factor = fround(scale)
  const half = frequencies.length
  const shape = [positions.length, half]
  const cos = allocate(positions.length * half)
  const sin = allocate(positions.length * half)
  for (let row = 0; row < positions.length; row++) {
    if (positions[row] >= reach) throw new UserError(beyondReach(reach, positions[row] + 1))
    for (let at = 0; at < half; at++) {
      const angle = fround(positions[row] * frequencies[at])
      cos[row * half + at] = fround(fround(Math.cos(angle)) * factor)
      sin[row * half + at] = fround(fround(Math.sin(angle)) * factor)
    }
  }
  return { cos: { data: cos, shape }, sin: { data: sin, shape } }
}
