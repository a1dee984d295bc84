/**
 * @file The Gemma 3 family, its text models: four norms a layer, one on each head of queries and keys, gated GELU,
 * layers that slide and layers that see all, each with rotary positions of their own.
 */
import { z } from 'zod'
import { add, gelu, mul } from '../engine/ops.ts'
import {
  decoderConfig,
  decoderFields,
  expectValue,
  FULL,
  layerKinds,
  positive,
  readFields,
  readRope,
  SLIDING,
  statedReach,
  windowFields,
  windowsOf,
} from './config-fields.ts'
import type { Family } from './layer.ts'
import { ATTENTION, llama, projectHeads } from './llama.ts'
import { rmsAboveOne } from './norm.ts'
import { type RopeFields, ropeFields } from './rope-scaling.ts'

const fieldsOf = decoderFields.extend({
  ...windowFields,
  hidden_activation: z.string().default('gelu_pytorch_tanh'),
  num_key_value_heads: positive,
  head_dim: positive,
  max_position_embeddings: positive.default(131072),
  tie_word_embeddings: z.boolean().default(true),
  query_pre_attn_scalar: z.number().positive().default(256),
  sliding_window: positive.default(4096),
  sliding_window_pattern: positive.default(6),
  attention_bias: z.boolean().default(false),
  /** By the type of layer. */
  rope_parameters: z.looseObject({ [FULL]: ropeFields.nullish(), [SLIDING]: ropeFields.nullish() }).nullish(),
  rope_theta: z.number().positive().default(1e6),
  rope_local_base_freq: z.number().positive().default(10000),
  attn_logit_softcapping: z.number().nullish(),
  final_logit_softcapping: z.number().nullish(),
  use_bidirectional_attention: z.boolean().nullish(),
})

export const gemma3: Family = {
  ...llama,
  parse: (json, where) => {
    const fields = readFields(fieldsOf, json, where)
    expectValue(fields.hidden_activation, ['gelu_pytorch_tanh'], 'hidden_activation', where)
    for (const name of ['attn_logit_softcapping', 'final_logit_softcapping'] as const) {
      expectValue(fields[name] ?? null, [null], name, where)
    }
    expectValue(fields.use_bidirectional_attention ?? false, [false], 'use_bidirectional_attention', where)
    // hidden_act is not of this family, nor is rope_parameters as others have it.
    const config = decoderConfig({ ...fields, rope_parameters: null }, where)
    const ropeOf = (own: RopeFields | null | undefined, theta: number) =>
      readRope({ fields: own, theta, reach: statedReach(fields), headSize: config.headSize, part: 1 }, where)
    const full = { ...(fields.rope_parameters?.[FULL] ?? { rope_type: 'default' }), ...fields.rope_scaling }
    const ropes = {
      full: ropeOf(full, fields.rope_theta),
      sliding: ropeOf(fields.rope_parameters?.[SLIDING], fields.rope_local_base_freq),
    }
    const types =
      fields.layer_types ??
      Array.from({ length: config.layers }, (_, layer) =>
        (layer + 1) % fields.sliding_window_pattern === 0 ? FULL : SLIDING,
      )
    const windows = windowsOf(types, fields.sliding_window, config.layers, where)
    return {
      ...config,
      biased: fields.attention_bias ? ATTENTION : [],
      attentionScale: 1 / Math.sqrt(fields.query_pre_attn_scalar),
      embeddingScale: Math.fround(Math.sqrt(config.hiddenSize)),
      ...layerKinds(config.layers, (layer) => ({
        window: windows[layer],
        rope: windows[layer] === null ? ropes.full : ropes.sliding,
      })),
    }
  },
  norm: rmsAboveOne,
  norms: ({ hiddenSize, headSize }) =>
    new Map([
      ['input_layernorm', hiddenSize],
      ['self_attn.q_norm', headSize],
      ['self_attn.k_norm', headSize],
      ['post_attention_layernorm', hiddenSize],
      ['pre_feedforward_layernorm', hiddenSize],
      ['post_feedforward_layernorm', hiddenSize],
    ]),
  project: (build, x) => {
    const { norm } = build
    return projectHeads(build, norm('input_layernorm', x), (heads, of) => norm(`self_attn.${of}_norm`, heads))
  },
  mix: ({ linear, norm }, x, attended) => {
    const middle = add(x, norm('post_attention_layernorm', linear('self_attn.o_proj', attended)))
    const h = norm('pre_feedforward_layernorm', middle)
    const gated = mul(gelu(linear('mlp.gate_proj', h)), linear('mlp.up_proj', h))
    return add(middle, norm('post_feedforward_layernorm', linear('mlp.down_proj', gated)))
  },
}
