/** @file The Qwen 2 and 2.5 family: the layer of Llama with a bias on query, key and value; upper layers may slide. */
import { z } from 'zod'
import {
  commonRope,
  type DecoderFields,
  decoderConfig,
  decoderFields,
  expectValue,
  type FamilyConfig,
  FULL,
  layerKinds,
  readFields,
  SLIDING,
  windowFields,
  windowsOf,
} from './config-fields.ts'
import type { Family } from './layer.ts'
import { llama } from './llama.ts'

const BIASED = ['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj']

/** Of Qwen 2 and 3. */
export const qwenFields = decoderFields.extend({
  ...windowFields,
  use_sliding_window: z.boolean().default(false),
  max_window_layers: z.number().int().min(0).default(28),
  attention_bias: z.boolean().default(false),
})

type QwenFields = z.infer<typeof qwenFields>

/** The configuration of Qwen 2 and 3. Without layer_types, layers from max_window_layers on slide where any may. */
export function qwenConfig(fields: QwenFields & DecoderFields, where: string): FamilyConfig {
  expectValue(fields.hidden_act, ['silu'], 'hidden_act', where)
  const config = decoderConfig(fields, where)
  const window = fields.use_sliding_window ? fields.sliding_window : null
  const slides = (layer: number): boolean => typeof window === 'number' && layer >= fields.max_window_layers
  const types =
    fields.layer_types ?? Array.from({ length: config.layers }, (_, layer) => (slides(layer) ? SLIDING : FULL))
  const windows = windowsOf(types, window, config.layers, where)
  const rope = commonRope(fields, config.headSize, where)
  return { ...config, ...layerKinds(config.layers, (layer) => ({ window: windows[layer], rope })) }
}

export const qwen2: Family = {
  ...llama,
  parse: (json, where) => ({ ...qwenConfig(readFields(qwenFields, json, where), where), biased: BIASED }),
}
