/** Every loss on six pairs against TRL: loss, metrics, log-probabilities and every LoRA gradient. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { oracleJson, oraclePath, oracleTensors, relativeError } from '../../test/oracle.ts'
import { packedFor } from '../../test/packed.ts'
import { plainObjective } from '../../test/plain-objective.ts'
import { isSlow } from '../../test/slow.ts'
import { random } from '../base/random.ts'
import type { EncodedGroup } from '../batch/encode.ts'
import { ortBackend } from '../engine/session.ts'
import { loadAdapter } from '../model/adapter-file.ts'
import { adapterLearner, type Learner } from '../model/learner.ts'
import { loadModel } from '../model/load.ts'
import { makeMachine } from '../model/machine.ts'
import { zeroMoments } from './adamw.ts'
import type { DivergenceType } from './divergence.ts'
import type { LossType } from './loss-table.ts'
import type { Objective } from './objective.ts'
import { openReferenceCache } from './reference.ts'
import { accumulateGradient, applyGradient, NotFiniteError, type PackedObjective } from './update.ts'

interface Reference {
  readonly beta: number
  readonly pairs: { prompt_ids: number[]; chosen_ids: number[]; rejected_ids: number[] }[]
  readonly cases: Record<string, Case>
}

interface Case {
  readonly loss_types: LossType[]
  readonly loss_weights: number[]
  readonly label_smoothing: number
  readonly ld_alpha: number | null
  readonly f_divergence_type: DivergenceType
  readonly use_weighting: boolean
  readonly loss: number
  readonly metrics: Record<string, number>
}

const folder = mkdtempSync(join(tmpdir(), 'stepdpo-gradients-'))
afterAll(() => rmSync(folder, { recursive: true }))

function groupsOf({ pairs }: Reference): EncodedGroup[] {
  return pairs.map(({ prompt_ids, chosen_ids, rejected_ids }, at) => ({
    problem: String(at),
    prefix: [prompt_ids],
    members: [chosen_ids, rejected_ids],
    pairs: [{ chosen: 0, rejected: 1, weight: 1 }],
  }))
}

const reference = oracleJson<Reference>('dpo/llama/reference.json')
const groups = groupsOf(reference)

const adam = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, maxGradNorm: 1 }

/** A model and adapter of the oracle. */
function startPolicy(keeping: 'products' | 'inputs', model = 'llama') {
  const { config, weights } = loadModel(oraclePath(`models/${model}`))
  const machine = makeMachine(ortBackend({ threads: 2 }), config, weights)
  const learner = adapterLearner(machine, loadAdapter(oraclePath(`dpo/${model}/adapter`), config))
  return { machine, learner, reference: machine, cache: freshCache(), keeping, weights }
}

let caches = 0
function freshCache() {
  return openReferenceCache(join(folder, String(++caches)), undefined)
}

function objectiveOf(packing: 'tree' | 'none', name = 'sigmoid'): PackedObjective {
  const { loss_types, loss_weights, label_smoothing, ld_alpha, f_divergence_type, use_weighting } =
    reference.cases[name]
  return {
    ...plainObjective,
    terms: loss_types.map((type, at) => ({ type, weight: loss_weights[at] })),
    beta: reference.beta,
    labelSmoothing: label_smoothing,
    divergence: { type: f_divergence_type, alpha: 0.5 },
    ldAlpha: ld_alpha,
    usesWeighting: use_weighting,
    packing: { packing, maxRowTokens: 256 },
  }
}

/** The largest relative error of the gradients of what learns. */
function gradientError(learner: Learner, name: string, model = 'llama'): number {
  const expected = oracleTensors(`dpo/${model}/gradients/${name}.safetensors`)
  expect(learner.parameters.map((parameter) => parameter.name).sort()).toEqual([...expected.keys()].sort())
  return Math.max(
    ...learner.parameters.map(({ name, gradient }) => relativeError(gradient, expected.get(name)?.data ?? [])),
  )
}

test.each([
  ['tree', 'products'],
  ['tree', 'inputs'],
  ['none', 'products'],
] as const)(
  'packing %s, keeping %s: loss, metrics and gradients are those of TRL to 1e-4',
  async (packing, keeping) => {
    const policy = startPolicy(keeping)
    const { metrics } = await accumulateGradient(
      policy,
      objectiveOf(packing),
      packedFor(objectiveOf(packing), [groups]),
      { label: '' },
    )
    const { loss, metrics: expected } = reference.cases.sigmoid
    expect(Math.abs(metrics['loss'] - loss)).toBeLessThan(1e-5)
    for (const [name, value] of Object.entries(expected)) {
      const close = Math.abs(metrics[name] - value) <= 1e-4 * Math.max(1, Math.abs(value))
      expect({ name, close }).toEqual({ name, close: true })
    }
    expect(gradientError(policy.learner, 'sigmoid')).toBeLessThan(1e-4)
    policy.cache.close()
    await policy.machine.dispose()
  },
)

test.each(['qwen2', 'phi'])('%s: loss, metrics and LoRA gradients are those of TRL to 1e-4', async (model) => {
  const own = oracleJson<Reference>(`dpo/${model}/reference.json`)
  const policy = startPolicy('products', model)
  const objective = { ...objectiveOf('tree'), beta: own.beta }
  const { metrics } = await accumulateGradient(policy, objective, packedFor(objective, [groupsOf(own)]), { label: '' })
  const { loss, metrics: expected } = own.cases.sigmoid
  expect(Math.abs(metrics['loss'] / loss - 1)).toBeLessThan(1e-4)
  for (const [name, value] of Object.entries(expected)) {
    expect(Math.abs(metrics[name] - value), name).toBeLessThanOrEqual(1e-4 * Math.max(1, Math.abs(value)))
  }
  expect(gradientError(policy.learner, 'sigmoid', model)).toBeLessThan(1e-4)
  policy.cache.close()
  await policy.machine.dispose()
})

const names = Object.keys(reference.cases)

test('every loss has the loss and the gradients of TRL to 1e-4; in two microbatches they are the same', async () => {
  const policy = startPolicy('products')
  const whole = names.map((name) => ({ name, batches: [groups] }))
  // Those that look at more than one pair.
  const split = ['sigmoid+sft', 'aot_unpaired', 'sigmoid+wpo'].map((name) => ({
    name,
    batches: [groups.slice(0, 2), groups.slice(2)],
  }))
  for (const { name, batches } of [...whole, ...split]) {
    const { metrics } = await accumulateGradient(
      policy,
      objectiveOf('tree', name),
      packedFor(objectiveOf('tree', name), batches),
      { label: '' },
    )
    const { loss } = reference.cases[name]
    const errors = { loss: Math.abs(metrics['loss'] / loss - 1), gradient: gradientError(policy.learner, name) }
    expect(Math.max(errors.loss, errors.gradient), `${name}: ${JSON.stringify(errors)}`).toBeLessThan(1e-4)
  }
  policy.cache.close()
  await policy.machine.dispose()
})

test('dropout draws the same for a row when it is compared with others and when it is learned from', async () => {
  const { learner, ...policy } = startPolicy('products')
  const { config } = loadModel(oraclePath('models/llama'))
  const adapter = loadAdapter(oraclePath('dpo/llama/adapter'), config)
  const settings = { ...adapter.settings, dropout: 0.3 }
  const dropping = { ...policy, learner: adapterLearner(policy.machine, { ...adapter, settings }) }
  const objective = objectiveOf('none')
  const gradientOf = async (terms: Objective['terms']): Promise<number[]> => {
    const batches = [groups.slice(0, 3), groups.slice(3)]
    await accumulateGradient(dropping, { ...objective, terms }, packedFor(objective, batches), { label: 'label' })
    return dropping.learner.parameters.flatMap(({ gradient }) => [...gradient])
  }
  const alone = await gradientOf([{ type: 'sigmoid', weight: 1 }])
  // With a loss beside it that compares pairs, losses follow from a pass before; its own part is nothing here.
  const compared = await gradientOf([
    { type: 'sigmoid', weight: 1 },
    { type: 'aot', weight: 0 },
  ])
  expect(relativeError(compared, alone)).toBeLessThan(1e-6)
  policy.cache.close()
  await policy.machine.dispose()
})

test('a number that is not finite, wherever it comes in, is named in the same update', async () => {
  const draw = random(0, 'injection')
  const pick = <T>(list: readonly T[]): T => list[draw.below(list.length)]
  const { weights, ...policy } = startPolicy('products')
  const { parameters } = policy.learner
  const before = parameters.map(({ values }) => values.slice())
  for (let trial = 0; trial < (isSlow ? 150 : 40); trial++) {
    const moments = new Map(parameters.map(({ name, values }) => [name, zeroMoments(values.length)]))
    const { name, values } = pick(parameters)
    const { data } = pick(Object.values(pick(weights.layers)))
    const site = pick([values, data, ...Object.values(moments.get(name) ?? {})])
    const at = draw.below(site.length)
    const sound = site[at]
    site[at] = pick([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])
    const cache = freshCache()
    const update = async (): Promise<void> => {
      const { norm } = await accumulateGradient(
        { ...policy, cache },
        objectiveOf('tree'),
        packedFor(objectiveOf('tree'), [groups]),
        { label: '' },
      )
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
