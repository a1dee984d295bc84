import { afterAll, describe, expect, test } from 'vitest'
import { oracleJson, oraclePath } from '../../test/oracle.ts'
import { packedFor } from '../../test/packed.ts'
import { plainObjective } from '../../test/plain-objective.ts'
import type { EncodedGroup } from '../batch/encode.ts'
import { packGroups, packMembers } from '../batch/pack.ts'
import { ortBackend } from '../engine/session.ts'
import { loadAdapter } from '../model/adapter-file.ts'
import { adapterLearner } from '../model/learner.ts'
import { loadModel } from '../model/load.ts'
import { makeMachine } from '../model/machine.ts'
import { diagnostics, positionName } from './diagnostics.ts'
import { pairLogps } from './pair-unit.ts'
import type { ScoredRow } from './scored.ts'
import { noiseOf } from './trends.ts'
import { accumulateGradient, type PackedObjective } from './update.ts'

/** Two steps and one step after two others; the chosen side counts its steps 2 and 1 times. */
const group: EncodedGroup = {
  problem: 'a',
  prefix: [[1, 2]],
  members: [
    [3, 4, 5],
    [6, 7],
  ],
  pairs: [{ chosen: 0, rejected: 1, weight: 3 }],
  details: [
    {
      rating: 1,
      count: 1,
      stepEnds: [1, 3],
      stepScores: [null, null],
      weights: { chosen: [2, 1, 1], rejected: [1, 1, 1] },
    },
    { rating: -1, count: 2, stepEnds: [2], stepScores: [null] },
  ],
  stepsBefore: 2,
}

const packing = { packing: 'tree', maxRowTokens: 100 } as const
const logps = {
  policy: [
    [-1, -2, -3],
    [-4, -5],
  ],
  reference: [
    [-1.5, -1, -3],
    [-2, -2],
  ],
}

function scoredOf([packed]: ReturnType<typeof packGroups>): ScoredRow {
  return { packed, ...logps }
}

/** The metrics of the group alone. β = 0.5. */
function measure(hasReference = true) {
  const found = diagnostics({ beta: 0.5, isPaired: true, hasReference })
  const scored = scoredOf(packGroups([group], packing))
  found.add(scored, pairLogps(scored, 4, {}))
  return found
}

/** k3 of a log ratio of this size. */
const far = (size: number): number => Math.exp(-size) - 1 + size

describe('the diagnostics of rows', () => {
  test('tell distance and reward by the position of steps in their solutions', () => {
    const metrics = measure().metrics()
    // Log ratios: chosen 0.5 | −1 0, rejected −2 −3.
    expect(metrics['kl/step_3']).toBeCloseTo((far(0.5) + far(2) + far(3)) / 3, 12)
    expect(metrics['kl/step_4']).toBeCloseTo(far(1) / 2, 12)
    expect(metrics['kl/token']).toBeCloseTo((far(0.5) + far(1) + far(2) + far(3)) / 5, 12)
    expect(metrics['rewards/chosen/step_3']).toBeCloseTo(0.5 * 2 * 0.5, 12)
    expect(metrics['rewards/chosen/step_4']).toBeCloseTo(0.5 * -1, 12)
    expect(metrics['rewards/rejected/step_3']).toBeCloseTo(0.5 * -5, 12)
    expect(metrics['logps/displacement']).toBeCloseTo(0.5 / 3, 12)
    expect(metrics).toMatchObject({ 'lengths/chosen': 3, 'lengths/rejected': 2 })
  })

  test('add up to the rewards of whole sides', () => {
    const scored = scoredOf(packGroups([group], packing))
    const [{ chosen, referenceChosen }] = pairLogps(scored, 4, {})
    const metrics = measure().metrics()
    const total = metrics['rewards/chosen/step_3'] + metrics['rewards/chosen/step_4']
    expect(total).toBeCloseTo(0.5 * (chosen - referenceChosen), 12)
  })

  test('tell how many weights would say as much', () => {
    const metrics = measure().metrics()
    // Token weights 2, 1, 1: (Σw)² / (n Σw²) = 16 / (3 · 6).
    expect(metrics['weights/token_ess']).toBeCloseTo(16 / 18, 12)
    expect(metrics['weights/ess']).toBe(1)
    const found = diagnostics({ beta: 0.5, isPaired: true, hasReference: true })
    const scored = scoredOf(packGroups([group], packing))
    const [pair] = pairLogps(scored, 4, {})
    found.add(scored, [pair])
    found.add(scored, [{ ...pair, weight: 1, policyWeight: 0.5 }])
    // Weights 3 and ½: 3.5² / (2 · 9.25).
    expect(found.metrics()['weights/ess']).toBeCloseTo(12.25 / 18.5, 12)
  })

  test('without a reference say nothing of the distance from it', () => {
    const names = Object.keys(measure(false).metrics())
    expect(names.filter((name) => name.startsWith('kl/') || name === 'logps/displacement')).toEqual([])
    expect(names).toContain('rewards/chosen/step_3')
  })

  test('of members without pairs count each by its own, as what its rating makes it', () => {
    const found = diagnostics({ beta: 0.5, isPaired: false, hasReference: true })
    const scored = scoredOf(packMembers([{ ...group, pairs: [] }], 100))
    found.add(scored, [])
    const metrics = found.metrics()
    // The rejected member counts twice.
    expect(metrics['kl/token']).toBeCloseTo((far(0.5) + far(1) + 2 * (far(2) + far(3))) / (3 + 2 * 2), 12)
    expect(metrics['rewards/rejected/step_3']).toBeCloseTo(-2.5, 12)
    expect(metrics['weights/ess']).toBeUndefined()
  })
})

test('positions from the ninth on have one name', () => {
  expect([1, 8, 9, 40].map(positionName)).toEqual(['1', '8', '9+', '9+'])
})

describe('an update of the oracle’s model', async () => {
  interface Pair {
    readonly prompt_ids: number[]
    readonly chosen_ids: number[]
    readonly rejected_ids: number[]
  }
  const { pairs, beta } = oracleJson<{ pairs: readonly Pair[]; beta: number }>('dpo/llama/reference.json')
  const groups = pairs.slice(0, 4).map(
    ({ prompt_ids, chosen_ids, rejected_ids }, at): EncodedGroup => ({
      problem: String(at),
      prefix: [prompt_ids],
      members: [chosen_ids, rejected_ids],
      pairs: [{ chosen: 0, rejected: 1, weight: 1 + at }],
      stepsBefore: at,
    }),
  )
  const objective: PackedObjective = { ...plainObjective, beta, packing: { packing: 'none', maxRowTokens: 256 } }
  const { config, weights } = loadModel(oraclePath('models/llama'))
  const machine = makeMachine(ortBackend({ threads: 1 }), config, weights)
  afterAll(() => machine.dispose())
  const learner = adapterLearner(machine, loadAdapter(oraclePath('dpo/llama/adapter'), config))
  const policy = { machine, learner, reference: machine, cache: undefined, keeping: 'products' } as const
  const update = (batches: readonly EncodedGroup[][]) =>
    accumulateGradient(policy, objective, packedFor(objective, batches), { label: '0' })
  const whole = await update([groups])
  const split = await update(groups.map((group) => [group]))

  test('has the same diagnostics as one batch of four and as four of one', () => {
    const names = Object.keys(whole.metrics).filter((name) => /^(kl|rewards|lengths|weights|logps)\//.test(name))
    expect(names).toEqual(expect.arrayContaining(['kl/step_4', 'rewards/rejected/step_1', 'rewards/saturated']))
    for (const name of names) expect(split.metrics[name], name).toBeCloseTo(whole.metrics[name], 5)
    expect(split.sample?.lengths.map((sum) => sum.toFixed(4))).toEqual(
      whole.sample?.lengths.map((sum) => sum.toFixed(4)),
    )
  })

  test('has rewards by step whose mean over pairs is the reward', () => {
    const mean = groups.reduce((sum, { pairs: [{ weight }] }, at) => {
      return sum + (weight / 10) * whole.metrics[`rewards/chosen/step_${at + 1}`]
    }, 0)
    expect(mean).toBeCloseTo(whole.metrics['rewards/chosen'], 6)
  })

  test('measures the gradient of its first part as that part alone has it', async () => {
    const alone = await update([groups.slice(0, 1)])
    for (const { sample, norm } of [whole, split]) {
      expect(sample?.gradients?.small.norm).toBeCloseTo(alone.norm, 4)
      expect(sample?.gradients).toMatchObject({ small: { count: 1 }, big: { norm, count: 10 } })
    }
    expect(alone.sample?.gradients).toBeUndefined()
    const gradients = whole.sample?.gradients ?? expect.unreachable()
    // An estimate, which may be below zero: (|g of 1|² − |g of 10|²) / (1 − 1/10).
    const expected = (alone.norm ** 2 - whole.norm ** 2) / 0.9
    expect(noiseOf(gradients).noise / expected).toBeCloseTo(1, 4)
  })
})
