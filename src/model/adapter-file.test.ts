import { cpSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { folderMaker } from '../../test/folders.ts'
import { committedPath } from '../../test/oracle.ts'
import { writeDurably } from '../base/files.ts'
import { ortBackend } from '../engine/session.ts'
import { ADAPTER_CONFIG, ADAPTER_WEIGHTS, loadAdapter, namedFactors, saveAdapter } from './adapter-file.ts'
import { adapterLearner } from './learner.ts'
import { loadModel } from './load.ts'
import { type Adapter, adaptedLayers } from './lora.ts'
import { makeMachine } from './machine.ts'
import { backwardRow, forwardRow, logitsOf } from './pass.ts'
import { sequenceRow } from './row.ts'
import { openSafetensors } from './safetensors.ts'
import { safetensorsParts, type WritableTensor } from './safetensors-write.ts'

const newFolder = folderMaker()
const { config, weights } = loadModel(committedPath('models/llama'))
const machine = makeMachine(ortBackend({ threads: 1 }), config, weights)

/** Of PEFT (test/fixtures/adapters/make.py). */
const fixture = (name: string): string =>
  fileURLToPath(new URL(`../../test/fixtures/adapters/${name}`, import.meta.url))

/** The largest difference from the logits that PEFT has with the adapter. */
async function distanceFromPeft(adapter: Adapter, name: string): Promise<number> {
  const file = openSafetensors(join(fixture(name), 'reference.safetensors'))
  const ids = Array.from(file.read('ids'), Number)
  const expected = file.readFloat32('logits')
  file.close()
  const { data } = await logitsOf(machine, sequenceRow(ids), adaptedLayers(machine, adapter))
  return expected.reduce((most, value, at) => Math.max(most, Math.abs(value - data[at])), 0)
}

/** A copy of the adapter peft/llama-qv with other settings. */
function changed(settings: Readonly<Record<string, unknown>>): string {
  const folder = newFolder()
  cpSync(committedPath('peft/llama-qv'), folder, { recursive: true })
  const path = join(folder, ADAPTER_CONFIG)
  writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, 'utf8')), ...settings }))
  return folder
}

describe.each(['patterns', 'partial'])('an adapter of PEFT with settings by module: %s', (name) => {
  const adapter = loadAdapter(fixture(name), config)

  test('computes the logits of PEFT', async () => {
    expect(await distanceFromPeft(adapter, name)).toBeLessThan(5e-5)
  })

  test('saved with one rank and its modules by name, computes them again', async () => {
    const folder = newFolder()
    saveAdapter(folder, adapter, 'base')
    expect(await distanceFromPeft(loadAdapter(folder, config), name)).toBeLessThan(5e-5)
  })
})

test('what fills up a smaller rank is zero and learns nothing', async () => {
  const adapter = loadAdapter(fixture('patterns'), config)
  const learner = adapterLearner(machine, adapter)
  const row = sequenceRow([5, 17, 100, 33, 201, 9, 77])
  const pass = await forwardRow(machine, row, learner.layers(''), 'products')
  await backwardRow(machine, pass, new Float32Array(row.scored.length).fill(1), learner.gradients)
  const name = 'base_model.model.model.layers.0.self_attn.q_proj.lora_'
  for (const { name: own, values, gradient } of learner.parameters) {
    if (!own.startsWith(name)) continue
    // Its rank is 1, the largest is 3: A [3, 48] has a row of its own, B [48, 3] a column.
    const isOwn = (at: number): boolean => (own.includes('lora_A') ? at < 48 : at % 3 === 0)
    const split = (numbers: ArrayLike<number>) =>
      [true, false].map((kept) => Array.from(numbers).filter((_, at) => isOwn(at) === kept))
    for (const [kept, filled] of [split(values), split(gradient)]) {
      expect(kept.every((value) => value !== 0)).toBe(true)
      expect(filled.length).toBe(96)
      expect(filled.every((value) => value === 0)).toBe(true)
    }
  }
})

test('an adapter on some layers only is saved with the full names of its modules', () => {
  const { settings } = loadAdapter(fixture('partial'), config)
  expect(settings.targets).toEqual(['model.layers.1.self_attn.q_proj'])
})

test.each([
  ['use_dora', true],
  ['modules_to_save', ['lm_head']],
  ['fan_in_fan_out', true],
  ['bias', 'all'],
  ['lora_bias', true],
  ['layer_replication', [[0, 2]]],
  ['trainable_token_indices', [1]],
  ['target_parameters', ['experts']],
  ['kasa_config', { beta: 1 }],
  ['init_lora_weights', 'pissa_niter_4'],
  ['rank_pattern', { '.*q_proj': 4 }],
])('the setting %s is refused by its name, with what to do', (name, value) => {
  const load = () => loadAdapter(changed({ [name]: value }), config)
  expect(load).toThrow(new RegExp(`${ADAPTER_CONFIG}: ${name}.*merge it with PEFT`))
})

test('another kind of adapter is refused by its name, whatever fields it has', () => {
  const folder = newFolder()
  writeFileSync(join(folder, ADAPTER_CONFIG), '{"peft_type": "IA3", "feedforward_modules": ["down_proj"]}')
  expect(() => loadAdapter(folder, config)).toThrow(/expected peft_type LORA, found IA3: merge it with PEFT/)
})

test.each([
  ['rank_pattern', { v_proj: 3 }, /a tensor '.*v_proj.lora_A.weight' \[3, 48\], found \[4, 48\]/],
  ['layers_to_transform', 0, /factors in layers_to_transform only, found 'model.layers.1.self_attn.q_proj'/],
  ['target_modules', ['q_proj', 'v_proj', 'o_proj'], /factors of model.layers.0.self_attn.o_proj, a target module/],
  ['target_modules', ['q_proj'], /factors of target_modules only, found 'model.layers.0.self_attn.v_proj'/],
  ['target_modules', ['nose'], /factors of target_modules only, found 'model.layers.0.self_attn.q_proj'/],
  ['exclude_modules', ['v_proj'], /no factors of exclude_modules, found 'model.layers.0.self_attn.v_proj'/],
])('a file that is not as its %s says is refused', (name, value, says) => {
  expect(() => loadAdapter(changed({ [name]: value }), config)).toThrow(says)
})

test('an empty layers_to_transform stands for all layers', () => {
  const { layers } = loadAdapter(changed({ layers_to_transform: [] }), config)
  expect(layers.every((tensors) => Object.keys(tensors).length > 0)).toBe(true)
})

test('targets that this model has not are passed over, as lists for several families have them', () => {
  const { settings } = loadAdapter(changed({ target_modules: ['q_proj', 'v_proj', 'qkv_proj', 'nose'] }), config)
  expect(settings.targets).toEqual(['q_proj', 'v_proj'])
})

test('a rank larger than any weight is refused before the others are filled up to it', () => {
  const folder = changed({ rank_pattern: { 'model.layers.0.self_attn.q_proj': 60 }, target_modules: ['q_proj'] })
  const { layers } = loadAdapter(committedPath('peft/llama-qv'), config)
  const tensors = new Map<string, WritableTensor>()
  layers.forEach((own, layer) => {
    const name = `base_model.model.model.layers.${layer}.self_attn.q_proj.lora_`
    const rank = layer === 0 ? 60 : own['self_attn.q_proj.lora_A.weight'].shape[0]
    tensors.set(`${name}A.weight`, { data: new Float32Array(rank * 48), shape: [rank, 48] })
    tensors.set(`${name}B.weight`, { data: new Float32Array(48 * rank), shape: [48, rank] })
  })
  writeDurably(join(folder, ADAPTER_WEIGHTS), safetensorsParts(tensors))
  expect(() => loadAdapter(folder, config)).toThrow(/ranks of at most 48, as large as a weight, found 60/)
})

test.each([
  ['lm_head.lora_A.weight', /LoRA on the head is not supported: merge it with PEFT/],
  ['lm_head.base_layer.weight', /LoRA on the head is not supported: merge it with PEFT/],
  ['model.embed_tokens.lora_embedding_A', /LoRA on the embedding is not supported: merge it with PEFT/],
  ['model.embed_tokens.base_layer.weight', /LoRA on the embedding is not supported: merge it with PEFT/],
  ['model.embed_tokens.weight', /an embedding or a head beside the factors is not supported: merge it with PEFT/],
  ['model.layers.0.nose.lora_A.weight', /factors of linears of this llama model only, found '.*nose/],
])('a tensor %s is refused by what it is', (name, says) => {
  const folder = changed({})
  const own = namedFactors(loadAdapter(folder, config))
  const tensors = new Map<string, WritableTensor>([
    [`base_model.model.${name}`, { data: new Float32Array(4), shape: [4] }],
    ...own,
  ])
  writeDurably(join(folder, ADAPTER_WEIGHTS), safetensorsParts(tensors))
  expect(() => loadAdapter(folder, config)).toThrow(says)
})

test('weights in pickles are refused with the way to convert them', () => {
  const folder = changed({})
  renameSync(join(folder, ADAPTER_WEIGHTS), join(folder, 'adapter_model.bin'))
  expect(() => loadAdapter(folder, config)).toThrow(
    /adapter_model.bin holds pickles: .*save_pretrained\(folder\) writes adapter_model.safetensors/,
  )
})

test('beginnings that leave the base model as it is are taken', () => {
  for (const name of ['gaussian', 'eva', 'orthogonal', false]) loadAdapter(changed({ init_lora_weights: name }), config)
})
