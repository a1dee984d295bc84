/** @file The Llama family (Llama 2 and 3, Mistral, SmolLM2): grouped heads, rotary positions, gated SiLU. */
import { add, mul, reshape, rotary, silu } from '../engine/ops.ts'
import type { ModelConfig } from './config.ts'
import type { Family } from './layer.ts'

export const llama: Family = {
  linears: (config: ModelConfig) => {
    const { hiddenSize: hidden, intermediateSize: middle, headSize, attentionBias: bias, mlpBias } = config
    const query = config.heads * headSize
    const key = config.keyValueHeads * headSize
    return new Map([
      ['self_attn.q_proj', { outputs: query, inputs: hidden, bias }],
      ['self_attn.k_proj', { outputs: key, inputs: hidden, bias }],
      ['self_attn.v_proj', { outputs: key, inputs: hidden, bias }],
      ['self_attn.o_proj', { outputs: hidden, inputs: query, bias }],
      ['mlp.gate_proj', { outputs: middle, inputs: hidden, bias: mlpBias }],
      ['mlp.up_proj', { outputs: middle, inputs: hidden, bias: mlpBias }],
      ['mlp.down_proj', { outputs: hidden, inputs: middle, bias: mlpBias }],
    ])
  },
  norms: () => ['input_layernorm', 'post_attention_layernorm'],
  project: ({ config, linear, norm, cos, sin }, x) => {
    const h = norm('input_layernorm', x)
    const perHead = (module: string, heads: number) => {
      const y = linear(module, h)
      return reshape(y, [y.shape[0], heads, config.headSize])
    }
    return {
      query: rotary(perHead('self_attn.q_proj', config.heads), cos, sin),
      key: rotary(perHead('self_attn.k_proj', config.keyValueHeads), cos, sin),
      value: perHead('self_attn.v_proj', config.keyValueHeads),
    }
  },
  mix: ({ linear, norm }, x, attended) => {
    const middle = add(x, linear('self_attn.o_proj', attended))
    const h = norm('post_attention_layernorm', middle)
    const gated = mul(silu(linear('mlp.gate_proj', h)), linear('mlp.up_proj', h))
    return add(middle, linear('mlp.down_proj', gated))
  },
}
