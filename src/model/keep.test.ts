/** Models whose weights stay as they are stored compute what they compute in float32. */
import { describe, expect, test } from 'vitest'
import { committedPath, oraclePath, relativeError } from '../../test/oracle.ts'
import { toBlocks } from '../engine/block-tensor.ts'
import { toBfloat16, toFloat16 } from '../engine/half.ts'
import { ortBackend } from '../engine/session.ts'
import { float32Of, isBlocks, isStored } from '../engine/stored.ts'
import type { ModelConfig } from './config.ts'
import { openDecoder } from './decode.ts'
import { adapterLearner } from './learner.ts'
import { loadKept, loadModel } from './load.ts'
import { createAdapter } from './lora.ts'
import { makeMachine } from './machine.ts'
import { backwardRow, forwardRow, logitsOf, weightLayers } from './pass.ts'
import { sequenceRow } from './row.ts'
import { float32Weights, type KeptTensor, type KeptWeights, namedWeights } from './weights.ts'

const cpu = ortBackend({ threads: 1 })
const ids = Array.from({ length: 40 }, (_, at) => 5 + ((at * 31) % 150))
const lora = { rank: 4, alpha: 8, dropout: 0, rslora: false, targets: 'all-linear' } as const

/** The same model with the linears of its layers stored otherwise. */
function stored(weights: KeptWeights, store: (tensor: KeptTensor) => KeptTensor): KeptWeights {
  const layers = weights.layers.map((tensors) =>
    Object.fromEntries(
      Object.entries(tensors).map(([name, tensor]) => [name, tensor.shape.length === 2 ? store(tensor) : tensor]),
    ),
  )
  return { ...weights, layers }
}

async function everything(config: ModelConfig, weights: KeptWeights) {
  const machine = makeMachine(cpu, config, weights)
  const row = sequenceRow(Int32Array.from(ids), 10)
  const { layers, gradients } = adapterLearner(machine, createAdapter(config, lora, 1))
  const logits = (await logitsOf(machine, row, weightLayers(machine))).data.slice()
  const pass = await forwardRow(machine, row, layers(''), 'inputs')
  await backwardRow(machine, pass, new Float32Array(row.scored.length).fill(1), gradients)
  const grads = gradients.layers.flatMap((tensors) => Object.values(tensors).map(({ data }) => Float32Array.from(data)))
  await machine.dispose()
  return { logits, logps: pass.scores.logps, grads }
}

const ways: readonly (readonly [string, (tensor: KeptTensor) => KeptTensor])[] = [
  ['bfloat16', (tensor) => ({ storage: 'bfloat16', data: toBfloat16(float32Of(tensor).data), shape: tensor.shape })],
  ['float16', (tensor) => ({ storage: 'float16', data: toFloat16(float32Of(tensor).data), shape: tensor.shape })],
  ['int8', (tensor) => toBlocks(float32Of(tensor), 8)],
  ['int4', (tensor) => toBlocks(float32Of(tensor), 4)],
]

test.each(ways)(
  'logits, log-probabilities and gradients with weights in %s are those of the same numbers in float32, bit for bit',
  async (_, store) => {
    const { config, weights } = loadModel(oraclePath('models/llama-untied'))
    const kept = stored(weights, store)
    expect(await everything(config, kept)).toEqual(await everything(config, stored(kept, float32Of)))
  },
)

test.each(['qwen2-bf16', 'mistral-fp16'])('%s stays in 16 bits, and computes as if it did not', async (name) => {
  const path = oraclePath(`models/${name}`)
  const { config, weights } = loadKept(path, 'stored')
  const linears = Object.values(weights.layers[0]).filter(({ shape }) => shape.length === 2)
  expect(linears.every(isStored)).toBe(true)
  expect(await everything(config, weights)).toEqual(await everything(config, loadModel(path).weights))
})

describe('rounding while loading', () => {
  const path = oraclePath('models/llama-untied')

  test('the linears of the layers have so many bits, all else is as it was', () => {
    const { weights } = loadModel(path)
    for (const [keep, bits] of [
      ['int8', 8],
      ['int4', 4],
    ] as const) {
      const rounded = loadKept(path, keep).weights
      for (const [name, tensor] of namedWeights<KeptTensor>(rounded)) {
        const plain = namedWeights<KeptTensor>(weights).get(name) ?? tensor
        const isLinear = name.startsWith('model.layers') && tensor.shape.length === 2
        expect(isLinear ? isBlocks(tensor) && tensor.bits : false).toBe(isLinear && bits)
        expect(tensor).toEqual(isLinear ? toBlocks(float32Of(plain), bits) : plain)
      }
    }
  })

  test('a decoder of rounded weights rounds no second time, with an adapter beside them', async () => {
    // How near products are depends on the weights: these are always the same.
    const { config, weights } = loadKept(committedPath('models/llama-untied'), 'int4')
    const machine = makeMachine(cpu, config, weights)
    const adapter = createAdapter(config, lora, 1)
    for (const tensors of adapter.layers) {
      for (const [name, { data }] of Object.entries(tensors)) if (name.includes('lora_B')) data.fill(0.02)
    }
    const { layers } = adapterLearner(machine, adapter)
    const full = await logitsOf(machine, sequenceRow(ids), layers(''))
    const expected = full.data.subarray((ids.length - 1) * config.vocabularySize)
    const errors: number[] = []
    for (const given of [{ adapter }, {}]) {
      const decoder = await openDecoder(machine, given)
      errors.push(relativeError((await decoder.prompt(ids)).logits, expected))
      await decoder.dispose()
    }
    // Products with activations rounded to 8 bits are near; those without the adapter are not.
    expect(errors[0]).toBeLessThan(0.05)
    expect(errors[1]).toBeGreaterThan(2 * errors[0])
    await machine.dispose()
  })
})

test('weights that learn are not kept in another form', () => {
  const { weights } = loadKept(oraclePath('models/llama'), 'int4')
  expect(() => float32Weights(weights)).toThrow('float32')
  expect(float32Weights(loadKept(oraclePath('models/llama'), 'float32').weights)).toBeDefined()
})
