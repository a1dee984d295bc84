import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type GgufFile, openGguf } from './gguf.ts'
import { ggufConfig } from './gguf-config.ts'
import type { GgufValue } from './gguf-metadata.ts'
import { loadModel } from './load.ts'

const fixture = join(import.meta.dirname, '../../test/fixtures/gguf/small.gguf')
const model = join(import.meta.dirname, '../../../shared/models/SmolLM2-135M-Instruct')

/** The small file with other metadata; undefined takes a key away. */
function changed(changes: Readonly<Record<string, GgufValue | undefined>>): GgufFile {
  const file = openGguf(fixture)
  file.close()
  const metadata = new Map(file.metadata)
  for (const [key, value] of Object.entries(changes)) {
    if (value === undefined) metadata.delete(key)
    else metadata.set(key, value)
  }
  return { ...file, metadata }
}

test('a file written from settings gives these settings back', () => {
  expect(ggufConfig(changed({}))).toEqual({
    model_type: 'llama',
    hidden_act: 'silu',
    vocab_size: 32,
    hidden_size: 64,
    intermediate_size: 96,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    head_dim: 16,
    max_position_embeddings: 128,
    rms_norm_eps: Math.fround(1e-5),
    rope_theta: 5000,
    rope_scaling: null,
    attention_bias: true,
    mlp_bias: false,
    tie_word_embeddings: true,
    bos_token_id: 1,
    eos_token_id: 2,
  })
})

test('what a file leaves out is what llama.cpp takes for it', () => {
  const missing = changed({
    'llama.attention.head_count_kv': undefined,
    'llama.rope.freq_base': undefined,
    'llama.rope.dimension_count': undefined,
    'tokenizer.ggml.bos_token_id': undefined,
  })
  expect(ggufConfig(missing)).toMatchObject({
    num_key_value_heads: 4,
    rope_theta: 10000,
    head_dim: 16,
    bos_token_id: null,
  })
  const scaled = changed({ 'llama.rope.scaling.type': 'linear', 'llama.rope.scaling.factor': 4 })
  expect(ggufConfig(scaled)['rope_scaling']).toEqual({ rope_type: 'linear', factor: 4 })
})

test.each<[string, GgufValue | undefined, string]>([
  ['general.architecture', 'mamba', "an architecture of llama, qwen2, qwen3, phi3, smollm3, gemma3, found 'mamba'"],
  ['general.architecture', ['llama'], 'an architecture of llama'],
  ['llama.block_count', undefined, "a positive number as 'llama.block_count', found undefined"],
  ['llama.block_count', 2.5, "a whole number as 'llama.block_count', found 2.5"],
  ['llama.block_count', 2n ** 60n, "a positive number as 'llama.block_count'"],
  ['llama.attention.head_count', 0, "a positive number as 'llama.attention.head_count', found 0"],
  ['llama.attention.head_count', [4, 4], "a positive number as 'llama.attention.head_count'"],
  ['llama.attention.head_count', 3, "a whole number as 'llama.attention.key_length'"],
  ['llama.rope.dimension_count', 8, '16 rotary dimensions, all of a head, found 8'],
  ['llama.rope.freq_base', Number.NaN, "a positive number as 'llama.rope.freq_base', found NaN"],
  [
    'llama.rope.scaling.yarn_beta_fast',
    16,
    'only type, factor, original_context_length, finetuned, attn_factor, found',
  ],
  ['llama.rope.scaling.type', 'linear', "a positive number as 'llama.rope.scaling.factor', found undefined"],
])('%s = %s is refused', (key, value, message) => {
  expect(() => ggufConfig(changed({ [key]: value }))).toThrow(message)
})

test.skipIf(!existsSync(model))('the settings of SmolLM2 are those of its config.json', () => {
  const file = openGguf(join(model, 'SmolLM2-135M-Instruct.Q4_1.gguf'))
  file.close()
  const { rope_scaling, ...config } = ggufConfig(file)
  expect(rope_scaling).toBeNull() // config.json says so by 'default' in its newer rope_parameters
  expect(JSON.parse(readFileSync(join(model, 'config.json'), 'utf8'))).toMatchObject(config)
})

const models = ['qwen2', 'qwen3', 'phi3', 'gemma3', 'smollm3', 'phi3-longrope', 'qwen2-yarn']

test.each(models)('a %s model from a GGUF file is the one of its folder', (name) => {
  const families = join(import.meta.dirname, '../../test/fixtures/gguf/families')
  const found = loadModel(join(families, `${name}.gguf`))
  const expected = loadModel(join(families, name))
  // Files hold an attention factor in float32, in which it is used.
  const rounded = (_: string, value: unknown) => (typeof value === 'number' ? Math.fround(value) : value)
  expect(JSON.parse(JSON.stringify(found.config, rounded))).toEqual(
    JSON.parse(JSON.stringify(expected.config, rounded)),
  )
  expect(found.weights).toEqual(expected.weights)
})
