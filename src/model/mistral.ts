/** @file The Mistral family: the layer of Llama; a token may see the last ones only, in all layers or in some. */
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
import { llama } from './llama.ts'

const fieldsOf = decoderFields.extend({
  ...windowFields,
  num_key_value_heads: positive.nullable().default(8),
  max_position_embeddings: positive.default(131072),
  sliding_window: positive.nullable().default(4096),
})

export const mistral: Family = {
  ...llama,
  parse: (json, where) => {
    const fields = readFields(fieldsOf, json, where)
    expectValue(fields.hidden_act, ['silu'], 'hidden_act', where)
    const config = decoderConfig(fields, where)
    // Types of layers are Ministral's; transformers takes a model that names them for one.
    const { sliding_window: window, layer_types = null } = fields
    const types = layer_types ?? Array.from({ length: config.layers }, () => (window === null ? FULL : SLIDING))
    const windows = windowsOf(types, window, config.layers, where)
    const rope = commonRope(fields, config.headSize, where)
    return { ...config, ...layerKinds(config.layers, (layer) => ({ window: windows[layer], rope })) }
  },
}
