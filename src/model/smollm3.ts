/** @file The SmolLM3 family: the layer of Llama; some layers have no rotary positions, and these may slide. */
import { z } from 'zod'
import {
  commonRope,
  decoderConfig,
  decoderFields,
  expectValue,
  FULL,
  layerKinds,
  positive,
  readFields,
  SLIDING,
  windowFields,
  windowsOf,
} from './config-fields.ts'
import type { Family } from './layer.ts'
import { ATTENTION, llama, MLP } from './llama.ts'

const fieldsOf = decoderFields.extend({
  ...windowFields,
  num_key_value_heads: positive,
  rope_theta: z.number().positive().default(2e6),
  tie_word_embeddings: z.boolean().default(true),
  use_sliding_window: z.boolean().default(false),
  /** For each layer 1 where it has rotary positions, for all its name. */
  no_rope_layers: z.array(z.number()).nullish(),
  no_rope_layer_interval: positive.default(4),
  attention_bias: z.boolean().default(false),
  mlp_bias: z.boolean().default(false),
})

export const smollm3: Family = {
  ...llama,
  parse: (json, where) => {
    const fields = readFields(fieldsOf, json, where)
    expectValue(fields.hidden_act, ['silu'], 'hidden_act', where)
    const config = decoderConfig(fields, where)
    const common = commonRope(fields, config.headSize, where)
    const { no_rope_layers: listed, no_rope_layer_interval: interval } = fields
    const isTurned = (layer: number): boolean => (listed ? listed[layer] !== 0 : (layer + 1) % interval !== 0)
    const window = fields.use_sliding_window ? fields.sliding_window : null
    const slides = (layer: number): boolean => typeof window === 'number' && !isTurned(layer)
    const types =
      fields.layer_types ?? Array.from({ length: config.layers }, (_, layer) => (slides(layer) ? SLIDING : FULL))
    const windows = windowsOf(types, window, config.layers, where)
    return {
      ...config,
      biased: [...(fields.attention_bias ? ATTENTION : []), ...(fields.mlp_bias ? MLP : [])],
      ...layerKinds(config.layers, (layer) => ({ window: windows[layer], rope: isTurned(layer) ? common : null })),
    }
  },
}
