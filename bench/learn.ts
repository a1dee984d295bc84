/**
 * @file The run of peers/torch_learn.py (plain PyTorch and PEFT) repeated: its rows, order, fresh adapter and
 * hyper-parameters. Prints both loss curves. Python's side takes 20 minutes on two cores; without ALL=1 only what it
 * trains on is taken from it, and its recorded figures are in peers/README.md.
 *
 * STEPDPO_PYTHON: a python with torch, transformers and peft. PEERS: the folder of torch_learn.py, with build/smollm2.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { type TrainInput, train } from '../src/index.ts'

const peers = resolve(process.env['PEERS'] ?? '../shared/peers')
const python = process.env['STEPDPO_PYTHON'] ?? 'python3'
const environment = { ...process.env, MAXT: '320', NTR: '128', NTE: '76', NT: '2', HF_HUB_OFFLINE: '1' }
const folder = mkdtempSync(join(tmpdir(), 'stepdpo-learn-'))
const show = (value: number): string => value.toFixed(4).padStart(8)

/** Runs a script of Python and gives what it printed. */
function runPython(...args: string[]): string {
  return execFileSync(python, args, { env: environment, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
}

try {
  runPython(new URL('learn.py', import.meta.url).pathname, peers, folder)
  const settings: TrainInput = {
    base_model: join(peers, 'build/smollm2'),
    adapter: join(folder, 'adapter'),
    dataset_path: join(folder, 'train.jsonl'),
    eval_dataset_path: join(folder, 'test.jsonl'),
    output_dir: join(folder, 'run'),
    pack: 'none',
    shuffle: false,
    max_steps: 16,
    per_device_train_batch_size: 8,
    learning_rate: 1e-4,
    warmup_ratio: 0,
    beta: 0.1,
    eval_strategy: 'steps',
    eval_steps: 8,
    max_eval_groups: 0,
    save_strategy: 'no',
    report_to: ['none'],
  }
  for await (const event of train(settings)) {
    if (event.type === 'update-end') console.log(`update ${event.update} loss ${show(event.metrics['loss'])}`)
    if (event.type !== 'evaluation-end') continue
    const of = (name: string): number => event.metrics[`eval_${name}`]
    console.log(
      `held-out ${event.update} acc ${show(of('rewards/accuracies'))} margin ${show(of('rewards/margins'))} ` +
        `loss ${show(of('loss'))} untrained ${show(of('reference/accuracies'))}`,
    )
  }
  if (process.env['ALL'] !== undefined) console.log(runPython(join(peers, 'torch_learn.py')))
} finally {
  rmSync(folder, { recursive: true })
}
