/**
 * @file Makes the demo's model from nothing: sloppy solutions, the tokenizer, and supervised fine-tuning from random
 * weights. `npm run demo:model` writes demo/model anew.
 */
import { copyFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { writeDurably } from '../src/base/files.ts'
import { random } from '../src/base/random.ts'
import { main } from '../src/cli/main.ts'
import { writeBaseModel } from './base-model.ts'
import { makeProblem, sloppySolution } from './problems.ts'

const FOLDER = 'build/demo-model'
const SEED = 1
const UPDATES = 2000
const BATCH = 32

function* demonstrations(): Generator<string> {
  for (let index = 0; index < UPDATES * BATCH; index++) {
    const problem = makeProblem(SEED, 'training', index)
    const messages = [
      { role: 'user', content: problem.question },
      { role: 'assistant', content: sloppySolution(problem, random(SEED, 'solution', index)) },
    ]
    yield `${JSON.stringify({ messages })}\n`
  }
}

mkdirSync(FOLDER, { recursive: true })
writeBaseModel(join(FOLDER, 'base'))
writeDurably(join(FOLDER, 'demonstrations.jsonl'), demonstrations())
const flags = {
  objective: 'sft',
  base_model: join(FOLDER, 'base'),
  dataset_path: join(FOLDER, 'demonstrations.jsonl'),
  output_dir: join(FOLDER, 'run'),
  use_lora: 'false',
  from_scratch: 'true',
  per_device_train_batch_size: BATCH,
  max_row_tokens: 256,
  max_steps: UPDATES,
  learning_rate: 3e-3,
  lr_scheduler_type: 'linear',
  warmup_steps: 100,
  weight_decay: 0.05,
  adam_beta2: 0.98,
  save_steps: 500,
  save_total_limit: 1,
  logging_steps: 50,
  eval_strategy: 'steps',
  eval_steps: 500,
  eval_split: 0.002,
  max_eval_groups: 0,
  report_to: 'none',
  seed: SEED,
  threads: 1, // its matrices are too small to be shared
}
const names = ['config.json', 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json', 'generation_config.json']
await main(['train', ...Object.entries(flags).map(([name, value]) => `--${name}=${value}`), ...process.argv.slice(2)])
if (!process.exitCode) {
  mkdirSync('demo/model', { recursive: true })
  for (const name of names) copyFileSync(join(FOLDER, 'run', name), join('demo/model', name))
  copyFileSync(join(FOLDER, 'run', 'stepdpo', 'run.log'), join('demo/model', 'training.txt'))
}
