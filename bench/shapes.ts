/** @file What a real base model is shaped like, with random weights, for benchmarks that need no files. */
import { random } from '../src/base/random.ts'
import type { ModelConfig } from '../src/model/config.ts'
import { families, parseModelConfig } from '../src/model/families.ts'
import { HEAD, headShapes, layerShapes, type ModelWeights, type WeightTensor } from '../src/model/weights.ts'

/** config.json of what people train, by the name that SHAPE takes. */
export const shapes = {
  'SmolLM2-135M': {
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
  'Qwen2.5-0.5B': {
    model_type: 'qwen2',
    vocab_size: 151936,
    hidden_size: 896,
    intermediate_size: 4864,
    num_hidden_layers: 24,
    num_attention_heads: 14,
    num_key_value_heads: 2,
    rms_norm_eps: 1e-6,
    rope_theta: 1000000,
    max_position_embeddings: 32768,
    tie_word_embeddings: true,
  },
  'TinyLlama-1.1B': {
    model_type: 'llama',
    vocab_size: 32000,
    hidden_size: 2048,
    intermediate_size: 5632,
    num_hidden_layers: 22,
    num_attention_heads: 32,
    num_key_value_heads: 4,
    rms_norm_eps: 1e-5,
    rope_theta: 10000,
    max_position_embeddings: 2048,
    tie_word_embeddings: false,
  },
  'Llama-2-7b': {
    model_type: 'llama',
    vocab_size: 32000,
    hidden_size: 4096,
    intermediate_size: 11008,
    num_hidden_layers: 32,
    num_attention_heads: 32,
    num_key_value_heads: 32,
    rms_norm_eps: 1e-5,
    rope_theta: 10000,
    max_position_embeddings: 4096,
    tie_word_embeddings: false,
  },
}

export type ShapeName = keyof typeof shapes

export const smollm2: ModelConfig = parseModelConfig(shapes['SmolLM2-135M'], 'bench')

/** The shape that SHAPE names, else SmolLM2's. */
export function shapeAsked(): { readonly name: ShapeName; readonly config: ModelConfig } {
  const asked = process.env['SHAPE'] ?? 'SmolLM2-135M'
  for (const name of shapeNames()) if (name === asked) return { name, config: parseModelConfig(shapes[name], 'bench') }
  throw new Error(`SHAPE: expected one of ${shapeNames().join(', ')}, found '${asked}'`)
}

function shapeNames(): readonly ShapeName[] {
  return ['SmolLM2-135M', 'Qwen2.5-0.5B', 'TinyLlama-1.1B', 'Llama-2-7b']
}

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
