/**
 * @file The run of torch_learn.py (plain PyTorch and PEFT) repeated: npm run bench:learn.
 *
 * From it come the rows, in its order, and the fresh adapter; its hyper-parameters stand below. Prints our loss curve, and
 * with ALL=1 that of Python too, which takes a quarter of an hour more; figures of one run are in its README.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type TrainInput, train } from '../src/index.ts'
import { systemWorld } from '../src/recipe/world.ts'
import { findPeer, type Peer } from './peer.ts'

const ROWS = { MAXT: '320', NTR: '128', NTE: '76', NT: '2' }

function settingsFor({ model }: Peer, folder: string): TrainInput {
  return {
    base_model: model,
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
}

async function learn(peer: Peer, folder: string): Promise<void> {
  await peer.run(fileURLToPath(new URL('learn.py', import.meta.url)), [peer.scripts, folder], ROWS)
  const world = { ...systemWorld(), environment: { STEPDPO_CACHE: join(folder, 'cache') } }
  for await (const event of train(settingsFor(peer, folder), world)) {
    if (event.type === 'update-end') console.log(`update ${event.update} loss ${event.metrics['loss'].toFixed(4)}`)
    if (event.type !== 'evaluation-end') continue
    const of = (name: string): string => `${name} ${event.metrics[`eval_${name}`].toFixed(4)}`
    const names = ['rewards/accuracies', 'rewards/margins', 'loss', 'reference/accuracies']
    console.log(`held-out ${event.update} ${names.map(of).join(' ')}`)
  }
  if (process.env['ALL'] !== undefined) console.log(await peer.run('torch_learn.py', [], ROWS))
}

const peer = await findPeer(['torch', 'transformers', 'peft'])
if (peer !== undefined) {
  const folder = mkdtempSync(join(tmpdir(), 'stepdpo-learn-'))
  try {
    await learn(peer, folder)
  } finally {
    rmSync(folder, { recursive: true })
  }
}
