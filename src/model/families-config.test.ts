/** config.json of every family: what is read of it, in old names and new, and what is refused. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { UserError } from '../base/errors.ts'
import { parseModelConfig } from './families.ts'
import { initialModel } from './initial.ts'
import { namedWeights } from './weights.ts'

const folder = mkdtempSync(join(tmpdir(), 'stepdpo-families-'))
afterAll(() => rmSync(folder, { recursive: true }))

const sizes = {
  vocab_size: 20,
  hidden_size: 16,
  intermediate_size: 24,
  num_hidden_layers: 6,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  head_dim: 8,
}
const parse = (fields: Readonly<Record<string, unknown>>) => parseModelConfig({ ...sizes, ...fields }, 'config.json')

/** Of each layer, its window and the base of its rotary positions, null where it has none. */
function layersOf(fields: Readonly<Record<string, unknown>>) {
  const { kinds, kindOf } = parse(fields)
  return kindOf.map((kind) => [kinds[kind].window, kinds[kind].rope?.theta ?? null])
}

const times = <T>(count: number, value: T): T[] => Array.from({ length: count }, () => value)

test('layers of Qwen slide from max_window_layers on where any may, or as layer_types says', () => {
  const sliding = { use_sliding_window: true, sliding_window: 7, max_window_layers: 4 }
  const seen = (window: number | null) => [window, 10000]
  for (const model_type of ['qwen2', 'qwen3']) {
    expect(layersOf({ model_type, ...sliding, use_sliding_window: false })).toEqual(times(6, seen(null)))
    expect(layersOf({ model_type, ...sliding })).toEqual([...times(4, seen(null)), ...times(2, seen(7))])
    const layer_types = ['sliding_attention', ...times(5, 'full_attention')]
    expect(layersOf({ model_type, ...sliding, layer_types })).toEqual([seen(7), ...times(5, seen(null))])
    const without = { model_type, ...sliding, use_sliding_window: false, layer_types }
    expect(() => parse(without)).toThrow('layers of type sliding_attention need sliding_window, found none')
    expect(() => parse({ model_type, layer_types: ['full_attention'] })).toThrow('expected 6 layer_types, found 1')
    expect(() => parse({ model_type, layer_types: times(6, 'chunked') })).toThrow('a layer type "chunked"')
  }
})

test('every fourth layer of SmolLM3 has no rotary positions unless it is said otherwise, and only these slide', () => {
  const [turned, plain] = [
    [null, 2e6],
    [null, null],
  ]
  const smollm3 = { model_type: 'smollm3' }
  expect(layersOf(smollm3)).toEqual([turned, turned, turned, plain, turned, turned])
  expect(layersOf({ ...smollm3, no_rope_layer_interval: 2 })).toEqual([turned, plain, turned, plain, turned, plain])
  expect(layersOf({ ...smollm3, no_rope_layers: [0, 1, 1, 1, 1, 0] })).toEqual([plain, ...times(4, turned), plain])
  const sliding = { ...smollm3, use_sliding_window: true, sliding_window: 5 }
  expect(layersOf(sliding)).toEqual([turned, turned, turned, [5, null], turned, turned])
})

test('Gemma 3 in the names of transformers 4 is what it is in those of 5', () => {
  const gemma = { model_type: 'gemma3_text', sliding_window: 9, query_pre_attn_scalar: 4 }
  const old = parse({
    ...gemma,
    sliding_window_pattern: 3,
    rope_theta: 500,
    rope_local_base_freq: 50,
    rope_scaling: { rope_type: 'linear', factor: 8 },
  })
  const local = ['sliding_attention', 'sliding_attention', 'full_attention']
  const now = parse({
    ...gemma,
    layer_types: [...local, ...local],
    rope_parameters: {
      full_attention: { rope_type: 'linear', factor: 8, rope_theta: 500 },
      sliding_attention: { rope_type: 'default', rope_theta: 50 },
    },
  })
  expect(old).toEqual(now)
  expect(old.kindOf).toEqual([0, 0, 1, 0, 0, 1])
  expect(old).toMatchObject({ attentionScale: 0.5, embeddingScale: 4, tiedHead: true })
  expect(old.kinds).toMatchObject([
    { window: 9, rope: { theta: 50, scaling: { kind: 'none' }, size: 8 } },
    { window: null, rope: { theta: 500, scaling: { kind: 'linear', factor: 8 } } },
  ])
})

test('Phi turns the part of a head that its configuration names in either place, half where in none', () => {
  const sizeOf = (fields: object) => parse({ model_type: 'phi', head_dim: 20, ...fields }).kinds[0].rope?.size
  expect(sizeOf({})).toBe(10)
  expect(sizeOf({ partial_rotary_factor: 0.4 })).toBe(8)
  expect(sizeOf({ rope_parameters: { partial_rotary_factor: 0.2 } })).toBe(4)
  expect(() => sizeOf({ partial_rotary_factor: 0.25 })).toThrow(
    'an even number of rotary dimensions in a head, found 5',
  )
})

test('Mistral sees 4,096 tokens where nothing is said, all with null, and by layer where layers have types', () => {
  const windows = (fields: object): readonly (number | null)[] => {
    const { kinds, kindOf } = parse({ model_type: 'mistral', num_hidden_layers: 2, ...fields })
    return kindOf.map((kind) => kinds[kind].window)
  }
  expect(windows({})).toEqual([4096, 4096])
  expect(windows({ sliding_window: null })).toEqual([null, null])
  expect(windows({ sliding_window: 5 })).toEqual([5, 5])
  const layer_types = ['sliding_attention', 'full_attention']
  expect(windows({ sliding_window: 5, layer_types })).toEqual([5, null])
})

test('rope_scaling outweighs rope_parameters, as in transformers', () => {
  const scaling = (model_type: string, fields: object, layer = 0): unknown => {
    const { kinds, kindOf } = parse({ model_type, head_dim: 4, num_hidden_layers: 6, ...fields })
    return kinds[kindOf[layer]].rope?.scaling
  }
  const linear = { rope_type: 'linear', factor: 4 }
  const plain = { rope_type: 'default', rope_theta: 5 }
  expect(scaling('llama', { rope_parameters: plain, rope_scaling: linear })).toEqual({ kind: 'linear', factor: 4 })
  expect(scaling('llama', { rope_parameters: linear, rope_scaling: {} })).toEqual({ kind: 'linear', factor: 4 })
  const both = { rope_parameters: { full_attention: plain, sliding_attention: plain }, rope_scaling: linear }
  expect(scaling('gemma3_text', both, 5)).toEqual({ kind: 'linear', factor: 4 })
  expect(scaling('gemma3_text', both, 0)).toEqual({ kind: 'none' })
})

test('Phi-3 calls longrope also su and yarn, and knows no other', () => {
  const scaled = (rope_scaling: object) => parse({ model_type: 'phi3', head_dim: 4, rope_scaling })
  for (const type of ['longrope', 'su', 'yarn']) {
    const { kinds } = scaled({ type, short_factor: [1, 2], long_factor: [3, 4] })
    expect(kinds[0].rope?.scaling).toMatchObject({ kind: 'longrope', factors: [1, 2] })
  }
  expect(() => scaled({ type: 'linear', factor: 2 })).toThrow('the rope type "linear" is not supported')
})

test('the length of pretraining is where transformers looks for it, and else that of the model', () => {
  const scaling = (model_type: string, fields: object): unknown =>
    parse({ model_type, max_position_embeddings: 64, head_dim: 4, ...fields }).kinds[0].rope?.scaling
  const yarn = { type: 'yarn', factor: 4 }
  const long = { type: 'longrope', short_factor: [1, 1], long_factor: [2, 2] }
  expect(scaling('qwen2', { rope_scaling: yarn })).toMatchObject({ originalPositions: 64 })
  expect(scaling('qwen2', { rope_scaling: { ...yarn, original_max_position_embeddings: 16 } })).toMatchObject({
    originalPositions: 16,
  })
  expect(scaling('phi3', { rope_scaling: { ...long, original_max_position_embeddings: 16 } })).toMatchObject({
    originalPositions: 4096,
  })
  expect(scaling('phi3', { original_max_position_embeddings: 16, rope_scaling: long })).toMatchObject({
    originalPositions: 16,
  })
})

test.each<[string, object, string]>([
  [
    'phi3',
    { head_dim: 4, original_max_position_embeddings: 8, rope_scaling: { type: 'su', short_factor: [1] } },
    'expected 2 numbers as short_factor of longrope, found 1',
  ],
  [
    'qwen2',
    { rope_scaling: { type: 'dynamic', factor: 4 } },
    "rope type 'dynamic' is not supported; supported are default, linear, llama3, yarn, longrope",
  ],
  ['phi', { qk_layernorm: true }, 'qk_layernorm true is not supported, expected false'],
  ['phi', { hidden_act: 'gelu' }, 'hidden_act "gelu" is not supported, expected "gelu_new" or'],
  ['llama', { hidden_act: 'gelu' }, 'hidden_act "gelu" is not supported, expected "silu"'],
  ['gemma3_text', { final_logit_softcapping: 30 }, 'final_logit_softcapping 30 is not supported, expected null'],
  ['gemma3_text', { attn_logit_softcapping: 50 }, 'attn_logit_softcapping 50 is not supported'],
  ['gemma3_text', { use_bidirectional_attention: true }, 'use_bidirectional_attention true is not supported'],
  [
    'gemma3',
    {},
    "'gemma3' is not supported; supported are llama, mistral, qwen2, qwen3, phi, phi3, smollm3, gemma3_text",
  ],
  ['qwen3', { head_dim: undefined }, 'head_dim'],
  ['llama', { num_hidden_layers: 1e9 }, 'num_hidden_layers'],
  ['constructor', {}, "model_type 'constructor' is not supported"],
])('%s with %j is refused', (model_type, fields, message) => {
  expect(() => parse({ model_type, ...fields })).toThrow(UserError)
  expect(() => parse({ model_type, ...fields })).toThrow(message)
})

test.each(['qwen2', 'phi', 'gemma3_text'])('a new %s model has norms that only scale, and biases of zeros', (name) => {
  writeFileSync(join(folder, 'config.json'), JSON.stringify({ ...sizes, model_type: name, num_hidden_layers: 1 }))
  const named = namedWeights(initialModel(folder, 1).weights)
  const flat = (tensor: string, value: number) => expect(new Set(named.get(tensor)?.data)).toEqual(new Set([value]))
  for (const tensor of named.keys()) {
    if (tensor.endsWith('norm.weight')) flat(tensor, name === 'gemma3_text' ? 0 : 1)
    if (tensor.endsWith('.bias')) flat(tensor, 0)
  }
  expect(named.has('lm_head.bias')).toBe(name === 'phi')
  expect(named.has('model.layers.0.self_attn.q_proj.bias')).toBe(name !== 'gemma3_text')
})
