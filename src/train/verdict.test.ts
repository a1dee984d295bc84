/** Verdicts against arithmetic, finite differences, and separate sequences. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { writeTinyModel } from '../../scripts/tiny-model.ts'
import { relativeError } from '../../test/oracle.ts'
import { random } from '../base/random.ts'
import type { EncodedGroup } from '../batch/encode.ts'
import { packBatches, packGroups } from '../batch/pack.ts'
import { ortBackend } from '../engine/session.ts'
import { adapterLearner } from '../model/learner.ts'
import { loadModel } from '../model/load.ts'
import { createAdapter } from '../model/lora.ts'
import { makeMachine } from '../model/machine.ts'
import type { Pupil } from './demonstrate.ts'
import { NotFiniteError } from './update.ts'
import { accumulateVerdicts, verdictMetrics } from './verdict.ts'

const folder = mkdtempSync(join(tmpdir(), 'stepdpo-verdict-'))
writeTinyModel(folder, 5)
const { config, weights } = loadModel(folder)
const machine = makeMachine(ortBackend({ threads: 1 }), config, weights)
afterAll(async () => {
  await machine.dispose()
  rmSync(folder, { recursive: true })
})

const [RIGHT, WRONG] = [43, 45]

/** A learner whose factors are both not zero, so that all of them have gradients. */
function startPupil() {
  const adapter = createAdapter(config, { rank: 2, alpha: 8, dropout: 0, rslora: false, targets: 'all-linear' }, 0)
  const draw = random(2, 'verdicts')
  for (const tensors of adapter.layers) {
    for (const { data } of Object.values(tensors)) {
      for (let at = 0; at < data.length; at++) data[at] += 0.2 * (draw.uniform() - 0.5)
    }
  }
  return { machine, learner: adapterLearner(machine, adapter), keeping: 'products' } as const
}

/** After a step of its own, `label` of a weight of 2 is right. */
function step(path: readonly number[][], label: number): EncodedGroup {
  const pairs = [
    { chosen: 0, rejected: 1, weight: 2 * label },
    { chosen: 1, rejected: 0, weight: 2 * (1 - label) },
  ].filter(({ weight }) => weight > 0)
  return { problem: 'p', prefix: path, members: [[RIGHT], [WRONG]], pairs }
}

const groups = [
  step(
    [
      [1, 2, 3],
      [10, 11],
    ],
    1,
  ),
  step([[1, 2, 3], [12]], 0),
  step(
    [
      [1, 2, 3],
      [10, 11],
      [13, 14],
    ],
    0.7,
  ),
]

function verdictGradient(pupil: Pupil, packing: 'tree' | 'none', batches: readonly (readonly EncodedGroup[])[]) {
  const packed = packBatches(batches, (own) => packGroups(own, { packing, maxRowTokens: 64 }))
  return accumulateVerdicts(pupil, RIGHT, packed, { label: '' })
}

test('metrics are worked by hand, a soft label as part of a right and part of a wrong step', () => {
  // Log odds of ln 3 and −ln 4: chances 3/4 and 1/5.
  const metrics = verdictMetrics([
    { isRight: true, weight: 1, logit: Math.log(3) },
    { isRight: true, weight: 0.25, logit: -Math.log(4) },
    { isRight: false, weight: 0.75, logit: -Math.log(4) },
  ])
  expect(metrics.loss).toBeCloseTo((Math.log(4 / 3) + 0.25 * Math.log(5) + 0.75 * Math.log(5 / 4)) / 2, 12)
  expect(metrics['verdicts/accuracies']).toBeCloseTo(1.75 / 2, 12)
  expect(metrics['verdicts/accuracies_right']).toBeCloseTo(1 / 1.25, 12)
  expect(metrics['verdicts/accuracies_wrong']).toBe(1)
  expect(metrics['verdicts/mean']).toBeCloseTo((0.75 + 0.2) / 2, 12)
  expect(metrics['verdicts/brier']).toBeCloseTo((0.25 ** 2 + 0.25 * 0.8 ** 2 + 0.75 * 0.2 ** 2) / 2, 12)
  expect(verdictMetrics([{ isRight: true, weight: 1, logit: 0 }])).not.toHaveProperty('verdicts/accuracies_wrong')
})

test('the gradient is that of finite differences', async () => {
  const pupil = startPupil()
  const lossAt = async (): Promise<number> => (await verdictGradient(pupil, 'tree', [groups])).metrics['loss']
  await lossAt()
  const size = 1e-2
  for (const { values, gradient } of pupil.learner.parameters.filter((_, at) => at % 9 === 0)) {
    const slope = Float64Array.from(gradient)
    const at = slope.reduce((best, value, index) => (Math.abs(value) > Math.abs(slope[best]) ? index : best), 0)
    const there = values[at]
    values[at] = there + size
    const above = await lossAt()
    values[at] = there - size
    const below = await lossAt()
    values[at] = there
    expect(Math.abs((above - below) / (2 * size) - slope[at])).toBeLessThan(2e-2 * Math.abs(slope[at]) + 1e-4)
  }
})

test('a tree has the loss and the gradients of separate sequences, in one microbatch or several', async () => {
  const run = async (packing: 'tree' | 'none', batches: readonly (readonly EncodedGroup[])[]) => {
    const pupil = startPupil()
    const { metrics, tokens } = await verdictGradient(pupil, packing, batches)
    const { grad_norm: _, ...rest } = metrics
    return { metrics: rest, tokens, gradients: pupil.learner.parameters.map(({ gradient }) => gradient.slice()) }
  }
  const apart = await run('none', [groups])
  for (const batches of [[groups], [groups.slice(0, 1), groups.slice(1)]]) {
    const tree = await run('tree', batches)
    for (const [name, value] of Object.entries(apart.metrics)) expect(tree.metrics[name], name).toBeCloseTo(value, 5)
    for (const [at, gradient] of tree.gradients.entries()) {
      expect(relativeError(gradient, apart.gradients[at])).toBeLessThan(1e-4)
    }
    expect(tree.tokens).toBeLessThan(apart.tokens)
  }
})

test('a weight that is not finite is named in the same update', async () => {
  const pupil = startPupil()
  pupil.learner.parameters[0].values[0] = Number.NaN
  await expect(verdictGradient(pupil, 'tree', [groups])).rejects.toThrow(NotFiniteError)
})
