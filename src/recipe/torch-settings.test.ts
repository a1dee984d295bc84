import { expect, test } from 'vitest'
import { lossTypes } from '../train/loss-table.ts'
import { type TrainInput, trainSchema } from './config.ts'
import { TRL_LOSSES } from './torch-settings.ts'

const base = { base_model: 'm', dataset_path: 'd' }

function flawsOf(settings: Partial<TrainInput>): string[] {
  const parsed = trainSchema.safeParse({ ...base, ...settings })
  return parsed.success ? [] : parsed.error.issues.map(({ path, message }) => `${path.join('.')} ${message}`)
}

test.each<[string, Partial<TrainInput>]>([
  ['load_in_4bit is not known to engine torch', { load_in_4bit: true }],
  ['reference_free is not known to engine torch', { reference_free: true }],
  ['ld_alpha is not known to engine torch', { ld_alpha: 0.5 }],
  ['f_divergence_type is not known to engine torch', { f_divergence_type: 'forward_kl' }],
  ['device is not known to engine torch', { device: 'webgpu' }],
  ['precompute_ref_log_probs is not known to engine torch', { precompute_ref_log_probs: true }],
  [
    'load_best_model_at_end is not known to engine torch',
    { load_best_model_at_end: true, eval_strategy: 'steps', eval_steps: 100 },
  ],
  ['use_lora must be true with engine torch', { use_lora: false }],
  ['objective prm has no pairs', { objective: 'prm' }],
  ['loss_type simpo is not known to engine torch, which has sigmoid, hinge', { loss_type: ['simpo'] }],
  ['nproc_per_node needs --torch_launcher torchrun, accelerate or ray', { nproc_per_node: 2 }],
  ['nnodes needs --torch_launcher torchrun', { nnodes: 2, torch_launcher: 'ray', rdzv_endpoint: 'a:1' }],
  ['rdzv_endpoint is needed with nnodes', { nnodes: 2, torch_launcher: 'torchrun' }],
  ['accelerate_config needs --torch_launcher accelerate', { accelerate_config: 'f' }],
])('%s', (flaw, settings) => {
  expect(flawsOf({ engine: 'torch', ...settings })).toEqual([expect.stringContaining(flaw)])
})

test('what is said to engine torch is refused where engine node trains', () => {
  expect(flawsOf({ torch_launcher: 'ray' })).toEqual(['torch_launcher is for --engine torch'])
})

test('a loss is computed by engine torch, or it is refused by its name', () => {
  for (const type of lossTypes) {
    const flaws = flawsOf({
      engine: 'torch',
      loss_type: [type],
      ...(type === 'exo_pair' && { label_smoothing: 0.001 }),
    })
    expect([type, flaws.length > 0]).toEqual([type, TRL_LOSSES[type] === undefined])
  }
})
