/** DPO, Step-DPO, SCDPO and Full-Step-DPO as weights of one engine: what must be equal, is, in loss and gradients. */

import { afterAll, beforeAll, expect, test } from 'vitest'
import { oraclePath, relativeError } from '../../test/oracle.ts'
import { packedFor } from '../../test/packed.ts'
import { plainObjective } from '../../test/plain-objective.ts'
import { type EncodedGroup, encodeGroups } from '../batch/encode.ts'
import type { StepObjective } from '../batch/step-weights.ts'
import type { Group, Member, SolutionStep } from '../data/records.ts'
import { ortBackend } from '../engine/session.ts'
import { loadAdapter } from '../model/adapter-file.ts'
import { adapterLearner } from '../model/learner.ts'
import { loadModel } from '../model/load.ts'
import { makeMachine } from '../model/machine.ts'
import type { Policy } from './score.ts'
import { accumulateGradient } from './update.ts'

const { config, weights } = loadModel(oraclePath('models/llama'))
let policy: Policy

beforeAll(() => {
  const machine = makeMachine(ortBackend({ threads: 2 }), config, weights)
  const learner = adapterLearner(machine, loadAdapter(oraclePath('dpo/llama/adapter'), config))
  policy = { machine, learner, reference: machine, cache: undefined, keeping: 'products' }
})
afterAll(() => policy.machine.dispose())

type Step = readonly [content: number[], score: number | null, weight?: number]

function member(rating: number, steps: readonly Step[]): Member {
  const solution = steps.map(([content, score, weight = null]): SolutionStep => ({ content, score, weight }))
  return { content: steps[0][0], rating, terminal: false, count: 1, solution: { steps: solution, terminal: true } }
}

const shared = [
  [11, 12],
  [13, 14, 15],
]
const chosenSteps: Step[] = [
  [[21, 22, 23], 0.9],
  [[24, 25], 0.6],
  [[26], 1],
]
const rejectedSteps: Step[] = [
  [[31, 32], 0.2],
  [[33, 34, 35, 36], 0.7],
]

function groupOf(chosen: readonly Step[], rejected: readonly Step[], prefix = shared): Group {
  const members = [member(1, chosen), member(-1, rejected)]
  return { problem: 'p', prompt: { raw: [5, 6, 7] }, prefix, separator: '', members, place: { file: 'none' } }
}

function encode(group: Group, objective: StepObjective, stepTemperature = 0.5): readonly EncodedGroup[] {
  const limits = { maxLength: 200, maxPromptLength: 200, maxRowTokens: 400, vocabularySize: config.vocabularySize }
  const { groups, dropped } = encodeGroups([group], undefined, { ...limits, pairs: 'all', objective, stepTemperature })
  expect([...dropped.keys()]).toEqual([])
  return groups
}

const objective = { ...plainObjective, beta: 0.5, packing: { packing: 'tree', maxRowTokens: 400 } } as const

/** Loss and gradients of groups, as one list of numbers. */
async function gradientOf(groups: readonly EncodedGroup[]): Promise<{ loss: number; gradient: number[] }> {
  const { metrics } = await accumulateGradient(policy, objective, packedFor(objective, [groups]), { label: '' })
  return { loss: metrics['loss'], gradient: policy.learner.parameters.flatMap(({ gradient }) => [...gradient]) }
}

async function expectSame(one: readonly EncodedGroup[], other: readonly EncodedGroup[]): Promise<void> {
  const [first, second] = [await gradientOf(one), await gradientOf(other)]
  expect(Math.abs(first.loss - second.loss)).toBeLessThan(1e-6)
  expect(relativeError(first.gradient, second.gradient)).toBeLessThan(1e-5)
}

function weighed(steps: readonly Step[], weights: readonly number[]): Step[] {
  return steps.map(([content, score], at): Step => [content, score, weights[at]])
}

test('weights that are one for the first step and zero for all others are Step-DPO, token for token', async () => {
  const oneHot = encode(groupOf(weighed(chosenSteps, [1, 0, 0]), weighed(rejectedSteps, [1, 0])), 'custom')
  const step = encode(groupOf(chosenSteps, rejectedSteps), 'step_dpo')
  expect(oneHot[0].members).toEqual(step[0].members) // what counts nothing behind it is not computed
  await expectSame(oneHot, step)
})

test('weights of one are SCDPO, and DPO on the whole solutions: a common prefix cancels out', async () => {
  const ones = encode(groupOf(weighed(chosenSteps, [1, 1, 1]), weighed(rejectedSteps, [1, 1])), 'custom')
  const scdpo = encode(groupOf(chosenSteps, rejectedSteps), 'scdpo')
  const dpo = encode(groupOf(chosenSteps, rejectedSteps), 'dpo')
  expect(dpo[0].members.map(({ length }) => length)).toEqual([11, 11])
  await expectSame(ones, scdpo)
  await expectSame(scdpo, dpo)
  // By plain sequences: a pair of whole solutions as any DPO trainer has it.
  const whole = (steps: readonly Step[]): number[] => [...shared, ...steps.map(([content]) => content)].flat()
  const pairs = [{ chosen: 0, rejected: 1, weight: 1 }]
  const members = [whole(chosenSteps), whole(rejectedSteps)]
  await expectSame(dpo, [{ problem: 'p', prefix: [[5, 6, 7]], members, pairs }])
})

test('Full-Step-DPO with equal scores, or at temperature 0, is SCDPO; scores move it', async () => {
  const equal = (steps: readonly Step[]): Step[] => steps.map(([content]) => [content, 0.7])
  const scdpo = encode(groupOf(chosenSteps, rejectedSteps), 'scdpo')
  await expectSame(encode(groupOf(equal(chosenSteps), equal(rejectedSteps)), 'full_step_dpo'), scdpo)
  await expectSame(encode(groupOf(chosenSteps, rejectedSteps), 'full_step_dpo', 0), scdpo)
  const [moved, plain] = [
    await gradientOf(encode(groupOf(chosenSteps, rejectedSteps), 'full_step_dpo', 3)),
    await gradientOf(scdpo),
  ]
  expect(relativeError(moved.gradient, plain.gradient)).toBeGreaterThan(0.01)
})

test('the weights of Full-Step-DPO are n softmax over tokens, up for good chosen steps and for bad rejected ones', () => {
  const [{ details }] = encode(groupOf(chosenSteps, rejectedSteps), 'full_step_dpo', 2)
  const powers = [0.9, 0.9, 0.9, 0.6, 0.6, 1].map((score) => Math.exp(2 * score))
  const total = powers.reduce((sum, power) => sum + power, 0)
  expect(
    relativeError(
      details?.[0].weights?.chosen ?? [],
      powers.map((power) => (6 * power) / total),
    ),
  ).toBeLessThan(1e-12)
  const down = [0.2, 0.2, 0.7, 0.7, 0.7, 0.7].map((score) => Math.exp(-2 * score))
  const sum = down.reduce((part, power) => part + power, 0)
  expect(
    relativeError(
      details?.[1].weights?.rejected ?? [],
      down.map((power) => (6 * power) / sum),
    ),
  ).toBeLessThan(1e-12)
})

test('a step of weight zero is as absent: behind the others it is cut, between them only read', async () => {
  const last = encode(groupOf(weighed(chosenSteps, [0.5, 2, 0]), weighed(rejectedSteps, [1.5, 1])), 'custom')
  const cut = encode(groupOf(weighed(chosenSteps.slice(0, 2), [0.5, 2]), weighed(rejectedSteps, [1.5, 1])), 'custom')
  await expectSame(last, cut)
  // A first step of weight zero on both sides is a step of the prefix.
  const before: Step = [[41, 42], 0.5, 0]
  const read = encode(
    groupOf([before, ...weighed(chosenSteps, [1, 1, 1])], [before, ...weighed(rejectedSteps, [1, 1])]),
    'custom',
  )
  const prefixed = encode(groupOf(chosenSteps, rejectedSteps, [...shared, before[0]]), 'scdpo')
  await expectSame(read, prefixed)
})

test('loss and gradient by weights are central differences of the loss itself', async () => {
  const at = async (delta: number): Promise<number> => {
    const first = policy.learner.parameters[0]
    first.values[3] += delta
    const { loss } = await gradientOf(groups)
    first.values[3] -= delta
    return loss
  }
  const groups = encode(groupOf(weighed(chosenSteps, [0.3, 2, 1]), weighed(rejectedSteps, [1.7, 0.4])), 'custom')
  const { gradient } = await gradientOf(groups)
  const h = 2e-2
  const slope = ((await at(h)) - (await at(-h))) / (2 * h)
  expect(Math.abs(slope - gradient[3])).toBeLessThan(2e-2 * Math.max(1e-3, Math.abs(gradient[3])))
})

test('rows without weights or scores say so', () => {
  const limits = { maxLength: 200, maxPromptLength: 200, maxRowTokens: 400, vocabularySize: config.vocabularySize }
  const group = groupOf([[[21], null]], [[[22], null]])
  for (const [name, reason] of [
    ['custom', 'objective custom: no step of a side has a weight'],
    ['full_step_dpo', 'objective full_step_dpo: no step of a side has a score'],
  ] as const) {
    const { groups, dropped } = encodeGroups([group], undefined, { ...limits, pairs: 'all', objective: name })
    expect(groups).toEqual([])
    expect([...dropped.keys()]).toEqual([reason])
  }
})
