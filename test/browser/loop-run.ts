/** @file A whole small run, made by the real loop on the demo's model: sampled, judged, paired, trained, evaluated. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeProblem, type Use } from '../../demo/problems.ts'
import { runLoop } from '../../src/recipe/run.ts'
import { runSchema } from '../../src/recipe/run-settings.ts'

export async function makeLoopRun(folder: string, name: string, problems = 16): Promise<void> {
  const settings = runSchema.parse({
    base_model: 'demo/model',
    dataset_path: writeProblems(folder, 'pairs', problems),
    eval_dataset_path: writeProblems(folder, 'test', 12),
    output_dir: join(folder, 'runs', name),
    reward_model: ['arithmetic'],
    num_samples: 4,
    num_resamples: 2,
    temperature: 1,
    max_new_tokens: 100,
    verify: 'judge',
    use_lora: false,
    learning_rate: 1e-4,
    beta: 1,
    per_device_train_batch_size: 8,
    max_row_tokens: 512,
    threads: 1,
  })
  const world = {
    now: () => new Date(),
    seconds: () => performance.now() / 1000,
    environment: { STEPDPO_CACHE: join(folder, 'cache') },
    signal: new AbortController().signal,
  }
  const options = { confirm: () => Promise.resolve(false), training: { report_to: [] } }
  for await (const _ of runLoop(settings, world, options));
}

function writeProblems(folder: string, use: Use, count: number): string {
  mkdirSync(folder, { recursive: true })
  const rows = Array.from({ length: count }, (_, index) => {
    const { question, answer } = makeProblem(3, use, index)
    return `${JSON.stringify({ prompt: question, answer: String(answer) })}\n`
  })
  const path = join(folder, `${use}.jsonl`)
  writeFileSync(path, rows.join(''))
  return path
}
