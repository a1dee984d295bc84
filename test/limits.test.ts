/** What commands say of models whose numbers are not finite, and of those that reach a few tokens only. */
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { writeTinyModel } from '../scripts/tiny-model.ts'
import { saveAdapter } from '../src/model/adapter-file.ts'
import { loadModel } from '../src/model/load.ts'
import { createAdapter } from '../src/model/lora.ts'
import { safetensorsParts } from '../src/model/safetensors-write.ts'
import { namedWeights } from '../src/model/weights.ts'
import { checkAdapterSchema } from '../src/recipe/adapter-settings.ts'
import { checkAdapter } from '../src/recipe/check-adapter.ts'
import { scoreSchema } from '../src/recipe/command-settings.ts'
import { evaluate } from '../src/recipe/eval.ts'
import { evalSchema } from '../src/recipe/eval-settings.ts'
import { generate, samplePrompt } from '../src/recipe/generate.ts'
import { generateFile } from '../src/recipe/generate-file.ts'
import { generateSchema } from '../src/recipe/generate-settings.ts'
import { openImplicitJudge, scoreImplicitly } from '../src/recipe/implicit.ts'
import { openLocalJudge } from '../src/recipe/local-model.ts'
import { score } from '../src/recipe/score.ts'
import { systemWorld } from '../src/recipe/world.ts'
import { folderMaker } from './folders.ts'

const newFolder = folderMaker()
const model = newFolder()
writeTinyModel(model, 0)
const { config, weights } = loadModel(model)
const world = systemWorld()

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

function jsonl(...rows: readonly object[]): string {
  const path = join(newFolder(), 'rows.jsonl')
  writeFileSync(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(''))
  return path
}

/** A copy of the tiny model, and an adapter for it. */
function copied(): { readonly base_model: string; readonly adapter: string } {
  const [base_model, adapter] = [newFolder(), newFolder()]
  cpSync(model, base_model, { recursive: true })
  const lora = { rank: 2, alpha: 4, dropout: 0, rslora: false, targets: 'all-linear' } as const
  saveAdapter(adapter, createAdapter(config, lora, 1), base_model)
  return { base_model, adapter }
}

const problem = { problem: '3 + 4?', answer: '7' }
const solution = { problem: '3 + 4?', steps: ['3 + 4 = 7', 'So 7.'] }

describe('a model whose norm is not a number', () => {
  const { base_model, adapter } = copied()
  beforeAll(() => {
    const tensors = new Map(namedWeights(weights))
    tensors.set('model.norm.weight', { data: new Float32Array(64).fill(Number.NaN), shape: [64] })
    writeFileSync(join(base_model, 'model.safetensors'), Buffer.concat([...safetensorsParts(tensors)].map(bytesOf)))
  })
  const damaged = /: expected finite numbers of this model, found NaN: its weights may be damaged/
  const asked = (more: object) => generateSchema.parse({ base_model, max_new_tokens: 3, threads: 1, ...more })

  test('is refused by score, and by its rewards of steps', async () => {
    const rows = jsonl({ ids: [1, 2, 3] })
    const plain = scoreSchema.parse({ base_model, dataset_path: rows, threads: 1 })
    await expect(collect(score(plain))).rejects.toThrow(damaged)
    await expect(collect(score({ ...plain, adapter }))).rejects.toThrow(`${base_model} with ${adapter}`)
    const steps = scoreSchema.parse({ base_model, adapter, dataset_path: jsonl(solution), threads: 1 })
    await expect(collect(scoreImplicitly(steps))).rejects.toThrow(damaged)
  })

  test.each([0, 1])('is refused by generate at temperature %d, for a prompt and for a file', async (temperature) => {
    const prompt = '3 + 4?'
    const one = { ...asked({ temperature }), prompt }
    await expect(collect(temperature === 0 ? generate(one) : samplePrompt(one, world))).rejects.toThrow(damaged)
    const file = asked({ temperature, output_dir: newFolder() })
    await expect(collect(generateFile({ ...file, dataset_path: jsonl(problem) }, world))).rejects.toThrow(damaged)
  })

  test('is refused by eval', async () => {
    const settings = evalSchema.parse({ base_model, dataset_path: jsonl(problem), output_dir: newFolder(), threads: 1 })
    await expect(collect(evaluate(settings, world))).rejects.toThrow(damaged)
  })

  test('is refused as a judge', async () => {
    for (const open of [openLocalJudge(base_model, { threads: 1 }), openImplicitJudge(adapter, { threads: 1 })]) {
      const { judge, close } = await open
      await expect(judge.judge(solution, new AbortController().signal)).rejects.toThrow(damaged)
      await close()
    }
  })

  test('is refused by check-adapter, which does not blame the adapter', async () => {
    const settings = checkAdapterSchema.parse({ base_model, adapter, prompt: '3 + 4?', threads: 1 })
    await expect(checkAdapter(settings)).rejects.toThrow(`${base_model}: expected finite numbers`)
    await expect(checkAdapter({ ...settings, max_new_tokens: 0 })).rejects.toThrow(`${base_model}: expected finite`)
  })
})

describe('a model with longrope', () => {
  const REACH = 40
  const { base_model, adapter } = copied()
  beforeAll(() => {
    const path = join(base_model, 'config.json')
    const factors = Array.from({ length: 8 }, (_, at) => 1 + at / 8)
    const rope_scaling = { type: 'longrope', short_factor: factors, long_factor: factors }
    const json = { ...JSON.parse(readFileSync(path, 'utf8')), rope_scaling, original_max_position_embeddings: REACH }
    writeFileSync(path, JSON.stringify(json))
  })

  test('answers a prompt up to its reach, and refuses one that leaves no room', async () => {
    const settings = generateSchema.parse({ base_model, raw: true, max_new_tokens: 100, threads: 1 })
    const pieces = await collect(generate({ ...settings, prompt: 'x'.repeat(REACH - 5) }))
    expect(pieces.flatMap(({ ids }) => ids).length).toBe(5)
    const full = generate({ ...settings, prompt: 'x'.repeat(REACH) })
    await expect(collect(full)).rejects.toThrow("--prompt: expected fewer tokens than the model's 40, found 40")
  })

  test('a row beyond its reach is told of, and the others are scored', async () => {
    const ids = (length: number) => ({ ids: Array.from({ length }, (_, at) => at) })
    const settings = scoreSchema.parse({
      base_model,
      dataset_path: jsonl(ids(REACH), ids(REACH + 1), ids(3)),
      threads: 1,
    })
    const rows = await collect(score(settings))
    expect(rows.map((row) => ('scores' in row ? row.scores[0].ids.length : row.problem))).toEqual([
      REACH - 1,
      expect.stringMatching(/longrope is supported up to 40 tokens.* not for 41/),
      2,
    ])
    await expect(collect(score({ ...settings, strict: true }))).rejects.toThrow(/rows.jsonl:2: .*up to 40 tokens/)
  })

  test('so is a solution whose steps reach beyond it', async () => {
    const long = { ...solution, steps: ['x'.repeat(60)] }
    const dataset_path = jsonl(long, solution)
    const rows = await collect(scoreImplicitly(scoreSchema.parse({ base_model, adapter, dataset_path, threads: 1 })))
    expect(rows.map((row) => 'problem' in row)).toEqual([true, false])
  })

  test('as a judge it abstains on such a solution', async () => {
    for (const open of [openLocalJudge(base_model, { threads: 1 }), openImplicitJudge(adapter, { threads: 1 })]) {
      const { judge, close } = await open
      const long = { ...solution, steps: ['x'.repeat(60), 'y'] }
      const { steps } = await judge.judge(long, new AbortController().signal)
      const abstained = { state: 'abstained', why: expect.stringMatching(/longrope is supported up to 40 tokens/) }
      expect(steps[0]).toMatchObject(abstained)
      expect(steps[1]).toMatchObject({ state: 'abstained' })
      await close()
    }
  })
})

function bytesOf(part: Uint8Array | string): Uint8Array {
  return typeof part === 'string' ? Buffer.from(part) : part
}
