/** A process reward model from rows to verdicts, and the rewards of a trained policy, on a tiny model. */
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { solutionId } from '../src/data/labels.ts'
import type { StepVerdict } from '../src/judge/port.ts'
import { PRM_FILE } from '../src/judge/verdicts.ts'
import { loadAdapter, saveAdapter } from '../src/model/adapter-file.ts'
import { loadConfig } from '../src/model/load.ts'
import { createAdapter } from '../src/model/lora.ts'
import { scoreSchema } from '../src/recipe/command-settings.ts'
import type { TrainInput } from '../src/recipe/config.ts'
import { openImplicitJudge, scoreImplicitly } from '../src/recipe/implicit.ts'
import { openLocalJudge } from '../src/recipe/local-model.ts'
import { score } from '../src/recipe/score.ts'
import { train } from '../src/recipe/train.ts'
import { rolloutOf } from './dashboard/runs.ts'
import { makeFolder, makeSite, outcome, runToEnd, settingsFor, testWorld } from './run.ts'

const site = makeSite(1)
afterAll(() => rmSync(site.folder, { recursive: true }))
const world = testWorld(site)
const never = new AbortController().signal

/** A first step that is always right, and one that is right where it is made of y. */
function stepRow(index: number) {
  const isRight = index % 2 === 0
  return {
    prompt: `Number ${index}?`,
    completions: ['It is.', `${index} ${(isRight ? 'y' : 'n').repeat(6)}`],
    labels: [true, isRight],
  }
}
const rows = Array.from({ length: 12 }, (_, index) => stepRow(index))

function writeRows(name: string, values: readonly unknown[]): string {
  const path = join(site.folder, name)
  writeFileSync(path, values.map((value) => `${JSON.stringify(value)}\n`).join(''))
  return path
}
const data = writeRows('rows.jsonl', rows)

const prm = {
  objective: 'prm',
  dataset_path: data,
  eval_dataset_path: data,
  max_eval_groups: 0,
  eval_steps: 100,
  save_steps: 100,
  lora_dropout: 0,
  per_device_train_batch_size: 12,
  gradient_accumulation_steps: 1,
  learning_rate: 1e-2,
} as const satisfies Partial<TrainInput>

async function judged(path: string, solutions: readonly { problem: string; steps: readonly string[] }[]) {
  const { judge, close } = await openLocalJudge(path, { threads: 1 })
  const verdicts: StepVerdict[] = []
  for (const solution of solutions) verdicts.push(...(await judge.judge(solution, never)).steps)
  await close()
  return { judge, scores: verdicts.map((verdict) => (verdict.state === 'scored' ? verdict.score : Number.NaN)) }
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length

describe('a process reward model', async () => {
  const settings = settingsFor(site, 'prm', { ...prm, num_train_epochs: 14 })
  const output = settings.output_dir ?? ''
  const events = await runToEnd(settings, world)
  const solutions = rows.map(({ prompt, completions }) => ({ problem: prompt, steps: completions }))
  const { judge, scores } = await judged(output, solutions)

  test('learns to tell right from wrong, on a base that could not', async () => {
    const updates = events.flatMap((event) => (event.type === 'update-end' ? [event.metrics] : []))
    expect(updates.at(-1)?.['loss']).toBeLessThan(0.1)
    const seconds = scores.filter((_, at) => at % 2 === 1)
    expect(Math.min(...seconds.filter((_, at) => at % 2 === 0))).toBeGreaterThan(0.8)
    expect(Math.max(...seconds.filter((_, at) => at % 2 === 1))).toBeLessThan(0.2)
    expect(updates[0]['loss']).toBeGreaterThan(0.5)
  })

  test('saved and loaded as a judge, gives the chances of its evaluation to 1e-5', () => {
    const [{ metrics }] = events.flatMap((event) => (event.type === 'evaluation-end' ? [event] : [])).slice(-1)
    // The first steps are of one text after different problems, so that each of 24 labels is of one place.
    expect(metrics['eval_steps']).toBe(24)
    expect(Math.abs(mean(scores) - metrics['eval_verdicts/mean'])).toBeLessThan(1e-5)
    const brier = mean(scores.map((chance, at) => (chance - Number(at % 2 === 0 || at % 4 === 1)) ** 2))
    expect(Math.abs(brier - metrics['eval_verdicts/brier'])).toBeLessThan(1e-5)
    expect(metrics['eval_verdicts/auc']).toBeGreaterThan(0.99)
    expect(judge.meaning).toBe('correctness')
  })

  test('is named by its content: another adapter or frame in the same folder is another judge', async () => {
    const copy = join(site.folder, 'copy')
    const nameOf = async (): Promise<string> => (await judged(copy, [])).judge.name
    cpSync(output, copy, { recursive: true })
    const before = await nameOf()
    expect(before.replace('copy', 'prm')).toBe(judge.name)
    const { config } = loadConfig(site.model)
    const adapter = loadAdapter(output, config)
    adapter.layers[0]['self_attn.q_proj.lora_B.weight'].data[0] += 1
    saveAdapter(copy, adapter, site.model)
    const other = await nameOf()
    const file = join(copy, PRM_FILE)
    writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), step_separator: ' ' }))
    expect(new Set([before, other, await nameOf()]).size).toBe(3)
    writeFileSync(file, '{"version": 1}')
    await expect(nameOf()).rejects.toThrow('expected what objective prm has written')
  })

  test('of an adapter whose base is gone says where it looked', async () => {
    const lost = join(site.folder, 'lost')
    makeFolder(lost)
    saveAdapter(lost, loadAdapter(output, loadConfig(site.model).config), '/nowhere/base')
    await expect(judged(lost, [])).rejects.toThrow('is an adapter for /nowhere/base, which is not there')
  })
})

test('a run that is stopped and resumed ends bit for bit as it would have; values keep their meaning', async () => {
  const steps = rows.map(({ prompt, completions: [, step] }, at) => ({
    input: `${prompt} Step 1: ${step} ки`,
    label: `${prompt} Step 1: ${step} ${at % 3 === 0 ? '+' : '-'}`,
    task: 'GSM8K',
  }))
  const shepherd = {
    ...prm,
    dataset_path: writeRows('shepherd.jsonl', steps),
    eval_strategy: 'no',
    lora_dropout: 0.1,
  } as const
  const settings = { ...shepherd, per_device_train_batch_size: 3, num_train_epochs: 1, save_steps: 2 } as const
  const calm = settingsFor(site, 'prm-calm', settings)
  await runToEnd(calm, world)
  const stopped = settingsFor(site, 'prm-stopped', settings)
  const stop = new AbortController()
  for await (const event of train(stopped, testWorld(site, stop.signal))) {
    if (event.type === 'update-end' && event.update === 2) stop.abort()
  }
  await runToEnd({ ...stopped, resume_from_checkpoint: true }, world)
  const plain = (folder: string) => [...outcome(folder).values()]
  expect(plain(stopped.output_dir ?? '')).toEqual(plain(calm.output_dir ?? ''))
  expect((await judged(stopped.output_dir ?? '', [])).judge.meaning).toBe('value')
})

test('what has no meaning for it is refused', async () => {
  const ids = writeRows('ids.jsonl', [{ prompt_ids: [5, 6], chosen_ids: [7, 8], rejected_ids: [9] }])
  await expect(
    runToEnd(settingsFor(site, 'r1', { ...prm, dataset_path: ids, eval_strategy: 'no' }), world),
  ).rejects.toThrow('learns from text, and these rows are token ids')
  await expect(runToEnd(settingsFor(site, 'r2', { ...prm, loss_type: ['ipo'] }), world)).rejects.toThrow(
    'objective prm',
  )
  await expect(runToEnd(settingsFor(site, 'r3', { ...prm, precompute_ref_log_probs: true }), world)).rejects.toThrow(
    'other objectives ask no reference',
  )
})

describe('the rewards of a trained policy', async () => {
  const adapter = join(site.folder, 'policy')
  const { config } = loadConfig(site.model)
  const learnt = createAdapter(config, { rank: 2, alpha: 8, dropout: 0, rslora: false, targets: 'all-linear' }, 1)
  for (const tensors of learnt.layers) {
    for (const { data } of Object.values(tensors)) {
      for (let at = 0; at < data.length; at++) data[at] += 0.02 * Math.sin(at)
    }
  }
  makeFolder(adapter)
  saveAdapter(adapter, learnt, site.model)
  writeFileSync(join(adapter, 'training_args.json'), JSON.stringify({ beta: 0.25, step_separator: '\n' }))
  const common = { base_model: site.model, threads: 1 }
  const solution = { problem: 'What is 2 + 3?', steps: ['2 + 3 is 5.', 'So it is 5.'] }
  const collect = async (path: string, more: object = {}) => {
    const settings = scoreSchema.parse({ ...common, adapter, dataset_path: path, implicit: true, ...more })
    const found = []
    for await (const row of scoreImplicitly(settings)) found.push(row)
    return found
  }
  const rewarded = await collect(
    writeRows('solutions.jsonl', [
      solution,
      { prompt: [{ role: 'user', content: solution.problem }], completion: solution.steps.join('\n') },
      { prompt: 'only a prompt' },
      { ...rolloutOf(solution.problem, solution.steps, 0, 5) },
    ]),
  )
  const [first, second, bad, rollout] = rewarded

  test('of a rollout are those of its steps, and named as its trace and its labels are', () => {
    if (!('steps' in first)) throw new Error(JSON.stringify(first))
    expect(first.id).toBe(solutionId(solution.problem, solution.steps))
    expect(rollout).toEqual({ ...first, line: 4 })
    expect(second).not.toHaveProperty('id')
  })

  test('are β times the difference of two scores, step by step and together', async () => {
    if (!('steps' in first)) throw new Error(JSON.stringify(first))
    const prompt = [{ role: 'user', content: solution.problem }]
    const file = writeRows('plain.jsonl', [{ prompt, completion: solution.steps.join('\n') }])
    const sums: number[] = []
    for (const more of [{ adapter }, {}]) {
      for await (const row of score(scoreSchema.parse({ ...common, ...more, dataset_path: file }))) {
        if ('scores' in row) sums.push(row.scores[0].sum)
      }
    }
    expect(first.beta).toBe(0.25)
    expect(first.steps.map(({ tokens }) => tokens)).toEqual([12, 11])
    const last = first.steps[1]
    expect(Math.abs(last.cumulative - 0.25 * (sums[0] - sums[1]))).toBeLessThan(1e-4)
    expect(Math.abs(first.steps[0].reward + last.reward - last.cumulative)).toBeLessThan(1e-9)
    expect(Math.abs(last.cumulative)).toBeGreaterThan(0.01)
  })

  test('are the same for a completion that is cut into these steps; a row without a solution says why', () => {
    if (!('steps' in first && 'steps' in second)) throw new Error('no steps')
    expect(second.steps.map(({ text }) => text)).toEqual(solution.steps)
    for (const [at, { reward }] of second.steps.entries()) expect(reward).toBeCloseTo(first.steps[at].reward, 5)
    expect(bad).toMatchObject({ line: 3, problem: expect.stringContaining('completion') })
  })

  test('are 0 against itself, and twice as large for twice the β; a whole model needs a reference', async () => {
    const path = writeRows('one.jsonl', [solution])
    const [same] = await collect(path, { adapter: undefined, reference_model: site.model })
    expect('steps' in same && same.steps.map(({ reward }) => reward)).toEqual([0, 0])
    const [twice] = await collect(path, { beta: 0.5 })
    if (!('steps' in first && 'steps' in twice)) throw new Error('no steps')
    expect(twice.steps[1].cumulative).toBeCloseTo(2 * first.steps[1].cumulative, 9)
    await expect(collect(path, { adapter: undefined })).rejects.toThrow('is a whole model')
    await expect(openImplicitJudge(site.model, { threads: 1 })).rejects.toThrow('expected the folder of an adapter')
  })

  test('as a judge are σ(reward), under a name that says policy and β', async () => {
    if (!('steps' in first)) throw new Error('no steps')
    const { judge, close } = await openImplicitJudge(adapter, { threads: 1 })
    const { steps } = await judge.judge(solution, never)
    await close()
    expect(judge.name).toMatch(/^implicit:.*policy@[0-9a-f]{12} beta 0\.25$/)
    expect(judge.meaning).toBe('correctness')
    steps.forEach((step, at) => {
      expect(step.state === 'scored' && step.score).toBeCloseTo(1 / (1 + Math.exp(-first.steps[at].reward)), 5)
    })
  })
})
