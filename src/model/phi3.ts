/** @file The Phi-3 family (Phi-3, 3.5 and 4): the layer of Llama with query, key and value, and gate and up, fused. */
import { z } from 'zod'
import { add, mul, reshape, silu, slice } from '../engine/ops.ts'
import type { Value } from '../engine/value.ts'
import {
  commonRope,
  type DecoderFields,
  decoderConfig,
  decoderFields,
  expectValue,
  layerKinds,
  positive,
  readFields,
  statedRope,
} from './config-fields.ts'
import type { Family } from './layer.ts'
import { llama } from './llama.ts'

const fieldsOf = decoderFields.extend({
  rms_norm_eps: z.number().positive().default(1e-5),
  partial_rotary_factor: z.number().positive().max(1).default(1),
  sliding_window: positive.nullish(),
  // transformers does not look for it beside the factors of longrope.
  original_max_position_embeddings: positive.default(4096),
})

/** The fields with longrope under that name: the first Phi-3 models called it su and yarn. Others have no meaning here. */
function renamed(fields: DecoderFields, where: string): DecoderFields {
  const stated = statedRope(fields)
  const type = stated.rope_type ?? stated.type ?? 'default'
  expectValue(type, ['default', 'longrope', 'su', 'yarn'], 'the rope type', where)
  return { ...fields, rope_scaling: { ...stated, rope_type: type === 'default' ? type : 'longrope' } }
}

export const phi3: Family = {
  ...llama,
  parse: (json, where) => {
    const fields = readFields(fieldsOf, json, where)
    expectValue(fields.hidden_act, ['silu'], 'hidden_act', where)
    const config = decoderConfig(fields, where)
    const rope = commonRope(renamed(fields, where), config.headSize, where, fields.partial_rotary_factor)
    return { ...config, ...layerKinds(config.layers, () => ({ window: fields.sliding_window ?? null, rope })) }
  },
  linears: ({ hiddenSize: hidden, intermediateSize: middle, headSize, heads, keyValueHeads }) => {
    const query = heads * headSize
    return new Map([
      ['self_attn.qkv_proj', { outputs: query + 2 * keyValueHeads * headSize, inputs: hidden, bias: false }],
      ['self_attn.o_proj', { outputs: hidden, inputs: query, bias: false }],
      ['mlp.gate_up_proj', { outputs: 2 * middle, inputs: hidden, bias: false }],
      ['mlp.down_proj', { outputs: hidden, inputs: middle, bias: false }],
    ])
  },
  project: ({ config, linear, norm, turn }, x) => {
    const { heads, keyValueHeads, headSize } = config
    const all = linear('self_attn.qkv_proj', norm('input_layernorm', x))
    const headsAt = (first: number, count: number): Value =>
      reshape(slice(all, 1, first * headSize, (first + count) * headSize), [all.shape[0], count, headSize])
    return {
      query: turn(headsAt(0, heads)),
      key: turn(headsAt(heads, keyValueHeads)),
      value: headsAt(heads + keyValueHeads, keyValueHeads),
    }
  },
  mix: ({ config, linear, norm }, x, attended) => {
    const middle = add(x, linear('self_attn.o_proj', attended))
    const both = linear('mlp.gate_up_proj', norm('post_attention_layernorm', middle))
    const half = config.intermediateSize
    const gated = mul(silu(slice(both, 1, 0, half)), slice(both, 1, half, 2 * half))
    return add(middle, linear('mlp.down_proj', gated))
  },
}
