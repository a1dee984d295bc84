/** @file Rotary position tables. The arithmetic is that of transformers: each step rounded to float32. */
import type { Backend, Tensor } from '../engine/backend.ts'
import type { ModelConfig } from './config.ts'

const { fround } = Math

/** The frequencies of one head, [headSize / 2]. `factors` divide them where a GGUF file brings its own scaling. */
export function inverseFrequencies(config: ModelConfig, factors?: Float32Array): Float32Array {
  const { headSize, ropeTheta, ropeScaling } = config
  const plain = Float32Array.from({ length: headSize / 2 }, (_, at) => {
    return 1 / fround(ropeTheta ** fround((2 * at) / headSize))
  })
  if (factors !== undefined) return plain.map((frequency, at) => frequency / factors[at])
  switch (ropeScaling.kind) {
    case 'none':
      return plain
    case 'linear':
      return plain.map((frequency) => frequency / ropeScaling.factor)
    case 'llama3':
      return plain.map((frequency) => scaleLlama3(frequency, ropeScaling))
  }
}

type Llama3Scaling = Extract<ModelConfig['ropeScaling'], { kind: 'llama3' }>

/** Long waves are stretched by the factor, short ones kept, those between are mixed (transformers, rope utils, llama3). */
function scaleLlama3(frequency: number, scaling: Llama3Scaling): number {
  const { factor, lowFrequencyFactor: low, highFrequencyFactor: high, originalPositions: original } = scaling
  const wavelength = fround((2 * Math.PI) / frequency)
  if (wavelength < original / high) return frequency
  if (wavelength > original / low) return frequency / factor
  const smooth = fround(fround(original / wavelength - low) / (high - low))
  return fround(fround(fround(1 - smooth) * frequency) / factor) + fround(smooth * frequency)
}

/** cos and sin of position × frequency, [T, headSize / 2] each. */
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
