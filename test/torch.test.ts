/** What is said of `--engine torch` before Python is asked; what Python does then is tested in python/tests. */
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import type { TrainInput } from '../src/recipe/config.ts'
import { makeSite, runToEnd, settingsFor, testWorld } from './run.ts'

const site = makeSite(3)
afterAll(() => rmSync(site.folder, { recursive: true }))

function runTorch(name: string, more: Partial<TrainInput>): Promise<unknown> {
  const torch = { engine: 'torch', torch_python: join(site.folder, 'none'), lora_dropout: 0 } as const
  return runToEnd(settingsFor(site, name, { ...torch, ...more }), testWorld(site))
}

test('a model that PyTorch does not load is refused first', async () => {
  const gguf = join(import.meta.dirname, 'fixtures/gguf/small.gguf')
  await expect(runTorch('gguf', { base_model: gguf })).rejects.toThrow(
    /small\.gguf: expected a folder with config\.json and safetensors, .*or say --engine node/,
  )
})

test('rows longer than the positions of a model reach are refused, as our engine refuses them', async () => {
  const model = join(site.folder, 'long')
  mkdirSync(model)
  copyFileSync(join(site.model, 'model.safetensors'), join(model, 'model.safetensors'))
  const config = JSON.parse(readFileSync(join(site.model, 'config.json'), 'utf8'))
  const half = config.hidden_size / config.num_attention_heads / 2
  const factors = Array.from({ length: half }, () => 1)
  const scaling = { rope_type: 'longrope', short_factor: factors, long_factor: factors, rope_theta: 10000 }
  const own = { ...config, rope_parameters: undefined, rope_scaling: scaling, original_max_position_embeddings: 64 }
  writeFileSync(join(model, 'config.json'), JSON.stringify(own))
  await expect(runTorch('reach', { base_model: model })).rejects.toThrow(/--max_length 400: .* up to 64 tokens/)
})

test('a checkpoint of the other engine is named as one', async () => {
  const settings = settingsFor(site, 'node', { max_steps: 2, save_steps: 1, eval_strategy: 'no' })
  await runToEnd(settings, testWorld(site))
  const resumed = { output_dir: settings.output_dir, resume_from_checkpoint: true }
  await expect(runTorch('node', resumed)).rejects.toThrow(/is not of --engine torch: resume it with --engine node/)
})
