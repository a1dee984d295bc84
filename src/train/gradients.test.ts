/** The Step-DPO objective on six pairs against TRL: loss, metrics, log-probabilities and every LoRA gradient. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { oracleJson, oraclePath, oracleTensors, relativeError } from '../../test/oracle.ts'
import { random } from '../base/random.ts'
import type { EncodedGroup } from '../batch/encode.ts'
import { ortBackend } from '../engine/session.ts'
import { loadAdapter } from '../model/adapter-file.ts'
import { adapterLearner } from '../model/learner.ts'
import { loadModel } from '../model/load.ts'
import { makeMachine } from '../model/machine.ts'
import { zeroMoments } from './adamw.ts'
import { openReferenceCache } from './reference.ts'
import { accumulateGradient, applyGradient, NotFiniteError } from './update.ts'

interface Reference {
  readonly beta: number
  readonly pairs: { prompt_ids: number[]; chosen_ids: number[]; rejected_ids: number[] }[]
  readonly cases: Record<'sigmoid', { loss: number; metrics: Record<string, number> }>
}

const folder = mkdtempSync(join(tmpdir(), 'stepdpo-gradients-'))
afterAll(() => rmSync(folder, { recursive: true }))

const reference = oracleJson<Reference>('dpo/llama/reference.json')
const groups: EncodedGroup[] = reference.pairs.map(({ prompt_ids, chosen_ids, rejected_ids }, at) => ({
  problem: String(at),
  prefix: [prompt_ids],
  members: [chosen_ids, rejected_ids],
  pairs: [{ chosen: 0, rejected: 1, weight: 1 }],
}))

const adam = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, maxGradNorm: 1 }

/** The model and adapter of the oracle. */
function startPolicy(keeping: 'products' | 'inputs') {
  const { config, weights } = loadModel(oraclePath('models/llama'))
  const machine = makeMachine(ortBackend({ threads: 2 }), config, weights)
  const learner = adapterLearner(machine, loadAdapter(oraclePath('dpo/llama/adapter'), config))
  return { machine, learner, reference: machine, cache: freshCache(), keeping, weights }
}

let caches = 0
function freshCache() {
  return openReferenceCache(join(folder, String(++caches)), undefined)
}

function objectiveOf(packing: 'tree' | 'none') {
  const { beta } = reference
  return { lossType: 'sigmoid', beta, labelSmoothing: 0, packing: { packing, maxRowTokens: 256 } } as const
}

test.each([
  ['tree', 'products'],
  ['tree', 'inputs'],
  ['none', 'products'],
] as const)(
  'packing %s, keeping %s: loss, metrics and gradients are those of TRL to 1e-4',
  async (packing, keeping) => {
    const policy = startPolicy(keeping)
    const { metrics } = await accumulateGradient(policy, objectiveOf(packing), [groups], '')
    const { loss, metrics: expected } = reference.cases.sigmoid
    expect(Math.abs(metrics['loss'] - loss)).toBeLessThan(1e-5)
    for (const [name, value] of Object.entries(expected)) {
      const close = Math.abs(metrics[name] - value) <= 1e-4 * Math.max(1, Math.abs(value))
      expect({ name, close }).toEqual({ name, close: true })
    }
    const gradients = oracleTensors('dpo/llama/gradients/sigmoid.safetensors')
    expect(policy.learner.parameters.map(({ name }) => name).sort()).toEqual([...gradients.keys()].sort())
    for (const { name, gradient } of policy.learner.parameters) {
      expect(relativeError(gradient, gradients.get(name)?.data ?? [])).toBeLessThan(1e-4)
    }
    policy.cache.close()
    await policy.machine.dispose()
  },
)

test('a number that is not finite, wherever it comes in, is named in the same update', async () => {
  const draw = random(0, 'injection')
  const pick = <T>(list: readonly T[]): T => list[draw.below(list.length)]
  const { weights, ...policy } = startPolicy('products')
  const { parameters } = policy.learner
  const before = parameters.map(({ values }) => values.slice())
  for (let trial = 0; trial < 150; trial++) {
    const moments = new Map(parameters.map(({ name, values }) => [name, zeroMoments(values.length)]))
    const { name, values } = pick(parameters)
    const { data } = pick(Object.values(pick(weights.layers)))
    const site = pick([values, data, ...Object.values(moments.get(name) ?? {})])
    const at = draw.below(site.length)
    const sound = site[at]
    site[at] = pick([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])
    const cache = freshCache()
    const update = async (): Promise<void> => {
      const { norm } = await accumulateGradient({ ...policy, cache }, objectiveOf('tree'), [groups], '')
      applyGradient(policy.learner, moments, adam, { norm, time: 1, rate: 1e-3 })
    }
    await expect(update(), `trial ${trial}: ${site[at]}`).rejects.toThrow(NotFiniteError)
    cache.close()
    site[at] = sound
    for (const [index, parameter] of parameters.entries()) parameter.values.set(before[index])
  }
  policy.cache.close()
  await policy.machine.dispose()
})
