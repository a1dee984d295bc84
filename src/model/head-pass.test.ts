/**
 * Collisions and divergences of the scored tokens' distributions: against plain arithmetic on logits in float64, their
 * gradients against differences in float64, ONNX Runtime against the interpreter.
 */
import { describe, expect, test } from 'vitest'
import { oraclePath, relativeError } from '../../test/oracle.ts'
import { isSlow } from '../../test/slow.ts'
import { random } from '../base/random.ts'
import type { Backend, FloatArray } from '../engine/backend.ts'
import { interpreter } from '../engine/interpret.ts'
import { ortBackend } from '../engine/session.ts'
import { namedFactors } from './adapter-file.ts'
import type { FedLayers, Keeping } from './forward.ts'
import type { Reference } from './head-pass.ts'
import { adapterLearner, clearGradients, fullLearner, type Learner } from './learner.ts'
import { loadModel } from './load.ts'
import { createAdapter } from './lora.ts'
import { type Cuts, defaultCuts, type Machine, makeMachine } from './machine.ts'
import {
  backwardRow,
  backwardRowWith,
  forwardRow,
  forwardRowWith,
  logitsOf,
  referenceStates,
  scoreRow,
  scoreRowWithKl,
  weightLayers,
} from './pass.ts'
import { type Row, sequenceRow } from './row.ts'
import type { ModelWeights, WeightTensor } from './weights.ts'

const cpu = ortBackend({ threads: 2 })
const backends = [
  { backend: cpu, tolerance: 5e-5 },
  { backend: interpreter, tolerance: 1e-9 },
]
/** Small cuts, so that a short row has many blocks and chunks. */
const small: Cuts = { blockTokens: 4, chunkTokens: 5, headTokens: 3 }

/** Two trees: siblings of several tokens after a shared prefix, one of which branches again. */
const row: Row = {
  ids: Int32Array.of(5, 90, 17, 40, 41, 42, 8, 9, 41, 200, 33, 7, 120),
  parents: Int32Array.of(-1, 0, 1, 2, 3, 4, 2, 6, 6, 8, -1, 10, 10),
  scored: Int32Array.of(3, 4, 5, 6, 7, 8, 9, 11, 12),
}

/** A coefficient for each scored token, of both signs. */
function coefficients({ allocate }: Backend, seed: number): FloatArray {
  const draw = random(seed, 'coefficients')
  return allocate(row.scored.length).map(() => draw.uniform() - 0.5)
}

/** Other weights of the same architecture. */
function disturbed(weights: ModelWeights): ModelWeights {
  const draw = random(5, 'disturbed')
  const tensor = ({ data, shape }: WeightTensor): WeightTensor => ({
    data: data.map((value) => value + 0.1 * (draw.uniform() - 0.5)),
    shape,
  })
  const embedding = tensor(weights.embedding)
  return {
    ...weights,
    embedding,
    layers: weights.layers.map((layer) =>
      Object.fromEntries(Object.entries(layer).map(([name, own]) => [name, tensor(own)])),
    ),
    head: Object.fromEntries(
      Object.entries(weights.head).map(([name, own]) => [name, own === weights.embedding ? embedding : tensor(own)]),
    ),
  }
}

/** An adapter that changes the model, from its two factors that are both not zero. */
function warmLearner(machine: Machine): Learner {
  const settings = { rank: 2, alpha: 4, dropout: 0, rslora: false, targets: 'all-linear' } as const
  const adapter = createAdapter(machine.config, settings, 1)
  const draw = random(2, 'factors')
  for (const { data } of namedFactors(adapter).values()) data.set(data.map(() => 0.5 * (draw.uniform() - 0.5)))
  return adapterLearner(machine, adapter)
}

interface Setting {
  readonly machine: Machine
  readonly learner: Learner
  /** The machine of the reference. */
  readonly base: Machine
  dispose(): Promise<void>
}

const kinds = ['adapter', 'adapter beside another model', 'full'] as const

/** A policy in training and a reference that differs from it: the same model without the adapter, or another model. */
function start(name: string, kind: (typeof kinds)[number], backend: Backend, cuts: Cuts): Setting {
  const { config, weights } = loadModel(oraclePath(`models/${name}`))
  const machine = makeMachine(backend, config, weights, cuts)
  const learner = kind === 'full' ? fullLearner(machine) : warmLearner(machine)
  if (kind === 'adapter') return { machine, learner, base: machine, dispose: () => machine.dispose() }
  const base = makeMachine(backend, config, disturbed(weights), cuts)
  const dispose = async (): Promise<void> => {
    await machine.dispose()
    await base.dispose()
  }
  return { machine, learner, base, dispose }
}

async function referenceAt(machine: Machine): Promise<Reference> {
  return { machine, hidden: await referenceStates(machine, row, weightLayers(machine)) }
}

/** The distributions that scored tokens are drawn from, as log-probabilities in float64. */
async function distributions(machine: Machine, layers: FedLayers): Promise<number[][]> {
  const { data, shape } = await logitsOf(machine, row, layers)
  return Array.from(row.scored, (token) => {
    const at = row.parents[token] * shape[1]
    const logits = Array.from(data.subarray(at, at + shape[1]))
    const top = Math.max(...logits)
    const total = top + Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - top), 0))
    return logits.map((logit) => logit - total)
  })
}

const models = ['llama', 'llama-untied', 'mistral', 'phi', 'gemma3_text'].flatMap((name) =>
  kinds.map((kind) => ({ name, kind })),
)
/** What the quick stage computes of them. */
const few = {
  statistics: ['llama adapter', 'llama-untied full'],
  gradients: ['llama adapter beside another model', 'llama full'],
}
const sample = (names: readonly string[]) =>
  models.filter(({ name, kind }) => isSlow || names.includes(`${name} ${kind}`))

describe.each(sample(few.statistics))('statistics of $name, $kind', ({ name, kind }) => {
  test('collision and divergence are those of the logits, whatever computes them and however work is cut', async () => {
    const exact = start(name, kind, interpreter, defaultCuts)
    const policy = await distributions(exact.machine, exact.learner.layers(''))
    const reference = await distributions(exact.base, weightLayers(exact.base))
    const expectedKl = policy.map((own, at) =>
      reference[at].reduce((sum, logp, v) => sum + Math.exp(logp) * (logp - own[v]), 0),
    )
    const expectedCollision = policy.map((own) => Math.log(own.reduce((sum, logp) => sum + Math.exp(2 * logp), 0)))
    expect(Math.min(...expectedKl)).toBeGreaterThan(1e-3) // the two do differ
    await exact.dispose()
    for (const { backend, tolerance } of backends) {
      for (const cuts of isSlow ? [small, defaultCuts] : [small]) {
        const { machine, learner, base, dispose } = start(name, kind, backend, cuts)
        const layers = learner.layers('')
        const options = { keeping: 'inputs', collision: true, reference: await referenceAt(base) } as const
        const { scores } = await forwardRowWith(machine, row, layers, options)
        expect(relativeError(scores.kl ?? [], expectedKl)).toBeLessThan(tolerance)
        expect(relativeError(scores.logCollision ?? [], expectedCollision)).toBeLessThan(tolerance)
        const scored = await scoreRowWithKl(machine, row, layers, await referenceAt(base))
        expect(relativeError(scored.kl, expectedKl)).toBeLessThan(tolerance)
        expect([...scored.logps]).toEqual([...(await scoreRow(machine, row, layers))])
        await dispose()
      }
    }
  })
})

/** Σ c kl + Σ d logp with fixed coefficients, and what takes it back. */
async function loss({ machine, learner }: Setting, reference: Reference, keeping: Exclude<Keeping, 'nothing'>) {
  const pass = await forwardRowWith(machine, row, learner.layers(''), { keeping, reference })
  const d = { logps: coefficients(machine.backend, 1), kl: coefficients(machine.backend, 2) }
  const { logps, kl = [] } = pass.scores
  let value = 0
  for (let at = 0; at < logps.length; at++) value += d.kl[at] * kl[at] + d.logps[at] * logps[at]
  return { value, backward: () => backwardRowWith(machine, pass, d, learner.gradients) }
}

describe.each(sample(few.gradients))('gradients of divergences on $name, $kind', ({ name, kind }) => {
  test('equal differences along a random direction of every tensor that learns', async () => {
    const setting = start(name, kind, interpreter, small)
    const reference = await referenceAt(setting.base)
    const { backward } = await loss(setting, reference, 'inputs')
    await backward()
    const draw = random(3, 'direction')
    for (const { name: tensor, values, gradient } of setting.learner.parameters) {
      const before = values.slice()
      const direction = before.map(() => (draw.below(2) - 0.5) / 2 ** 15)
      const at = (sign: number): Float32Array => before.map((value, index) => value + sign * direction[index])
      const [above, below] = [at(1), at(-1)]
      values.set(above)
      const { value: high } = await loss(setting, reference, 'inputs')
      values.set(below)
      const { value: low } = await loss(setting, reference, 'inputs')
      values.set(before)
      // By how far the float32 numbers really were apart.
      let expected = 0
      for (let index = 0; index < before.length; index++) expected += gradient[index] * (above[index] - below[index])
      expect(Math.abs(high - low - expected), tensor).toBeLessThan(1e-4 * Math.abs(expected) + 1e-10)
    }
    await setting.dispose()
  })

  test('are the same in float32, whatever is kept and however work is cut', async () => {
    const exact = start(name, kind, interpreter, small)
    await (await loss(exact, await referenceAt(exact.base), 'inputs')).backward()
    const variants = [
      { cuts: small, keeping: 'products' },
      { cuts: defaultCuts, keeping: 'inputs' },
    ] as const
    for (const { cuts, keeping } of isSlow ? variants : variants.slice(0, 1)) {
      const setting = start(name, kind, cpu, cuts)
      await (await loss(setting, await referenceAt(setting.base), keeping)).backward()
      setting.learner.parameters.forEach(({ gradient }, at) => {
        expect(relativeError(gradient, exact.learner.parameters[at].gradient)).toBeLessThan(1e-4)
      })
      await setting.dispose()
    }
    await exact.dispose()
  })
})

describe('where nothing differs or nothing is asked', () => {
  const { config, weights } = loadModel(oraclePath('models/llama'))
  const settings = { rank: 2, alpha: 4, dropout: 0, rslora: false, targets: 'all-linear' } as const

  test.each(['adapter', 'full'])(
    'a policy that is its reference has no divergence and no gradient of one: %s',
    async (kind) => {
      const machine = makeMachine(cpu, config, weights, small)
      const base = kind === 'full' ? makeMachine(cpu, config, weights, small) : machine
      const learner =
        kind === 'full' ? fullLearner(machine) : adapterLearner(machine, createAdapter(config, settings, 1))
      const reference = await referenceAt(base)
      const pass = await forwardRowWith(machine, row, learner.layers(''), { keeping: 'products', reference })
      expect([...(pass.scores.kl ?? [])]).toEqual(Array.from(row.scored, () => 0))
      const d = { logps: new Float32Array(row.scored.length), kl: coefficients(cpu, 1) }
      await backwardRowWith(machine, pass, d, learner.gradients)
      // With slopes exactly 0; where the head learns, up to the rounding of Σ ρ.
      const limit = kind === 'full' ? 1e-6 : 0
      for (const { gradient } of learner.parameters) {
        expect(Math.max(...gradient.map(Math.abs))).toBeLessThanOrEqual(limit)
      }
      await machine.dispose()
      if (base !== machine) await base.dispose()
    },
  )

  test.each(['adapter', 'full'] as const)(
    'statistics change neither other scores nor their gradient, bit for bit: %s',
    async (kind) => {
      const { machine, learner, base, dispose } = start('llama', kind, cpu, small)
      const d = coefficients(cpu, 1)
      const plain = await forwardRow(machine, row, learner.layers(''), 'products')
      expect(Object.keys(plain.scores).sort()).toEqual(['best', 'entropy', 'logps', 'meanLogit'])
      await backwardRow(machine, plain, d, learner.gradients)
      const gradients = learner.parameters.map(({ gradient }) => gradient.slice())
      clearGradients(learner)
      const asked = { keeping: 'products', collision: true, reference: await referenceAt(base) } as const
      const pass = await forwardRowWith(machine, row, learner.layers(''), asked)
      expect(pass.scores).toMatchObject(plain.scores)
      await backwardRow(machine, pass, d, learner.gradients)
      expect(learner.parameters.map(({ gradient }) => gradient)).toEqual(gradients)
      await dispose()
    },
  )

  test('a row without scored tokens has no divergences', async () => {
    const machine = makeMachine(cpu, config, weights)
    const idle = { ...sequenceRow([5, 6, 7]), scored: new Int32Array(0) }
    const reference = { machine, hidden: await referenceStates(machine, idle, weightLayers(machine)) }
    const { logps, kl } = await scoreRowWithKl(machine, idle, weightLayers(machine), reference)
    expect([logps.length, kl.length]).toEqual([0, 0])
    await machine.dispose()
  })

  test('the gradient of divergences that a pass did not compute is refused', async () => {
    const machine = makeMachine(cpu, config, weights)
    const learner = warmLearner(machine)
    const pass = await forwardRow(machine, row, learner.layers(''), 'products')
    const d = coefficients(cpu, 1)
    await expect(backwardRowWith(machine, pass, { logps: d, kl: d }, learner.gradients)).rejects.toThrow(
      'the forward pass had no reference',
    )
    await machine.dispose()
  })
})
