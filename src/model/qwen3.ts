/** @file The Qwen 3 family: the layer of Llama with a norm on each head of queries and keys. */
import { positive, readFields } from './config-fields.ts'
import type { Family } from './layer.ts'
import { ATTENTION, llama, projectHeads } from './llama.ts'
import { qwenConfig, qwenFields } from './qwen2.ts'

// Its head size is not hidden size / heads, and no guess is made.
const fieldsOf = qwenFields.extend({ head_dim: positive })

export const qwen3: Family = {
  ...llama,
  parse: (json, where) => {
    const fields = readFields(fieldsOf, json, where)
    return { ...qwenConfig(fields, where), biased: fields.attention_bias ? ATTENTION : [] }
  },
  norms: (config) =>
    new Map([...llama.norms(config), ['self_attn.q_norm', config.headSize], ['self_attn.k_norm', config.headSize]]),
  project: (build, x) => {
    const { norm } = build
    return projectHeads(build, norm('input_layernorm', x), (heads, of) => norm(`self_attn.${of}_norm`, heads))
  },
}
