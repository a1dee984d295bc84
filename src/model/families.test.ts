/** Every family against transformers and PEFT: logits, greedy tokens, scores, and gradients against differences. */
import { describe, expect, test } from 'vitest'
import { oracleJson, oraclePath, oracleTensors, relativeError } from '../../test/oracle.ts'
import { isSlow } from '../../test/slow.ts'
import { random } from '../base/random.ts'
import type { Backend } from '../engine/backend.ts'
import { interpreter } from '../engine/interpret.ts'
import { ortBackend } from '../engine/session.ts'
import { loadAdapter, namedFactors } from './adapter-file.ts'
import { decodeGreedily, openDecoder } from './decode.ts'
import { adapterLearner, fullLearner, type Learner } from './learner.ts'
import { loadModel } from './load.ts'
import { adaptedLayers, createAdapter } from './lora.ts'
import { type Cuts, defaultCuts, type Machine, makeMachine } from './machine.ts'
import { backwardRow, forwardRow, logitsOf, scoreRow, weightLayers } from './pass.ts'
import { type Row, sequenceRow } from './row.ts'

const cpu = ortBackend({ threads: 2 })
/** Small cuts, so that a short row has many blocks and chunks. */
const small: Cuts = { blockTokens: 4, chunkTokens: 5, headTokens: 3 }

// Llama and Mistral have their tests in pass.test.ts and decode.test.ts.
const names = ['qwen2', 'qwen3', 'phi', 'phi3', 'smollm3', 'gemma3_text']

function open(name: string, backend: Backend = cpu, cuts = defaultCuts): Machine {
  const { config, weights } = loadModel(oraclePath(`models/${name}`))
  return makeMachine(backend, config, weights, cuts)
}

interface ModelReference {
  readonly prompt: number[]
  readonly generated: number[]
  readonly float32_vs_float64_max_abs_logit_difference: number
}

describe.each([...names, 'qwen2-bf16'])('transformers %s', (name) => {
  const reference = oracleJson<ModelReference>(`models/${name}/reference.json`)

  test.each(isSlow ? [cpu, interpreter] : [cpu])('logits and log-probabilities to 5e-5: $name', async (backend) => {
    const tensors = oracleTensors(`models/${name}/reference.safetensors`)
    const numbers = (key: string) => tensors.get(key)?.data ?? []
    const machine = open(name, backend)
    for (const at of [0, 1, 2]) {
      const row = sequenceRow(numbers(`ids.${at}`))
      const expected = numbers(`logits.${at}`)
      const noise = reference.float32_vs_float64_max_abs_logit_difference / Math.max(...Array.from(expected, Math.abs))
      const limit = (backend === cpu ? 5e-5 : 1e-6) + noise
      const { data } = await logitsOf(machine, row, weightLayers(machine))
      expect(relativeError(data, expected)).toBeLessThan(limit)
      if (row.scored.length === 0) continue
      const logps = await scoreRow(machine, row, weightLayers(machine))
      expect(relativeError(logps, numbers(`logprobs.${at}`))).toBeLessThan(limit)
    }
    await machine.dispose()
  })

  test('greedy tokens are the same, one by one from the cache', async () => {
    const decoder = await openDecoder(open(name))
    const options = { maxNewTokens: reference.generated.length, endIds: [] }
    const found: number[] = []
    for await (const id of decodeGreedily(decoder, reference.prompt, options)) found.push(id)
    expect(found).toEqual(reference.generated)
    await decoder.dispose()
  })
})

test.each(['phi', 'phi3', 'qwen3'])(
  'PEFT %s: logits with its adapter, beside the weights and in them',
  async (name) => {
    const machine = open(name)
    const adapter = loadAdapter(oraclePath(`peft/${name}`), machine.config)
    const tensors = oracleTensors(`peft/${name}/reference.safetensors`)
    const ids = tensors.get('ids.0')?.data ?? []
    const { data, shape } = await logitsOf(machine, sequenceRow(ids), adaptedLayers(machine, adapter))
    expect(relativeError(data, tensors.get('adapter_logits.0')?.data ?? [])).toBeLessThan(5e-5)
    const decoder = await openDecoder(machine, { adapter })
    const { logits } = await decoder.prompt([...ids])
    const merged = tensors.get('merged_logits.0')?.data ?? []
    expect(relativeError(logits, merged.slice((shape[0] - 1) * shape[1]))).toBeLessThan(5e-5)
    await decoder.dispose()
    await machine.dispose()
  },
)

/** A shared prefix with two continuations, longer than any window of these models. */
const row: Row = {
  ids: Int32Array.of(5, 90, 17, 40, 41, 42, 8, 9, 41),
  parents: Int32Array.of(-1, 0, 1, 2, 3, 4, 5, 4, 7),
  scored: Int32Array.of(3, 5, 6, 7, 8),
}
const dLogps = [0.4, -0.7, 0.3, 0.9, -0.2]

function learnerOf(machine: Machine, kind: 'adapter' | 'full'): Learner {
  if (kind === 'full') return fullLearner(machine)
  const settings = { rank: 2, alpha: 4, dropout: 0, rslora: false, targets: 'all-linear' } as const
  const adapter = createAdapter(machine.config, settings, 1)
  const draw = random(2, 'factors')
  for (const { data } of namedFactors(adapter).values()) data.set(data.map(() => 0.5 * (draw.uniform() - 0.5)))
  return adapterLearner(machine, adapter)
}

describe.each(names)('gradients of %s', (name) => {
  test.each(['adapter', 'full'] as const)('equal differences in random directions: %s', async (kind) => {
    const machine = open(name, interpreter, small)
    const learner = learnerOf(machine, kind)
    const pass = async (keeping: 'inputs' | 'products') => {
      const { scores, ...rest } = await forwardRow(machine, row, learner.layers(''), keeping)
      const value = dLogps.reduce((sum, slope, at) => sum + slope * scores.logps[at], 0)
      return { value, rest: { scores, ...rest } }
    }
    await backwardRow(machine, (await pass('products')).rest, Float64Array.from(dLogps), learner.gradients)
    const draw = random(3, 'direction')
    const { parameters } = learner
    // Each tensor for itself, or all at once.
    for (const moved of isSlow ? parameters.map((parameter) => [parameter]) : [parameters]) {
      const before = moved.map(({ values }) => values.slice())
      const steps = before.map((values) => values.map(() => (draw.below(2) - 0.5) / 2 ** 15))
      const at = async (sign: number): Promise<number> => {
        moved.forEach(({ values }, index) => {
          values.set(before[index].map((value, place) => value + sign * steps[index][place]))
        })
        return (await pass('inputs')).value
      }
      const found = (await at(1)) - (await at(-1))
      let [expected, squares] = [0, 0]
      moved.forEach(({ values, gradient }, index) => {
        const own = before[index]
        for (let place = 0; place < own.length; place++) {
          const step = steps[index][place]
          // By how far the float32 numbers really were apart.
          const change = gradient[place] * (Math.fround(own[place] + step) - Math.fround(own[place] - step))
          expected += change
          squares += change ** 2
        }
        values.set(own)
      })
      // A sum of random signs is about as large as the root of its squares; now and then it is near 0 by chance.
      expect(Math.abs(found - expected), moved[0].name).toBeLessThan(1e-4 * Math.sqrt(squares) + 1e-9)
    }
    await machine.dispose()
  })

  test.runIf(isSlow).each(['adapter', 'full'] as const)('are the same in float32, however kept: %s', async (kind) => {
    const exact = learnerOf(open(name, interpreter), kind)
    const machine = open(name, interpreter)
    const pass = await forwardRow(machine, row, exact.layers(''), 'inputs')
    await backwardRow(machine, pass, Float64Array.from(dLogps), exact.gradients)
    for (const keeping of ['products', 'inputs'] as const) {
      const single = open(name, cpu, small)
      const learner = learnerOf(single, kind)
      const own = await forwardRow(single, row, learner.layers(''), keeping)
      await backwardRow(single, own, Float32Array.from(dLogps), learner.gradients)
      learner.parameters.forEach(({ gradient, name }, at) => {
        expect(relativeError(gradient, exact.parameters[at].gradient), name).toBeLessThan(1e-4)
      })
      await single.dispose()
    }
  })
})

test('entropy, mean and largest of a head with a bias are those of its logits', async () => {
  const machine = open('phi')
  const { data, shape } = await logitsOf(machine, row, weightLayers(machine))
  const { scores } = await forwardRow(machine, row, weightLayers(machine), 'inputs')
  row.scored.forEach((token, at) => {
    const from = row.parents[token] * shape[1]
    const logits = Array.from(data.subarray(from, from + shape[1]))
    const total = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0))
    const entropy = -logits.reduce((sum, logit) => sum + Math.exp(logit - total) * (logit - total), 0)
    expect(scores.entropy[at]).toBeCloseTo(entropy, 4)
    expect(scores.meanLogit[at]).toBeCloseTo(logits.reduce((sum, logit) => sum + logit, 0) / shape[1], 5)
    expect(scores.best[at]).toBeCloseTo(Math.max(...logits) - total, 5)
  })
  await machine.dispose()
})
