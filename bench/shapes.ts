/** @file What a real base model is shaped like, with random weights, for benchmarks that need no files. */
import { random } from '../src/base/random.ts'
import type { ModelConfig } from '../src/model/config.ts'
import { families, parseModelConfig } from '../src/model/families.ts'
import { HEAD, headShapes, layerShapes, type ModelWeights, type WeightTensor } from '../src/model/weights.ts'

/** SmolLM2-135M. */
export const smollm2: ModelConfig = parseModelConfig(
  {
    model_type: 'llama',
    vocab_size: 49152,
    hidden_size: 576,
    intermediate_size: 1536,
    num_hidden_layers: 30,
    num_attention_heads: 9,
    num_key_value_heads: 3,
    rms_norm_eps: 1e-5,
    rope_theta: 100000,
    max_position_embeddings: 8192,
    tie_word_embeddings: true,
  },
  'bench',
)

export function randomWeights(config: ModelConfig): ModelWeights {
  const draw = random(0, 'bench')
  const tensor = (shape: readonly number[]): WeightTensor => {
    const data = new Float32Array(shape.reduce((product, size) => product * size, 1))
    let value = draw.uint32()
    for (let at = 0; at < data.length; at++) {
      value = (Math.imul(value, 1664525) + 1013904223) >>> 0 // quick, and only the size of the numbers matters
      data[at] = shape.length === 1 ? 1 : (value / 2 ** 32 - 0.5) * 0.08
    }
    return { data, shape }
  }
  const family = families[config.family]
  const shapes = [...layerShapes(family, config)]
  const embedding = tensor([config.vocabularySize, config.hiddenSize])
  return {
    embedding,
    layers: Array.from({ length: config.layers }, () =>
      Object.fromEntries(shapes.map(([name, shape]) => [name, tensor(shape)])),
    ),
    head: Object.fromEntries(
      [...headShapes(family, config)].map(([name, shape]) => [name, name === HEAD ? embedding : tensor(shape)]),
    ),
  }
}
