/** Decoding beside other sequences, with adapters, long prompts and rounded weights, against the full forward pass. */
import { describe, expect, test } from 'vitest'
import { committedPath, oraclePath, oracleTensors, relativeError } from '../../test/oracle.ts'
import { isSlow } from '../../test/slow.ts'
import { random } from '../base/random.ts'
import type { FloatArray } from '../engine/backend.ts'
import { ortBackend } from '../engine/session.ts'
import { loadAdapter } from './adapter-file.ts'
import { type Decoder, openDecoder, STORAGES } from './decode.ts'
import { loadModel } from './load.ts'
import { adaptedLayers } from './lora.ts'
import { makeMachine } from './machine.ts'
import { logitsOf, weightLayers } from './pass.ts'
import { sequenceRow } from './row.ts'
import { float32Weights } from './weights.ts'

const cpu = ortBackend({ threads: 2 })

function open(name: string) {
  const { config, weights } = loadModel(oraclePath(`models/${name}`))
  return makeMachine(cpu, config, weights)
}

const draw = random(1, 'decode')
const someIds = (count: number, below: number): number[] => Array.from({ length: count }, () => draw.below(below))

/** The logits after each of `next`, when these sequences grow side by side. */
async function grow(
  decoder: Decoder,
  prompts: readonly number[][],
  next: readonly number[][],
): Promise<FloatArray[][]> {
  const batch = decoder.openBatch(prompts.length)
  for (const [place, ids] of prompts.entries()) batch.start(place, await decoder.prompt(ids))
  const seen: FloatArray[][] = prompts.map(() => [])
  for (const at of next[0].keys()) {
    const { data, shape } = await batch.step(next.map((ids) => ids[at]))
    for (const [row, own] of seen.entries()) own.push(data.slice(row * shape[1], (row + 1) * shape[1]))
  }
  return seen
}

// Heads of 12 are widened to 16 in the cache; the window of mistral is shorter than the sequences.
const stored = STORAGES.map((storage) => ({ name: 'llama', storage }))
const others = isSlow ? ['qwen2', 'qwen3', 'phi', 'phi3', 'smollm3', 'gemma3_text'] : []
const plain = ['mistral', ...others].map((name) => ({ name, storage: 'float32' as const }))

test.each([...stored, ...plain])(
  'a sequence gets the same bits alone as beside any number of others: $name, $storage',
  async ({ name, storage }) => {
    const decoder = await openDecoder(open(name), { storage })
    const { vocabularySize } = decoder.config
    const prompts = Array.from({ length: 33 }, (_, at) => someIds(1 + ((at * 7) % 19), vocabularySize))
    const next = prompts.map(() => someIds(3, vocabularySize))
    const together = await grow(decoder, prompts, next)
    for (const count of [1, 2, 3, 5, 8, 17]) {
      const rows = Array.from({ length: count }, (_, at) => (at * 7 + count) % 33)
      const found = await grow(
        decoder,
        rows.map((row) => prompts[row]),
        rows.map((row) => next[row]),
      )
      rows.forEach((row, at) => {
        expect(found[at]).toEqual(together[row])
      })
    }
    await decoder.dispose()
  },
)

describe.each(['llama', 'mistral', ...others])('%s', (name) => {
  test('a prompt in several pieces, and what follows it, has the logits of the full forward pass', async () => {
    const machine = open(name)
    const decoder = await openDecoder(machine)
    const { vocabularySize: width } = machine.config
    const ids = someIds(540, width)
    const prompt = await decoder.prompt(ids.slice(0, 530))
    const full = await logitsOf(machine, sequenceRow(ids), weightLayers(machine))
    const expected = (at: number) => full.data.subarray(at * width, (at + 1) * width)
    expect(relativeError(prompt.logits, expected(529))).toBeLessThan(1e-5)
    const [found] = await grow(decoder, [ids.slice(0, 530)], [ids.slice(530)])
    found.forEach((logits, at) => {
      expect(relativeError(logits, expected(530 + at))).toBeLessThan(1e-5)
    })
    await decoder.dispose()
    await machine.dispose()
  })
})

test('a sequence that is moved goes on as if it had stayed, and its old place can be used again', async () => {
  const decoder = await openDecoder(open('llama'))
  const [a, b] = [await decoder.prompt([5, 6, 7, 8]), await decoder.prompt([9, 10])]
  const batch = decoder.openBatch(2)
  batch.start(0, b)
  batch.start(1, a)
  await batch.step([20, 21])
  batch.move(1, 0)
  batch.start(1, b)
  const { data } = await batch.step([22, 20])
  const [[, expectedA]] = await grow(decoder, [[5, 6, 7, 8]], [[21, 22]])
  const [[expectedB]] = await grow(decoder, [[9, 10]], [[20]])
  const width = decoder.config.vocabularySize
  expect(data.slice(0, width)).toEqual(expectedA)
  expect(data.slice(width)).toEqual(expectedB)
  await decoder.dispose()
})

test.each(['llama', 'llama-rslora', 'llama-qv'])('an adapter is in the weights as PEFT merges it: %s', async (name) => {
  const machine = open('llama')
  const adapter = loadAdapter(oraclePath(`peft/${name}`), machine.config)
  const decoder = await openDecoder(machine, { adapter })
  const tensors = oracleTensors(`peft/${name}/reference.safetensors`)
  const ids = [...(tensors.get('ids.0')?.data ?? [])]
  const width = machine.config.vocabularySize
  const merged = tensors.get('merged_logits.0')?.data.subarray((ids.length - 1) * width) ?? []
  const { logits } = await decoder.prompt(ids)
  expect(relativeError(logits, merged)).toBeLessThan(2e-5)
  const beside = await logitsOf(machine, sequenceRow(ids), adaptedLayers(machine, adapter))
  expect(relativeError(logits, beside.data.subarray((ids.length - 1) * width))).toBeLessThan(2e-5)
  await decoder.dispose()
  await machine.dispose()
})

test('a decoder keeps the weights that it was opened with', async () => {
  const machine = open('llama')
  const decoder = await openDecoder(machine)
  const before = (await decoder.prompt([5, 6])).logits
  float32Weights(machine.weights).layers[0]['mlp.up_proj.weight'].data.fill(1)
  expect((await decoder.prompt([5, 6])).logits).toEqual(before)
  await decoder.dispose()
})

test('fewer bits are further from the full forward pass, and near it', async () => {
  // How near depends on the weights: these are always the same.
  const { config, weights } = loadModel(committedPath('models/llama-untied'))
  const machine = makeMachine(cpu, config, weights)
  const ids = someIds(40, machine.config.vocabularySize)
  const full = await logitsOf(machine, sequenceRow(ids), weightLayers(machine))
  const expected = full.data.subarray((ids.length - 1) * machine.config.vocabularySize)
  const errors: number[] = []
  for (const storage of STORAGES) {
    const decoder = await openDecoder(machine, { storage })
    errors.push(relativeError((await decoder.prompt(ids)).logits, expected))
    await decoder.dispose()
  }
  const [float32, int8, int4] = errors
  expect(float32).toBeLessThan(1e-5)
  expect(int8).toBeGreaterThan(1e-4)
  expect(int8).toBeLessThan(0.1)
  expect(int4).toBeGreaterThan(int8)
  expect(int4).toBeLessThan(0.5)
  await machine.dispose()
})
