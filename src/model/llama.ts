/** @file The Llama family (Llama 2 and 3, SmolLM2): grouped heads, rotary positions, gated SiLU. */
import { z } from 'zod'
import { add, mul, reshape, silu } from '../engine/ops.ts'
import type { Value } from '../engine/value.ts'
import { commonRope, decoderConfig, decoderFields, expectValue, layerKinds, readFields } from './config-fields.ts'
import type { Family, LayerBuilder, Projected } from './layer.ts'
import { rms } from './norm.ts'

export const ATTENTION = ['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj', 'self_attn.o_proj'] as const
export const MLP = ['mlp.gate_proj', 'mlp.up_proj', 'mlp.down_proj'] as const

const fieldsOf = decoderFields.extend({
  attention_bias: z.boolean().default(false),
  mlp_bias: z.boolean().default(false),
})

/** What is done to the heads of queries and keys before they are turned. */
type BeforeTurn = (heads: Value, of: 'q' | 'k') => Value

/** Query, key and value from h [T, hidden] by a linear each. */
export function projectHeads(
  { config, linear, turn }: LayerBuilder,
  h: Value,
  before: BeforeTurn = (x) => x,
): Projected {
  const perHead = (module: string, heads: number): Value => {
    const y = linear(module, h)
    return reshape(y, [y.shape[0], heads, config.headSize])
  }
  return {
    query: turn(before(perHead('self_attn.q_proj', config.heads), 'q')),
    key: turn(before(perHead('self_attn.k_proj', config.keyValueHeads), 'k')),
    value: perHead('self_attn.v_proj', config.keyValueHeads),
  }
}

export const llama: Family = {
  parse: (json, where) => {
    const fields = readFields(fieldsOf, json, where)
    expectValue(fields.hidden_act, ['silu'], 'hidden_act', where)
    const config = decoderConfig(fields, where)
    const rope = commonRope(fields, config.headSize, where)
    return {
      ...config,
      biased: [...(fields.attention_bias ? ATTENTION : []), ...(fields.mlp_bias ? MLP : [])],
      ...layerKinds(config.layers, () => ({ window: null, rope })),
    }
  },
  linears: ({ hiddenSize: hidden, intermediateSize: middle, headSize, heads, keyValueHeads, biased }) => {
    const query = heads * headSize
    const key = keyValueHeads * headSize
    const sizes = [
      ['self_attn.q_proj', query, hidden],
      ['self_attn.k_proj', key, hidden],
      ['self_attn.v_proj', key, hidden],
      ['self_attn.o_proj', hidden, query],
      ['mlp.gate_proj', middle, hidden],
      ['mlp.up_proj', middle, hidden],
      ['mlp.down_proj', hidden, middle],
    ] as const
    return new Map(
      sizes.map(([module, outputs, inputs]) => [module, { outputs, inputs, bias: biased.includes(module) }]),
    )
  },
  norm: rms,
  norms: ({ hiddenSize }) =>
    new Map([
      ['input_layernorm', hiddenSize],
      ['post_attention_layernorm', hiddenSize],
    ]),
  finalNorm: 'model.norm',
  headBias: false,
  project: (build, x) => projectHeads(build, build.norm('input_layernorm', x)),
  mix: ({ linear, norm }, x, attended) => {
    const middle = add(x, linear('self_attn.o_proj', attended))
    const h = norm('post_attention_layernorm', middle)
    const gated = mul(silu(linear('mlp.gate_proj', h)), linear('mlp.up_proj', h))
    return add(middle, linear('mlp.down_proj', gated))
  },
}
