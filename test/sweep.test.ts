/** @file Whole sweeps on a tiny model: what they share, what they leave, and that they go on where they were stopped. */
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { type SweepEvent, sweep } from '../src/recipe/sweep.ts'
import type { SweepReport } from '../src/recipe/sweep-report.ts'
import type { SweepInput } from '../src/recipe/sweep-settings.ts'
import type { World } from '../src/recipe/world.ts'
import { makeSite, settingsFor, testWorld } from './run.ts'
import { isSlow } from './slow.ts'

const site = makeSite()
afterAll(() => rmSync(site.folder, { recursive: true }))

const ACCURACY = 'eval_rewards/accuracies'

const UPDATES = isSlow ? 3 : 2

/** A sweep of two points. */
const inputFor = (name: string, more: Partial<SweepInput> = {}): SweepInput => ({
  ...settingsFor(site, name),
  resume_from_checkpoint: true,
  gradient_accumulation_steps: 1,
  max_steps: UPDATES,
  save_steps: 100,
  sweep: { beta: [0.1, 0.4] },
  ...more,
})

async function runSweep(
  input: SweepInput,
  world: World = testWorld(site),
  see: (event: SweepEvent) => void = () => {},
): Promise<{ events: SweepEvent[]; report: SweepReport | undefined }> {
  const events: SweepEvent[] = []
  const running = sweep(input, world)
  for (;;) {
    const next = await running.next()
    if (next.done) return { events, report: next.value }
    events.push(next.value)
    see(next.value)
  }
}

const types = (events: readonly SweepEvent[], ...wanted: SweepEvent['type'][]): SweepEvent[] =>
  events.filter(({ type }) => wanted.includes(type))

const at = (...path: string[]): string => join(site.folder, ...path)
const json = (...path: string[]) => JSON.parse(readFileSync(at(...path), 'utf8'))

/** What of a report does not tell the time. */
const timeless = (report: SweepReport | undefined) => report?.rows.map(({ seconds: _, ...row }) => row)

describe('a sweep', async () => {
  // A cache of its own, so that the first trial knows no reference.
  const world = { ...testWorld(site), environment: { STEPDPO_CACHE: at('own-cache') } }
  const computed: number[] = []
  const countComputed = (): number => {
    const folder = at('own-cache', 'reference')
    return readdirSync(folder).reduce(
      (sum, name) => sum + readFileSync(join(folder, name), 'utf8').split('\n').length - 1,
      0,
    )
  }
  const { events, report } = await runSweep(inputFor('calm'), world, ({ type }) => {
    if (type === 'trial-end') computed.push(countComputed())
  })

  test('trains every point on one budget, one after another', () => {
    expect(
      types(events, 'trial-begin', 'trial-end', 'run-end').map((event) => [
        'name' in event ? event.name : '',
        event.type,
      ]),
    ).toEqual([
      ['beta-0.1', 'trial-begin'],
      ['', 'run-end'],
      ['beta-0.1', 'trial-end'],
      ['beta-0.4', 'trial-begin'],
      ['', 'run-end'],
      ['beta-0.4', 'trial-end'],
    ])
    expect(report?.rows.map(({ updates, tokens }) => [updates, tokens])).toEqual(
      report?.rows.map(() => [UPDATES, report.rows[0].tokens]),
    )
    expect(events.find(({ type }) => type === 'sweep-begin')).toMatchObject({ points: 2, updates: UPDATES })
  })

  test('computes the reference in the first trial only', () => {
    expect(computed[0]).toBeGreaterThan(0)
    expect(computed[1]).toBe(computed[0])
  })

  test('reports of each point what its evaluation says, with the same interval', () => {
    for (const { name, metrics, value, seconds } of report?.rows ?? []) {
      const evaluation = json('calm', 'trials', name, 'eval_results.json')
      expect(metrics[ACCURACY]).toBe(evaluation[ACCURACY])
      expect(value?.mean).toBe(evaluation[ACCURACY])
      expect(value?.low).toBeCloseTo(evaluation[`${ACCURACY}_low`], 9)
      expect(value?.high).toBeCloseTo(evaluation[`${ACCURACY}_high`], 9)
      expect(seconds).toBeGreaterThan(0)
    }
  })

  test('compares the points over the same problems', () => {
    const [best, other] = report?.rows ?? []
    expect(best.difference.value).toBeNull()
    expect(other.difference.value).toBeCloseTo(other.metrics[ACCURACY] - best.metrics[ACCURACY], 9)
  })

  test('leaves the report as Markdown and JSON, and the runs', () => {
    expect(json('calm', 'sweep.json')).toEqual(JSON.parse(JSON.stringify(report)))
    const text = readFileSync(at('calm', 'sweep.md'), 'utf8')
    for (const words of ['Best of 2: beta ', '| best ', 'is optimistic', 'compare them at one beta only']) {
      expect(text).toContain(words)
    }
    expect(readdirSync(at('calm', 'trials', 'beta-0.4'))).toEqual(
      expect.arrayContaining(['adapter_model.safetensors', 'eval_results.json', 'sweep-trial.json']),
    )
    expect(readdirSync(at('calm'))).not.toContain('run.lock')
  })

  test('done once is read, not trained, again; a larger grid keeps what it has in common', async () => {
    const again = await runSweep(inputFor('calm'))
    expect(types(again.events, 'trial-begin', 'run-begin')).toEqual([])
    expect(again.report).toEqual(report)
    // The rank that the trials have had all the time is now said, so that they have other names.
    const { report: planned, events: announced } = await runSweep(
      inputFor('calm', { sweep: { lora_r: [4, 2], beta: [0.4, 0.1, 0.2] }, dry_run: true }),
    )
    expect(planned).toBeUndefined()
    expect(announced.find(({ type }) => type === 'sweep-begin')).toMatchObject({
      trials: [
        { name: 'rank-4_beta-0.4', known: true },
        { name: 'rank-4_beta-0.1', known: true },
        ...['rank-4_beta-0.2', 'rank-2_beta-0.4', 'rank-2_beta-0.1', 'rank-2_beta-0.2'].map((name) => ({
          name,
          known: false,
        })),
      ],
    })
    expect(readdirSync(at('calm', 'trials'))).toEqual(['beta-0.1', 'beta-0.4'])
  })

  test('with other shared settings is refused by the name of the first of them', async () => {
    await expect(runSweep(inputFor('calm', { lora_r: 8 }))).rejects.toThrow(
      /trial beta-0.1 was made with lora_r 4, now it is 8: .*--output_dir/,
    )
    writeFileSync(at('other.jsonl'), readFileSync(site.data, 'utf8').replace('\n', '\n\n'))
    await expect(runSweep(inputFor('calm', { dataset_path: at('other.jsonl') }))).rejects.toThrow(
      /dataset "steps.jsonl/,
    )
  })

  test('by a metric that no evaluation has says which there are; by another that has it, is ranked anew', async () => {
    const unknown = inputFor('calm', { metric: 'los', greater_is_better: false })
    await expect(runSweep(unknown)).rejects.toThrow(/eval_los: no evaluation has it; there are eval_loss, /)
    const { events: later, report: mended } = await runSweep({ ...unknown, metric: 'loss' })
    expect(types(later, 'run-begin')).toEqual([])
    const losses = mended?.rows.map(({ value }) => value?.mean ?? Number.NaN) ?? []
    expect(losses).toEqual(
      ['beta-0.1', 'beta-0.4'].map((name) => json('calm', 'trials', name, 'eval_results.json').eval_loss).sort(),
    )
  })

  test('stopped in a trial goes on in it, keeps what was done, and ends as if never stopped', async () => {
    // In the second trial here, at every update of both in the slow stage.
    const stops = isSlow ? [1, 2, 3, 4, 5] : [3]
    for (const stop of stops) {
      const name = `stopped-${stop}`
      const controller = new AbortController()
      let updates = 0
      const first = await runSweep(inputFor(name), testWorld(site, controller.signal), ({ type }) => {
        if (type === 'update-end' && ++updates === stop) controller.abort()
      })
      expect(first.report).toBeUndefined()
      const done = Math.floor((stop - 1) / UPDATES)
      expect(first.events.at(-1)).toMatchObject({ type: 'sweep-stopped', done, trials: 2 })
      const kept = join(site.folder, name, 'trials', 'beta-0.1', 'adapter_model.safetensors')
      const before = done > 0 ? statSync(kept).mtimeMs : undefined
      const second = await runSweep(inputFor(name))
      expect(types(second.events, 'run-begin').length).toBe(2 - done)
      expect(types(second.events, 'run-resumed')).toMatchObject([{ update: stop - done * UPDATES }])
      if (before !== undefined) expect(statSync(kept).mtimeMs).toBe(before)
      expect(timeless(second.report)).toEqual(timeless(report))
    }
  })
})

test('a trial whose numbers are not finite is a row with its reason, kept, and no end of the sweep', async () => {
  const rates = isSlow ? [1e30, 1e-3] : [1e30]
  const input = inputFor('wild', { sweep: { learning_rate: rates }, warmup_ratio: 0, save_strategy: 'no' })
  const { report } = await runSweep(input)
  expect(report?.rows.map(({ standing }) => standing)).toEqual(isSlow ? ['best', 'failed'] : ['failed'])
  expect(report?.rows.at(-1)?.failure).toMatch(/^update \d: .*(NaN|finite)/)
  const again = await runSweep(input)
  expect(types(again.events, 'run-begin')).toEqual([])
  expect(again.report).toEqual(report)
})

test.runIf(isSlow)('all weights are swept as adapters are: every trial against the untrained model', async () => {
  const { report } = await runSweep(
    inputFor('full', {
      use_lora: false,
      lora_dropout: 0,
      sweep: { lr: [1e-3, 1e-5] },
      sweep_seeds: [1],
      save_strategy: 'no',
    }),
  )
  const [best, other] = report?.rows ?? []
  expect(other.difference.value).toBeCloseTo(other.metrics[ACCURACY] - best.metrics[ACCURACY], 9)
  expect(best.trials).toEqual([`${best.name}_seed-1`])
})

test('without evaluation a sweep says that it evaluates all the same', async () => {
  const { events } = await runSweep(inputFor('unseen', { eval_strategy: 'no', dry_run: true }))
  expect(types(events, 'warning')).toMatchObject([{ message: expect.stringContaining('compares held-out results') }])
  expect(types(events, 'sweep-begin')[0]).toMatchObject({ heldOut: { problems: 3 } })
  expect(readdirSync(site.folder)).not.toContain('unseen')
})
