/** @file The Mistral family: the layer of Llama; a token may see the last ones only. */
import {
  commonRope,
  decoderConfig,
  decoderFields,
  expectValue,
  layerKinds,
  positive,
  readFields,
} from './config-fields.ts'
import type { Family } from './layer.ts'
import { llama } from './llama.ts'

const fieldsOf = decoderFields.extend({ sliding_window: positive.nullish() })

export const mistral: Family = {
  ...llama,
  parse: (json, where) => {
    const fields = readFields(fieldsOf, json, where)
    expectValue(fields.hidden_act, ['silu'], 'hidden_act', where)
    const config = decoderConfig(fields, where)
    const kind = { window: fields.sliding_window ?? null, rope: commonRope(fields, config.headSize, where) }
    return { ...config, ...layerKinds(config.layers, () => kind) }
  },
}
