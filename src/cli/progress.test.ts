import { expect, test } from 'vitest'
import type { EventOf, RunEvent } from '../data/events.ts'
import { lineWidth, paint } from './line.ts'
import { blockLines, follow, newProgress, type Progress, remainingSeconds } from './progress.ts'

const beginning: RunEvent[] = [
  {
    type: 'run-begin',
    run: '2026-11-22_calm-otter',
    folder: 'checkpoints/stepwise_dpo',
    model: 'Qwen/Qwen3-0.6B',
    adapter: 'LoRA r16',
    data: 'prm800k.jsonl',
    device: 'cpu(2)',
  },
  { type: 'model-loaded', parameters: 596_049_920, trainable: 2_293_760, seconds: 3 },
  {
    type: 'data-loaded',
    groups: 700,
    pairs: 1024,
    examples: '1,024 pairs in 700 groups',
    problems: 512,
    evalGroups: 60,
    updates: 500,
  },
  { type: 'reference-progress', done: 1024, total: 1024, cached: 1024 },
]

function updateEnd(update: number, change: Partial<EventOf<'update-end'>> = {}): EventOf<'update-end'> {
  return {
    type: 'update-end',
    update,
    updates: 500,
    epoch: update / 256,
    metrics: {
      loss: 0.7 - update / 634.5,
      'rewards/chosen': 0.21,
      'rewards/rejected': -0.62,
      'rewards/margins': 0.83,
      'rewards/accuracies': 0.84,
      learning_rate: 8.1e-6,
      grad_norm: 1.3,
    },
    tokens: 906,
    seconds: 2.2,
    residentBytes: 5.1e9,
    ...change,
  }
}

/** A run of `updates` updates of 2.2 seconds, and the time it ends at. */
function runOf(updates: number): { progress: Progress; nowMs: number } {
  const progress = newProgress()
  for (const event of beginning) follow(progress, event, 0)
  for (let update = 1; update <= updates; update++) follow(progress, updateEnd(update), update * 2200)
  return { progress, nowMs: updates * 2200 }
}

function textOf(progress: Progress, width: number, nowMs: number): string[] {
  return blockLines(progress, width, nowMs).map((line) => paint(line, false))
}

test('the block at 100 columns', () => {
  const { progress, nowMs } = runOf(182)
  // 182 · 2.2 s = 400.4 s; (500 − 182) · 2.2 s = 699.6 s; 906 / 2.2 = 412 tokens a second
  expect(textOf(progress, 100, nowMs)).toEqual([
    'stepdpo train  Qwen3-0.6B · LoRA r16 (2.3M of 596M) · 1,024 pairs          run 2026-11-22_calm-otter',
    'ref     ████████████████████  1,024/1,024 pairs  cached',
    'train   ███████▎············  182/500  [06:40<11:40, 2.2 s/step]  412 tok/s  RSS 5.1 GB',
    '  loss 0.4132 █▇▆▅▄▃▂▁  margin +0.83  acc 0.84  chosen +0.21  rejected -0.62  lr 8.1e-06  |g| 1.3',
  ])
})

test('the block at 40 columns leaves out what matters least', () => {
  const { progress, nowMs } = runOf(182)
  follow(progress, { type: 'evaluation-begin', update: 182, total: 60 }, nowMs)
  follow(progress, { type: 'evaluation-progress', done: 15, total: 60 }, nowMs)
  expect(textOf(progress, 40, nowMs)).toEqual([
    'stepdpo train  Qwen3-0.6B',
    'ref   ███████  1,024/1,024 pairs  cached',
    'train ███▋······  182/500  [06:40<11:40]',
    '  loss 0.4132 █▇▆▅▄▃▂▁  margin +0.83',
    'eval  █████···············  15/60',
  ])
})

test('no line is wider than the terminal, from 1 column to 160, at any stage of a run', () => {
  for (let stage = 0; stage <= beginning.length + 1; stage++) {
    const progress = newProgress()
    for (const event of [...beginning, updateEnd(1)].slice(0, stage)) follow(progress, event, 0)
    for (let width = 1; width <= 160; width++) {
      for (const line of blockLines(progress, width, 5e8)) expect(lineWidth(line)).toBeLessThanOrEqual(width)
    }
  }
})

test('the remaining time is the median of recent updates, so that one slow update does not count', () => {
  const { progress } = runOf(100)
  follow(progress, updateEnd(101, { seconds: 3600 }), 0)
  expect(remainingSeconds(progress)).toBeCloseTo(399 * 2.2)
})

test('the remaining time forgets updates that are long past, and halves an even count', () => {
  const progress = newProgress()
  expect(remainingSeconds(progress)).toBeNaN()
  for (let update = 1; update <= 50; update++) follow(progress, updateEnd(update, { seconds: 9 }), 0)
  for (let update = 51; update <= 70; update++) follow(progress, updateEnd(update, { seconds: update % 2 ? 1 : 2 }), 0)
  expect(remainingSeconds(progress)).toBeCloseTo(430 * 1.5)
})

test('a resumed run begins where the other one stopped, and its clock at zero', () => {
  const progress = newProgress()
  for (const event of beginning) follow(progress, event, 0)
  follow(progress, { type: 'run-resumed', update: 150, folder: 'out/checkpoint-150' }, 0)
  expect(textOf(progress, 60, 0).at(-1)).toBe('train   ██████··············  150/500')
  follow(progress, updateEnd(151, { seconds: 2 }), 60_000)
  // 60 s − 2 s is when it began; 349 updates of 2 s remain; 906 / 2 tokens a second
  expect(textOf(progress, 80, 63_000)[2]).toBe(
    'train   ███▉·········  151/500  [00:05<11:38, 2.0 s/step]  453 tok/s  RSS 5.1 GB',
  )
})

test('a diverged loss is shown as such', () => {
  const { progress, nowMs } = runOf(3)
  follow(progress, updateEnd(4, { metrics: { loss: Number.NaN } }), nowMs)
  expect(textOf(progress, 100, nowMs).at(-1)).toBe('  loss NaN █▅▁ ')
})
