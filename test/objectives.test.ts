/** Whole runs of objectives and losses that keep something from update to update, or that need no pairs. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { makeTinyRow } from '../scripts/tiny-data.ts'
import type { RunEvent } from '../src/data/events.ts'
import type { TrainInput } from '../src/recipe/config.ts'
import { train } from '../src/recipe/train.ts'
import { makeSite, runToEnd, settingsFor, testWorld } from './run.ts'

const site = makeSite(6)
afterAll(() => rmSync(site.folder, { recursive: true }))
const world = testWorld(site)
const quick = {
  max_steps: 3,
  per_device_train_batch_size: 2,
  eval_strategy: 'no',
  save_steps: 1,
  lora_dropout: 0,
} as const

const metricsOf = (events: readonly RunEvent[]) =>
  events.flatMap((event) => (event.type === 'update-end' ? [event.metrics] : []))

/** Stops a run after an update, and goes on with it. */
async function stopAndResume(settings: TrainInput, update: number): Promise<RunEvent[]> {
  const controller = new AbortController()
  const events: RunEvent[] = []
  for await (const event of train({ ...settings, resume_from_checkpoint: true }, testWorld(site, controller.signal))) {
    events.push(event)
    if (event.type === 'update-end' && event.update === update) controller.abort()
  }
  return [...events, ...(await runToEnd({ ...settings, resume_from_checkpoint: true }, world))]
}

describe('a reference that follows the policy', () => {
  const moving = {
    ...quick,
    use_lora: false,
    learning_rate: 1e-3,
    sync_ref_model: true,
    ref_model_sync_steps: 1,
  } as const

  test('whole and after each update is the policy: every loss is ln 2', async () => {
    const events = await runToEnd(settingsFor(site, 'follows', { ...moving, ref_model_mixup_alpha: 1 }), world)
    for (const { loss } of metricsOf(events)) expect(Math.abs(loss - Math.LN2)).toBeLessThan(1e-6)
    const stays = await runToEnd(
      settingsFor(site, 'stays', { ...moving, sync_ref_model: false, ref_model_sync_steps: 512 }),
      world,
    )
    expect(Math.abs((metricsOf(stays).at(-1)?.['loss'] ?? 0) - Math.LN2)).toBeGreaterThan(1e-4)
  })

  test('is put back when the run is resumed, bit for bit', async () => {
    const own = { ...moving, ref_model_sync_steps: 1, ref_model_mixup_alpha: 0.4 }
    const calm = await runToEnd(settingsFor(site, 'moving', own), world)
    const resumed = await stopAndResume(settingsFor(site, 'moving-resumed', own), 2)
    expect(metricsOf(resumed).map(({ loss }) => loss)).toEqual(metricsOf(calm).map(({ loss }) => loss))
    for (const name of ['optimizer', 'model', 'reference']) {
      const [one, other] = ['moving', 'moving-resumed'].map((run) =>
        readFileSync(join(site.folder, run, `checkpoint-3/${name}.safetensors`)),
      )
      expect(one.equals(other), name).toBe(true)
    }
  })
})

test('the running reward of bco_delta is in the checkpoint: a resumed run is the same', async () => {
  const own = {
    ...quick,
    gradient_accumulation_steps: 1,
    per_device_train_batch_size: 4,
    loss_type: ['bco_delta'],
  } as const
  const calm = await runToEnd(settingsFor(site, 'bco', { ...own, loss_type: ['bco_delta'] }), world)
  const resumed = await stopAndResume(settingsFor(site, 'bco-resumed', { ...own, loss_type: ['bco_delta'] }), 2)
  expect(metricsOf(resumed).map(({ loss }) => loss)).toEqual(metricsOf(calm).map(({ loss }) => loss))
})

describe('kto', () => {
  test('learns from rated steps without pairs, and evaluates them', async () => {
    const own = { ...quick, eval_strategy: 'epoch', loss_type: ['kto'], learning_rate: 1e-3 } as const
    const events = await runToEnd(settingsFor(site, 'kto', { ...own, loss_type: ['kto'], max_steps: 5 }), world)
    const metrics = metricsOf(events)
    expect(metrics[0]['loss']).toBeCloseTo(0.5, 6) // 1 − σ(0) of every member
    expect(metrics.at(-1)?.['loss']).toBeLessThan(0.5)
    for (const one of metrics) expect(Object.values(one).every(Number.isFinite), JSON.stringify(one)).toBe(true)
    const evaluation = events.findLast((event) => event.type === 'evaluation-end')
    expect(evaluation?.type === 'evaluation-end' && evaluation.metrics['eval_loss']).toBeLessThan(0.5)
  })

  test('takes TRL’s unpaired rows of one kind only', async () => {
    const path = join(site.folder, 'unpaired.jsonl')
    const rows = Array.from({ length: 8 }, (_, at) => {
      const [{ text }] = makeTinyRow(5, at).label.steps[0].completions ?? []
      return `${JSON.stringify({ prompt: `problem ${at}`, completion: text, label: true })}\n`
    })
    writeFileSync(path, rows.join(''))
    const events = await runToEnd(
      settingsFor(site, 'desirable', { ...quick, dataset_path: path, loss_type: ['kto'] }),
      world,
    )
    expect(metricsOf(events)).toHaveLength(3)
  })
})

test('plackett_luce trains on siblings; one problem of rows without scores is named where a loss needs them', async () => {
  const events = await runToEnd(settingsFor(site, 'lists', { ...quick, loss_type: ['plackett_luce'] }), world)
  expect(metricsOf(events)).toHaveLength(3)
  const path = join(site.folder, 'unscored.jsonl')
  const row = { prompt: 'one', chosen: 'two', rejected: 'three' }
  writeFileSync(path, `${JSON.stringify(row)}\n`)
  const needy = settingsFor(site, 'needy', { ...quick, dataset_path: path, loss_type: ['odpo'] })
  await expect(runToEnd(needy, world)).rejects.toThrow('nobody has scored both sides')
})
