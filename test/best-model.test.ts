/** Early stopping and the best model, in whole runs on a tiny model. */
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import type { RunEvent } from '../src/data/events.ts'
import { type TrainInput, trainSchema } from '../src/recipe/config.ts'
import { train } from '../src/recipe/train.ts'
import { makeSite, outcome, runToEnd, settingsFor, testWorld } from './run.ts'
import { isSlow } from './slow.ts'

const site = makeSite(6)
afterAll(() => rmSync(site.folder, { recursive: true }))

/** Margins grow, so the smallest is that of the first evaluation, and each later one is waited for in vain. */
function settings(name: string, more: Partial<TrainInput> = {}): TrainInput {
  return settingsFor(site, name, {
    gradient_accumulation_steps: 1,
    eval_split: 0.3,
    eval_steps: 2,
    save_steps: 2,
    save_total_limit: 1,
    metric_for_best_model: 'rewards/margins',
    greater_is_better: false,
    load_best_model_at_end: true,
    early_stopping_patience: 2,
    ...more,
  })
}

const read = (folder: string, name: string) => readFileSync(join(folder, name))

async function runUntil(input: TrainInput, stopAt: (event: RunEvent) => boolean): Promise<void> {
  const stop = new AbortController()
  for await (const event of train(input, testWorld(site, stop.signal))) if (stopAt(event)) stop.abort()
}

describe('a run that does not get better', async () => {
  const calm = settings('calm')
  const events = await runToEnd(calm, testWorld(site))
  const folder = join(site.folder, 'calm')
  const state = JSON.parse(read(folder, 'trainer_state.json').toString())
  const evaluations = events.flatMap((event) => (event.type === 'evaluation-end' ? [event] : []))

  test('stops after so many evaluations, says why, and leaves the best weights with their metrics', () => {
    const margins = evaluations.map(({ metrics }) => metrics['eval_rewards/margins'])
    expect(margins[0]).toBeLessThan(Math.min(margins[1], margins[2]))
    const best = { value: margins[0], update: 2 }
    expect(events.filter(({ type }) => type === 'run-stopped-early')).toEqual([
      { type: 'run-stopped-early', metric: 'eval_rewards/margins', waited: 2, best, update: 6 },
    ])
    expect(events.filter(({ type }) => type === 'update-end')).toHaveLength(6)
    const weights = 'adapter_model.safetensors'
    expect(read(folder, weights)).toEqual(read(folder, `checkpoint-2/${weights}`))
    expect(read(folder, weights)).not.toEqual(read(folder, `checkpoint-6/${weights}`))
    const results = JSON.parse(read(folder, 'eval_results.json').toString())
    expect(results['eval_rewards/margins']).toBe(margins[0])
  })

  test('names the best in Trainer’s fields, and pruning keeps it', () => {
    expect(state).toMatchObject({
      global_step: 6,
      best_metric: evaluations[0].metrics['eval_rewards/margins'],
      best_global_step: 2,
      best_model_checkpoint: 'checkpoint-2',
    })
    expect([2, 4, 6].map((update) => existsSync(join(folder, `checkpoint-${update}`)))).toEqual([true, false, true])
  })

  test('interrupted while it waits and resumed, it stops at the same update with the same bytes', async () => {
    const input = settings('broken')
    await runUntil(input, (event) => event.type === 'update-end' && event.update === 5)
    await runToEnd({ ...input, resume_from_checkpoint: true }, testWorld(site))
    expect(outcome(join(site.folder, 'broken'))).toEqual(outcome(folder))
  })

  test('leaves its held-out metrics by problem, whose mean over pairs is the evaluation’s', () => {
    const lines = read(folder, 'stepdpo/held-out/update-4.jsonl').toString().trimEnd().split('\n')
    const problems: Record<string, number>[] = lines.map((line) => JSON.parse(line))
    const [, { metrics }] = evaluations
    expect(problems).toHaveLength(metrics['eval_problems'])
    const total = problems.reduce((sum, { pairs }) => sum + pairs, 0)
    expect(total).toBe(metrics['eval_pairs'])
    for (const name of ['loss', 'rewards/margins', 'rewards/accuracies', 'logps/chosen', 'rewards/saturated']) {
      const mean = problems.reduce((sum, one) => sum + one['pairs'] * one[name], 0) / total
      expect(mean, name).toBeCloseTo(metrics[`eval_${name}`], 10)
    }
    for (const name of ['loss', 'rewards/margins', 'logps/chosen']) {
      const [low, value, high] = ['_low', '', '_high'].map((end) => metrics[`eval_${name}${end}`])
      expect(low).toBeLessThan(value)
      expect(high).toBeGreaterThan(value)
    }
  })

  test('leaves the rewards of steps, and a card that draws them', () => {
    const rewards = JSON.parse(read(folder, 'stepdpo/step-rewards.json').toString())
    expect(rewards.updates).toEqual([1, 2, 3, 4, 5, 6])
    expect(rewards.rows[0]).toMatchObject({ side: 'chosen', position: '1' })
    expect(read(folder, 'README.md').toString()).toMatch(/after 2 updates.*chosen {3}step 1/s)
  })

  test('resumed after it stopped, it stops again without an update', async () => {
    const again = await runToEnd({ ...calm, resume_from_checkpoint: true }, testWorld(site))
    expect(again.map(({ type }) => type)).not.toContain('update-end')
    expect(again.map(({ type }) => type)).toContain('run-stopped-early')
  })

  test.runIf(isSlow)('resumed with more patience, it goes on', async () => {
    const more = { ...calm, resume_from_checkpoint: true, early_stopping_patience: 3 }
    const patient = await runToEnd(more, testWorld(site))
    expect(patient.filter(({ type }) => type === 'update-end')).toHaveLength(2)
  })
})

test('an unknown metric is an error that names those there are', async () => {
  const input = settings('unknown', { metric_for_best_model: 'accuracy', eval_steps: 1, save_steps: 1 })
  await expect(runToEnd(input, testWorld(site))).rejects.toThrow(
    /no 'eval_accuracy'. They have: .*eval_loss.*eval_rewards\/accuracies/,
  )
})

test.each([
  [{ eval_strategy: 'no' }, 'needs evaluations'],
  [{ save_strategy: 'epoch' }, 'needs --save_strategy steps'],
  [{ eval_steps: 3 }, 'multiple of --eval_steps 3'],
] as const)('settings that could not keep the best are refused: %o', (more, message) => {
  const parsed = trainSchema.safeParse(settings('refused', more))
  expect(parsed.error?.issues.map((issue) => issue.message).join()).toContain(message)
})
