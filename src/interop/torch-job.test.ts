import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { oraclePath } from '../../test/oracle.ts'
import type { EncodedGroup } from '../batch/encode.ts'
import { updateBatches } from '../batch/order.ts'
import { loadAdapter, namedFactors } from '../model/adapter-file.ts'
import { loadConfig } from '../model/load.ts'
import { createAdapter } from '../model/lora.ts'
import { type TorchJob, writeTorchJob } from './torch-job.ts'

const folder = mkdtempSync(join(tmpdir(), 'stepdpo-job-'))
afterAll(() => rmSync(folder, { recursive: true }))

const model = oraclePath('models/llama')
const { config } = loadConfig(model)
const lora = { rank: 2, alpha: 4, dropout: 0, rslora: false, targets: 'all-linear' } as const

const groupOf = (problem: string, at: number): EncodedGroup => ({
  problem,
  prefix: [
    [1, 10 + at],
    [20, 21],
  ],
  members: [[30, 31], [40], [50, 51, 2]],
  pairs: [
    { chosen: 0, rejected: 1, weight: 1 },
    { chosen: 2, rejected: 1, weight: 3 },
  ],
  details: [
    { rating: 1, count: 1, stepEnds: [2], stepScores: [null] },
    { rating: -1, count: 1, stepEnds: [1], stepScores: [null] },
    {
      rating: 1,
      count: 3,
      stepEnds: [3],
      stepScores: [null],
      isTerminal: true,
      weights: { chosen: [1, 0.5, 2], rejected: [0, 1, 1] },
    },
  ],
})

const groups = ['a', 'a', 'b', 'c', 'c', 'd', 'e'].map(groupOf)
const order = { batchSize: 2, accumulation: 2, shuffle: true, seed: 7 }

const jobOf = (more: Partial<TorchJob> = {}): TorchJob => ({
  baseModel: model,
  resume: undefined,
  adapter: createAdapter(config, lora, 3),
  train: groups,
  heldOut: [groups[0]],
  updatesPerEpoch: 2,
  loop: {
    order,
    updates: 5,
    adam: { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, maxGradNorm: 1 },
    schedule: { type: 'cosine', rate: 1e-3, warmupUpdates: 1 },
    evaluation: { strategy: 'epoch', steps: 50 },
    saving: { strategy: 'steps', steps: 3 },
    evaluatesFirst: true,
    best: { metric: 'eval_loss', isGreaterBetter: false, threshold: 0, isNeeded: false },
    savesBest: false,
    loggingUpdates: 1,
  },
  losses: [{ type: 'sigmoid', weight: 1 }],
  beta: 0.4,
  labelSmoothing: 0,
  discopopTau: 0.05,
  precision: 'float32',
  gradientCheckpointing: true,
  seed: 42,
  ...more,
})

const linesOf = (path: string): unknown[] =>
  readFileSync(path, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line))

test('a group is a line with its tokens as they are, its weights, its ends and its pairs', () => {
  const job = writeTorchJob(join(folder, 'lines'), jobOf())
  const lines = linesOf(join(job.path, 'groups.jsonl'))
  expect(lines.length).toBe(groups.length)
  expect(lines[3]).toEqual({
    problem: 'c',
    prompt: [1, 13, 20, 21],
    members: [
      { ids: [30, 31], terminal: false },
      { ids: [40], terminal: false },
      { ids: [50, 51, 2], terminal: true, weights: { chosen: [1, 0.5, 2], rejected: [0, 1, 1] } },
    ],
    pairs: [
      [0, 1, 1],
      [2, 1, 3],
    ],
  })
})

test('every update has the groups that our engine trains on then, over the ends of epochs', () => {
  const job = writeTorchJob(join(folder, 'order'), jobOf())
  const expected = [0, 1, 2, 3, 4].map((update) => updateBatches(groups, update, order).flat())
  expect(linesOf(join(job.path, 'order.jsonl'))).toEqual(expected)
  expect(expected.map(({ length }) => length)).toEqual([4, 3, 4, 3, 4])
})

test('both engines begin with the same factors, and a job takes the place of the one before', () => {
  const path = join(folder, 'again')
  writeTorchJob(path, jobOf({ adapter: createAdapter(config, lora, 9) }))
  const job = writeTorchJob(path, jobOf({ heldOut: [] }))
  const own = namedFactors(createAdapter(config, lora, 3))
  const written = namedFactors(loadAdapter(join(path, 'adapter'), config))
  expect([...written.keys()]).toEqual([...own.keys()])
  for (const [name, { data }] of own) expect(written.get(name)?.data).toEqual(data)
  expect(readFileSync(job.events, 'utf8')).toBe('')
})

test('moments are numbers of updates: an epoch is as many as it has, and nothing is evaluated without held-out groups', () => {
  const fields = (more: Partial<TorchJob>) => {
    const { path } = writeTorchJob(join(folder, 'moments'), jobOf(more))
    return JSON.parse(readFileSync(join(path, 'job.json'), 'utf8'))
  }
  expect(fields({})).toMatchObject({ evaluation: { every: 2, first: true }, saving: { every: 3 }, updates: 5 })
  expect(fields({ heldOut: [] })).toMatchObject({ evaluation: { every: 0, first: false } })
  expect(fields({}).training).toMatchObject({ max_steps: 5, gradient_accumulation_steps: 2, warmup_steps: 1 })
})
