/** @file Rotary position tables. The arithmetic is that of transformers: each step rounded to float32. */
import type { Backend, Tensor } from '../engine/backend.ts'
import type { Rope, RopeScaling } from './config.ts'

const { fround } = Math

/** The frequencies of one head, [size / 2]. `factors` divide them where a GGUF file brings its own scaling. */
export function inverseFrequencies({ size, theta, scaling }: Rope, factors?: Float32Array): Float32Array {
  const plain = Float32Array.from({ length: size / 2 }, (_, at) => 1 / fround(theta ** fround((2 * at) / size)))
  if (factors !== undefined) return plain.map((frequency, at) => frequency / factors[at])
  switch (scaling.kind) {
    case 'none':
      return plain
    case 'linear':
      return plain.map((frequency) => frequency / scaling.factor)
    case 'llama3':
      return plain.map((frequency) => scaleLlama3(frequency, scaling))
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

/** cos and sin of position × frequency, [T, size / 2] each. */
export interface RotaryTables {
  readonly cos: Tensor
  readonly sin: Tensor
}

export function rotaryTables(backend: Backend, frequencies: Float32Array, positions: ArrayLike<number>): RotaryTables {
  const half = frequencies.length
  const shape = [positions.length, half]
  const cos = backend.allocate(positions.length * half)
  const sin = backend.allocate(positions.length * half)
  for (let row = 0; row < positions.length; row++) {
    for (let at = 0; at < half; at++) {
      const angle = fround(positions[row] * frequencies[at])
      cos[row * half + at] = fround(Math.cos(angle))
      sin[row * half + at] = fround(Math.sin(angle))
    }
  }
  return { cos: { data: cos, shape }, sin: { data: sin, shape } }
}
