/** The whole loop on the demo's model: what it leaves, that it goes on where it was stopped, and what it refuses. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { makeProblem, type Use } from '../demo/problems.ts'
import type { RunEvent } from '../src/data/events.ts'
import type { StageEvent } from '../src/data/stage-events.ts'
import type { TrainInput } from '../src/recipe/config.ts'
import { type Confirm, type LoopResult, runLoop } from '../src/recipe/run.ts'
import { type RunSettings, runSchema } from '../src/recipe/run-settings.ts'
import { trainOnAny } from '../src/recipe/train-any.ts'
import type { World } from '../src/recipe/world.ts'
import { labelSteps, seeQuestion } from './judge/answers.ts'
import { startServer } from './judge/server.ts'
import { isSlow } from './slow.ts'

const folder = mkdtempSync(join(tmpdir(), 'stepdpo-loop-'))
afterAll(() => rmSync(folder, { recursive: true }))

function writeProblems(name: string, use: Use, count: number): string {
  const path = join(folder, name)
  const rows = Array.from({ length: count }, (_, index) => {
    const { question, answer } = makeProblem(3, use, index)
    return `${JSON.stringify({ prompt: question, answer: String(answer) })}\n`
  })
  writeFileSync(path, rows.join(''))
  return path
}

const problems = writeProblems('problems.jsonl', 'pairs', 16)
const measured = writeProblems('test.jsonl', 'test', 12)

function worldWith(signal: AbortSignal = new AbortController().signal): World {
  return {
    now: () => new Date('2026-01-02T03:04:05Z'),
    seconds: () => performance.now() / 1000,
    environment: { STEPDPO_CACHE: join(folder, 'cache') },
    signal,
  }
}

function settingsFor(name: string, more: Partial<Record<keyof RunSettings, unknown>> = {}): RunSettings {
  return runSchema.parse({
    base_model: 'demo/model',
    dataset_path: problems,
    eval_dataset_path: measured,
    output_dir: join(folder, name),
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
    ...more,
  })
}

type AnyEvent = StageEvent | RunEvent

const refuse: Confirm = () => Promise.resolve(false)

async function runToEnd(settings: RunSettings, stopAt: (event: AnyEvent) => boolean = () => false) {
  const stop = new AbortController()
  const events: AnyEvent[] = []
  const run = runLoop(settings, worldWith(stop.signal), { confirm: refuse, training: { report_to: [] } })
  for (;;) {
    const next = await run.next()
    if (next.done) return { events, result: next.value }
    events.push(next.value)
    if (stopAt(next.value)) stop.abort()
  }
}

/** What must be the same however it came about. */
function made({ output_dir }: RunSettings): string[] {
  const files = ['round-1/rollouts.jsonl', 'round-1/pairs.jsonl', 'model.safetensors', 'evaluation/report.json']
  return files.map((name) => readFileSync(join(output_dir, name)).toString('latin1').replaceAll(output_dir, ''))
}

function comparison(result: LoopResult | undefined) {
  const compared = result?.evaluation?.report.comparison
  if (compared == null) throw new Error('nothing was compared')
  return compared
}

describe('the loop', async () => {
  const calm = settingsFor('calm')
  const { events, result } = await runToEnd(calm)

  test('tells its stages in their order and measures base and tuned model on the same problems', () => {
    const ends = events.flatMap((event) => (event.type === 'stage-end' ? [event.stage] : []))
    expect(ends).toEqual(['judge', 'eval', 'generate', 'judge', 'judge', 'pairs', 'judge', 'judge', 'eval'])
    expect(events.some(({ type }) => type === 'run-end')).toBe(true)
    const { answers } = comparison(result)
    const counted = (answers?.gained.length ?? 0) + (answers?.lost.length ?? 0)
    expect(counted + (answers?.bothRight ?? 0) + (answers?.bothWrong ?? 0)).toBe(12)
    expect(result?.policy).toEqual({ base_model: calm.output_dir })
  })

  test('problems solved while it trains are as many as the evaluation solved with the same weights', async () => {
    const input = {
      base_model: 'demo/model',
      dataset_path: join(calm.output_dir, 'round-1/pairs.jsonl'),
      output_dir: join(folder, 'watched'),
      use_lora: false,
      max_steps: 1,
      learning_rate: 1e-12,
      eval_strategy: 'steps' as const,
      eval_steps: 1,
      eval_on_start: true,
      eval_generate: 12,
      eval_generate_path: measured,
      eval_max_new_tokens: 100,
      threads: 1,
      report_to: [],
    } satisfies TrainInput
    const solved: number[] = []
    for await (const event of trainOnAny(input, worldWith(), refuse)) {
      if (event.type === 'evaluation-end') solved.push(event.metrics['eval_accuracy'])
    }
    const { answers } = comparison(result)
    const right = (answers?.bothRight ?? 0) + (answers?.lost.length ?? 0)
    expect(solved).toEqual([right / 12, right / 12])
    const [line] = readFileSync(join(input.output_dir, 'stepdpo/generations/update-1.jsonl'), 'utf8').split('\n')
    expect(JSON.parse(line)).toMatchObject({ finish: 'stop' })
  })

  test('run again does nothing again', async () => {
    const before = made(calm)
    const again = await runToEnd(calm)
    expect(again.events.filter(({ type }) => type === 'stage-progress' || type === 'update-end')).toEqual([])
    expect(made(calm)).toEqual(before)
  })

  test('stopped at every stage, and with another batch size, it ends as it would have', async () => {
    const stopped = settingsFor('calm-too', { batch_size: 3 })
    const all: ((event: AnyEvent) => boolean)[] = [
      (event) => event.type === 'stage-progress' && event.stage === 'eval' && event.done === 5,
      (event) => event.type === 'stage-progress' && event.stage === 'generate' && event.done === 20,
      (event) => event.type === 'stage-progress' && event.stage === 'judge' && event.done === 10,
      (event) => event.type === 'update-end' && event.update === 1,
    ]
    // Each start loads the model and the judge: two moments here, all of them in the slow stage.
    const stops = isSlow ? all : [all[1], all[3]]
    for (const stop of stops) expect((await runToEnd(stopped, stop)).result).toBeUndefined()
    expect((await runToEnd(stopped)).result).toBeDefined()
    const [calmly, brokenly] = [calm, stopped].map(made)
    const plain = (text: string): string => text.replaceAll('calm-too', 'calm')
    // The names of models are those of their folders.
    expect(brokenly.slice(0, 3)).toEqual(calmly.slice(0, 3))
    expect(plain(brokenly[3])).toBe(plain(calmly[3]))
  })
})

test.skipIf(!isSlow)('a second round samples the policy of the first', async () => {
  const settings = settingsFor('rounds', {
    rounds: 2,
    eval_dataset_path: undefined,
    use_lora: true,
    learning_rate: 1e-3,
  })
  const { result } = await runToEnd(settings)
  expect(result).toEqual({ policy: { base_model: 'demo/model', adapter: settings.output_dir }, evaluation: null })
  const [maker] = ['round-2/rollouts.jsonl'].map((name) => {
    const [line] = readFileSync(join(settings.output_dir, name), 'utf8').split('\n', 1)
    return JSON.parse(line).maker
  })
  expect(maker).toMatch(/^model\+policy@/)
  expect(existsSync(join(settings.output_dir, 'round-1/policy/adapter_model.safetensors'))).toBe(true)
  expect(existsSync(join(settings.output_dir, 'adapter_model.safetensors'))).toBe(true)
})

test('problems to measure on that are learned from too are refused, unless told', async () => {
  const leaking = settingsFor('leak', { eval_dataset_path: problems, limit: 4 })
  await expect(runToEnd(leaking)).rejects.toThrow(/--eval_dataset_path: 4 problems stand in .*--allow_leak/)
})

test('a paid judge that nobody agrees to is not asked', async () => {
  const settings = settingsFor('paid', { reward_model: ['gpt-4'], eval_dataset_path: undefined, limit: 2 })
  const world = { ...worldWith(), environment: { ...worldWith().environment, OPENAI_API_KEY: 'sk-nobody' } }
  const run = runLoop(settings, world, { confirm: refuse })
  const drain = async (): Promise<void> => {
    for await (const _ of run);
  }
  await expect(drain()).rejects.toThrow(
    /nothing was spent\. judging asks openai:gpt-4 .*: \d+ requests, \$[\d.]+ at most: say --yes/,
  )
})

test('a paid judge has one cap for all stages, and the folder says what it was asked and what it cost', async () => {
  const isFalse = (step: string): boolean => {
    const [, left, sign, right, result] = /(\d+) ([+-]) (\d+) = (\d+)/.exec(step) ?? []
    return left !== undefined && Number(left) + (sign === '+' ? 1 : -1) * Number(right) !== Number(result)
  }
  const server = await startServer({
    answer: (asked) => labelSteps(seeQuestion(asked), (step) => (isFalse(step) ? 'incorrect' : 'correct')),
  })
  try {
    const prices = join(folder, 'prices.yaml')
    writeFileSync(prices, 'gpt-4: { input: 30, output: 60 }\n')
    const judge = { reward_model: [`openai:gpt-4@${server.url}/v1`], prices, limit: 4, num_samples: 2, yes: true }
    const world = { ...worldWith(), environment: { ...worldWith().environment, OPENAI_API_KEY: 'sk-loop-0123456789' } }
    const spentBy = async (settings: RunSettings): Promise<number> => {
      const run = runLoop(settings, world, { confirm: refuse, training: { report_to: [] } })
      for (let next = await run.next(); !next.done; next = await run.next());
      const lines = readFileSync(join(settings.output_dir, 'llm_usage.jsonl'), 'utf8').trimEnd().split('\n')
      return lines.map((line) => JSON.parse(line).cost).reduce((sum, cost) => sum + cost, 0)
    }
    const all = await spentBy(settingsFor('uncapped', judge))
    const stages = ['evaluation/judge', 'round-1/judge'].map((name) =>
      JSON.parse(readFileSync(join(folder, 'uncapped', name, 'summary.json'), 'utf8')),
    )
    expect(all).toBeGreaterThan(stages[0].spent / 2)
    expect(Math.max(...stages.map(({ spent }) => spent))).toBeCloseTo(all, 9) // each stage sees the money of all
    rmSync(join(folder, 'cache'), { recursive: true })
    // Each stage alone would be within it.
    const cap = 0.6 * all
    await spentBy(settingsFor('capped', { ...judge, max_cost: cap })).catch(() => {}) // perhaps no pair is left
    const lines = readFileSync(join(folder, 'capped', 'llm_usage.jsonl'), 'utf8')
      .trimEnd()
      .split('\n')
    const spent = lines.map((line) => JSON.parse(line).cost).reduce((sum, cost) => sum + cost, 0)
    expect(spent).toBeGreaterThan(0)
    expect(spent).toBeLessThanOrEqual(cap)
    expect(readFileSync(join(folder, 'capped', 'LLM_USAGE.md'), 'utf8')).toContain('gpt-4')
  } finally {
    await server.close()
  }
})

test.skipIf(!isSlow)('train samples, judges and pairs where the data are problems alone', async () => {
  const output = join(folder, 'any')
  const { rounds: _, ...settings } = settingsFor('any')
  const types: string[] = []
  const input = {
    base_model: settings.base_model,
    dataset_path: problems,
    output_dir: output,
    reward_model: 'arithmetic',
    max_steps: 1,
    threads: 1,
    learning_rate: 1e-4,
    report_to: [],
  }
  for await (const event of trainOnAny(input, worldWith(), refuse)) types.push(event.type)
  expect(types[0]).toBe('warning')
  expect(types.filter((type) => type === 'update-end')).toEqual(['update-end'])
  expect(existsSync(join(output, 'adapter_model.safetensors'))).toBe(true)
})

test('a Python that cannot train is found before anything is sampled or judged for it', async () => {
  const settings = settingsFor('torch', { use_lora: true, engine: 'torch', torch_python: join(folder, 'none') })
  await expect(runToEnd(settings)).rejects.toThrow(/none does not run: .*--torch_python or STEPDPO_PYTHON/)
  expect(existsSync(join(settings.output_dir, 'evaluation'))).toBe(false)
})
