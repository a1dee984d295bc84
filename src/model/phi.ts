/** @file The Phi family (Phi-1, 1.5 and 2): attention and a plain GELU side by side, after one norm with a mean. */
import { z } from 'zod'
import { add, gelu } from '../engine/ops.ts'
import { commonRope, decoderConfig, decoderFields, expectValue, layerKinds, readFields } from './config-fields.ts'
import type { Family } from './layer.ts'
import { projectHeads } from './llama.ts'
import { centred } from './norm.ts'

const fieldsOf = decoderFields.extend({
  hidden_act: z.string().default('gelu_new'),
  layer_norm_eps: z.number().positive().default(1e-5),
  partial_rotary_factor: z.number().positive().max(1).default(0.5),
  qk_layernorm: z.boolean().default(false),
})

export const phi: Family = {
  parse: (json, where) => {
    const fields = readFields(fieldsOf, json, where)
    expectValue(fields.hidden_act, ['gelu_new', 'gelu_pytorch_tanh'], 'hidden_act', where)
    expectValue(fields.qk_layernorm, [false], 'qk_layernorm', where)
    const config = decoderConfig(fields, where)
    const rope = commonRope(fields, config.headSize, where, fields.partial_rotary_factor)
    return {
      ...config,
      normEpsilon: fields.layer_norm_eps,
      ...layerKinds(config.layers, () => ({ window: null, rope })),
    }
  },
  linears: ({ hiddenSize: hidden, intermediateSize: middle, headSize, heads, keyValueHeads }) => {
    const query = heads * headSize
    const key = keyValueHeads * headSize
    const bias = true
    return new Map([
      ['self_attn.q_proj', { outputs: query, inputs: hidden, bias }],
      ['self_attn.k_proj', { outputs: key, inputs: hidden, bias }],
      ['self_attn.v_proj', { outputs: key, inputs: hidden, bias }],
      ['self_attn.dense', { outputs: hidden, inputs: query, bias }],
      ['mlp.fc1', { outputs: middle, inputs: hidden, bias }],
      ['mlp.fc2', { outputs: hidden, inputs: middle, bias }],
    ])
  },
  norm: centred,
  norms: ({ hiddenSize }) => new Map([['input_layernorm', hiddenSize]]),
  finalNorm: 'model.final_layernorm',
  headBias: true,
  project: (build, x) => projectHeads(build, build.norm('input_layernorm', x)),
  mix: ({ linear, norm }, x, attended) => {
    const beside = linear('mlp.fc2', gelu(linear('mlp.fc1', norm('input_layernorm', x))))
    return add(add(linear('self_attn.dense', attended), beside), x)
  },
}
