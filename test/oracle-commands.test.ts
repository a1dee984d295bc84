/** `score` and greedy decoding against transformers, also on the real model where it is at hand. */

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { interpreter } from '../src/engine/interpret.ts'
import { ortBackend } from '../src/engine/session.ts'
import { type Decoder, decodeGreedily, openDecoder } from '../src/model/decode.ts'
import { loadModel } from '../src/model/load.ts'
import { type Machine, makeMachine } from '../src/model/machine.ts'
import { logitsOf, scoreRow, weightLayers } from '../src/model/pass.ts'
import { sequenceRow } from '../src/model/row.ts'
import { scoreSchema } from '../src/recipe/command-settings.ts'
import { type ScoredRow, score } from '../src/recipe/score.ts'
import { loadTokenizer } from '../src/text/tokenizer.ts'
import { oracleJson, oraclePath, oracleTensors, relativeError } from './oracle.ts'
import { isSlow } from './slow.ts'

const cpu = ortBackend({ threads: 2 })
const folder = mkdtempSync(join(tmpdir(), 'stepdpo-score-'))
afterAll(() => rmSync(folder, { recursive: true }))

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

// Of the other families families.test.ts has the greedy tokens.
const others = isSlow ? ['qwen2', 'qwen3', 'phi', 'phi3', 'smollm3', 'gemma3_text'] : []

describe.each(['llama', 'llama-untied', 'mistral', 'mistral-fp16', ...others])('%s', (name) => {
  const { config, weights } = loadModel(oraclePath(`models/${name}`))
  const reference = oracleJson<{ prompt: number[]; generated: number[] }>(`models/${name}/reference.json`)

  test.each([cpu, interpreter])('greedy tokens equal those of transformers: $name', async (backend) => {
    const decoder = await openDecoder(makeMachine(backend, config, weights))
    const options = { maxNewTokens: reference.generated.length, endIds: [] }
    expect(await collect(decodeGreedily(decoder, reference.prompt, options))).toEqual(reference.generated)
    await decoder.dispose()
  })

  test('decoding with the cache gives the logits of the full forward pass to 1e-5', async () => {
    const machine = makeMachine(cpu, config, weights)
    const layers = weightLayers(machine)
    const ids = [...reference.prompt, ...reference.generated]
    const full = await logitsOf(machine, sequenceRow(ids), layers)
    const decoder = await openDecoder(machine)
    const batch = decoder.openBatch(1)
    batch.start(0, await decoder.prompt(ids.slice(0, 4)))
    for (let at = 4; at < ids.length; at++) {
      const { data } = await batch.step([ids[at]])
      const { vocabularySize: width } = config
      expect(relativeError(data, full.data.subarray(at * width, (at + 1) * width))).toBeLessThan(1e-5)
    }
    await decoder.dispose()
    await machine.dispose()
  })

  test('score writes the log-probabilities of transformers, row by row', async () => {
    const tensors = oracleTensors(`models/${name}/reference.safetensors`)
    const data = join(folder, `${name}.jsonl`)
    const rows = [0, 1, 2].map((at) => JSON.stringify({ ids: [...(tensors.get(`ids.${at}`)?.data ?? [])] }))
    writeFileSync(data, `${rows.join('\n')}\nnot json\n`)
    const settings = scoreSchema.parse({ base_model: oraclePath(`models/${name}`), dataset_path: data })
    const found: ScoredRow[] = await collect(score(settings))
    expect(found.map(({ line }) => line)).toEqual([1, 2, 3, 4])
    for (const at of [0, 1, 2]) {
      const row = found[at]
      if (!('scores' in row)) throw new Error(row.problem)
      const [{ logprobs, sum }] = row.scores
      expect(relativeError(logprobs, tensors.get(`logprobs.${at}`)?.data ?? [])).toBeLessThan(5e-5)
      expect(sum).toBeCloseTo(
        logprobs.reduce((total, logp) => total + logp, 0),
        10,
      )
    }
    expect(found[3]).toMatchObject({ problem: expect.stringMatching(/JSON/) })
  })
})

const shared = fileURLToPath(new URL('../../shared/', import.meta.url))
const smollm2 = join(shared, 'models/SmolLM2-135M-Instruct')
const fixture = join(shared, 'fixtures/smollm2/model.json')

interface SmolReference {
  readonly top_logits: readonly {
    readonly text: string
    readonly ids: number[]
    readonly top_ids: number[]
    readonly top_logits: number[]
    readonly logsumexp: number
  }[]
  readonly solutions: readonly {
    readonly prompt_ids: number[]
    readonly solution_ids: number[]
    readonly logprobs: number[]
  }[]
  readonly greedy: readonly { readonly prompt_ids: number[]; readonly generated: number[]; readonly text: string }[]
}

describe.skipIf(!existsSync(smollm2) || !existsSync(fixture))('SmolLM2-135M-Instruct from its GGUF file', () => {
  let machine: Machine
  let decoder: Decoder
  beforeAll(async () => {
    const { config, weights } = loadModel(smollm2)
    machine = makeMachine(cpu, config, weights)
    decoder = await openDecoder(machine)
  })
  afterAll(async () => {
    await decoder.dispose()
    await machine.dispose()
  })
  const reference = (): SmolReference => JSON.parse(readFileSync(fixture, 'utf8'))

  test('the largest logits and the normaliser of a text equal those of transformers to 1e-3', async () => {
    const tokenizer = loadTokenizer(smollm2)
    for (const { text, ids, top_ids, top_logits, logsumexp } of reference().top_logits) {
      expect(tokenizer.encode(text)).toEqual(ids)
      const { logits } = await decoder.prompt(ids)
      const most = Math.max(...top_logits)
      let total = 0
      for (const logit of logits) total += Math.exp(logit - most)
      expect(Math.abs(most + Math.log(total) - logsumexp)).toBeLessThan(1e-3)
      top_ids.forEach((id, at) => {
        expect(Math.abs(logits[id] - top_logits[at])).toBeLessThan(1e-3)
      })
    }
  })

  test('log-probabilities of whole solutions equal those of transformers to 1e-3', async () => {
    for (const { prompt_ids, solution_ids, logprobs } of reference().solutions) {
      const row = sequenceRow([...prompt_ids, ...solution_ids], prompt_ids.length)
      const found = await scoreRow(machine, row, weightLayers(machine))
      logprobs.forEach((expected, at) => {
        expect(Math.abs(found[at] - expected)).toBeLessThan(1e-3)
      })
    }
  })

  test('greedy tokens equal those of transformers: 3 of each text, all 40 in the slow stage', async () => {
    const tokenizer = loadTokenizer(smollm2)
    for (const { prompt_ids, generated, text } of reference().greedy) {
      const count = isSlow ? generated.length : 3
      const options = { maxNewTokens: count, endIds: [] }
      const ids = await collect(decodeGreedily(decoder, prompt_ids, options))
      expect(ids).toEqual(generated.slice(0, count))
      expect(text.startsWith(tokenizer.decode(ids))).toBe(true)
    }
  })
})
