/** Estimates: sizes worked out by hand on a tiny model, and what is said where a run does not fit. */
import {
  closeSync,
  cpSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { makeSite, settingsFor } from '../../test/run.ts'
import { makeGraph } from '../engine/backend.ts'
import { liveBytes } from '../engine/live-bytes.ts'
import { add, exp, input, matmul } from '../engine/ops.ts'
import { loadConfig } from '../model/load.ts'
import { type TrainInput, trainSchema } from './config.ts'
import { estimate } from './estimate.ts'
import { adviceFor, changesThatFit, needOf, peakOf, refuseTooLarge } from './fit.ts'

const site = makeSite(6)
afterAll(() => rmSync(site.folder, { recursive: true }))
const { config } = loadConfig(site.model)

function fitted(more: Partial<TrainInput> = {}) {
  const settings = trainSchema.parse(settingsFor(site, 'none', { lora_dropout: 0, ...more }))
  return { ...settings, gradient_checkpointing: settings.gradient_checkpointing ?? false }
}

const row = { tokens: 100, scored: 20 }

describe('the parts of a run', () => {
  // 260 × 64 embedding; a layer: q and o 64², k and v 32 · 64, three of 160 · 64, two norms; a norm at the end.
  const layer = 2 * 64 * 64 + 2 * 32 * 64 + 3 * 160 * 64 + 2 * 64
  const parameters = 260 * 64 + 3 * layer + 64
  // Rank 4 on seven linears: r (inputs + outputs).
  const adapter = 3 * 4 * (2 * 128 + 2 * 96 + 3 * 224)

  test('weights in float32 take four bytes, what learns sixteen', () => {
    const need = needOf(fitted(), config, row)
    expect(need.weights).toBe(4 * parameters)
    expect(need.learning).toBe(16 * adapter)
    expect(need.reference + need.decoded).toBe(0)
  })

  test('where all weights learn there are gradients and moments beside them, and a copy', () => {
    const need = needOf(fitted({ use_lora: false }), config, row)
    expect(need.learning).toBe(12 * parameters)
    expect(need.reference).toBe(need.weights)
    expect(needOf(fitted({ use_lora: false, objective: 'sft' }), config, row).reference).toBe(0)
  })

  test('4 bits take half a byte and a scale for each 32, and buffers in which they become float32', () => {
    const need = needOf(fitted({ load_in_4bit: true }), config, row)
    const linears = 2 * 64 * 64 + 2 * 32 * 64 + 3 * 160 * 64
    expect(need.weights).toBe(4 * (parameters - 3 * linears) + 3 * linears * (0.5 + 4 / 32))
    // The larger half of a layer needs gate, up, down and o; q, k and v share their buffers.
    expect(need.decoded).toBe(4 * (64 * 64 + 3 * 160 * 64))
  })

  test('kept products grow with the layers, inputs alone take less, and longer rows more', () => {
    const bytes = (more: Partial<TrainInput>, tokens: number) =>
      peakOf(needOf(fitted(more), config, { ...row, tokens }))
    expect(bytes({ gradient_checkpointing: true }, 400)).toBeLessThan(bytes({}, 400))
    expect(bytes({}, 400)).toBeLessThan(bytes({}, 800))
    expect(bytes({ lora_r: 8 }, 400)).toBeGreaterThan(bytes({}, 400))
  })
})

test('values live until their last use', () => {
  const [a, b] = [input('a', ['T', 10]), input('b', [10, 10])]
  const first = matmul(a, b) // T · 10, over which exp writes
  const y = add(matmul(exp(first), b), a)
  // exp(first) and the second product, T · 10 numbers each; the sum is an output.
  expect(liveBytes(makeGraph({ y }), new Map([['T', 6]]))).toBe(2 * 4 * 60)
})

describe('where a run does not fit', () => {
  const long = { tokens: 4096, scored: 1000 }
  const settings = fitted({ max_row_tokens: 4096, max_length: 2048 })

  test('the mildest change that helps is named, with what it leads to', () => {
    const whole = peakOf(needOf(settings, config, long))
    const change = changesThatFit(settings, config, long, whole - 1e6)
    expect(change?.flags).toEqual(['--gradient_checkpointing'])
    expect(change?.peak).toBeLessThan(whole)
    const both = needOf({ ...settings, gradient_checkpointing: true }, config, { ...long, tokens: 2048 })
    expect(changesThatFit(settings, config, long, peakOf(both))?.flags).toEqual([
      '--gradient_checkpointing',
      '--max_row_tokens 2048',
    ])
  })

  test('changes that the last one makes idle are not named', () => {
    const full = fitted({ use_lora: false, max_row_tokens: 300, max_length: 300 })
    const small = { tokens: 64, scored: 8 }
    const adapted = peakOf(needOf({ ...full, use_lora: true }, config, small))
    expect(changesThatFit(full, config, small, adapted)?.flags).toEqual(['--use_lora'])
  })

  test('shorter rows are whole numbers, and come by max_length where rows are not packed', () => {
    const odd = fitted({ max_row_tokens: 1023, max_length: 100, gradient_checkpointing: true })
    const tokens = 1023
    const half = peakOf(needOf(odd, config, { tokens: 511, scored: 20 }))
    expect(changesThatFit(odd, config, { tokens, scored: 20 }, half)?.flags).toEqual(['--max_row_tokens 511'])
    const alone = fitted({ pack: 'none', max_length: 1023, gradient_checkpointing: true, load_in_4bit: true })
    const need = peakOf(needOf(alone, config, { tokens: 511, scored: 20 }))
    expect(changesThatFit(alone, config, { tokens, scored: 20 }, need)?.flags).toEqual(['--max_length 511'])
  })

  test('where nothing helps, another engine is named', () => {
    expect(adviceFor(settings, config, long, 1e6)).toContain('--engine torch')
  })

  test('a model that is larger than the machine is refused by its header alone', () => {
    const folder = join(site.folder, 'huge')
    mkdirSync(folder)
    const [vocabularySize, hiddenSize] = [1 << 22, 1 << 16]
    const shapes = { 'model.embed_tokens.weight': [vocabularySize, hiddenSize], 'model.norm.weight': [hiddenSize] }
    writeSparse(join(folder, 'model.safetensors'), shapes)
    const huge = { ...config, vocabularySize, hiddenSize }
    expect(() => refuseTooLarge({ ...fitted(), base_model: folder }, huge)).toThrow(
      /takes .* GB of memory .* there are/,
    )
  })
})

/** A file of safetensors with a header, and a hole in place of its numbers. */
function writeSparse(path: string, shapes: Readonly<Record<string, readonly number[]>>): void {
  let end = 0
  const header: Record<string, object> = {}
  for (const [name, shape] of Object.entries(shapes)) {
    const start = end
    end += 2 * shape.reduce((product, size) => product * size, 1)
    header[name] = { dtype: 'BF16', shape, data_offsets: [start, end] }
  }
  const head = Buffer.from(JSON.stringify(header))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(head.length))
  const file = openSync(path, 'w')
  writeSync(file, length)
  writeSync(file, head)
  ftruncateSync(file, 8 + head.length + end)
  closeSync(file)
}

test('a whole estimate says how many updates of how many tokens there are, and how long they take', async () => {
  // The trial's few layers have none of this name.
  const lora_target_modules = ['model.layers.2.self_attn.q_proj']
  const settings = trainSchema.parse(settingsFor(site, 'never', { eval_strategy: 'no', lora_target_modules }))
  const found = await estimate(settings)
  expect(found.updates).toBe(Math.ceil(found.groups / 6) * 2)
  expect(found.largest_row).toBeLessThanOrEqual(600)
  expect(found.tokens_per_update).toBeGreaterThan(100)
  expect(found.peak).toBe(peakOf(found.memory))
  expect(found.seconds).toBeCloseTo(found.updates * Number(found.seconds_per_update))
  expect(found.seconds_per_update).toBeGreaterThan(0)
  expect(found.fits).toBe(true)
})

test('what does not fit is not tried', async () => {
  const folder = join(site.folder, 'wide')
  cpSync(site.model, folder, { recursive: true })
  const path = join(folder, 'config.json')
  const wide = { ...JSON.parse(readFileSync(path, 'utf8')), hidden_size: 1 << 20, intermediate_size: 1 << 20 }
  writeFileSync(path, JSON.stringify(wide))
  writeSparse(join(folder, 'model.safetensors'), { 'model.norm.weight': [1 << 20] })
  const settings = trainSchema.parse({ ...settingsFor(site, 'never', { eval_strategy: 'no' }), base_model: folder })
  const found = await estimate(settings)
  expect(found).toMatchObject({ fits: false, seconds: null, seconds_per_update: null })
  expect(found.advice[0]).toContain('--engine torch')
})
