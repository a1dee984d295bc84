/** Losses of members and of lists, with KLs and a shifted reward, through the real engine: against sums made by hand and central differences. */

import { afterAll, beforeAll, expect, test } from 'vitest'
import { oracleJson, oraclePath, relativeError } from '../../test/oracle.ts'
import { packedFor } from '../../test/packed.ts'
import { plainObjective } from '../../test/plain-objective.ts'
import { isSlow } from '../../test/slow.ts'
import type { EncodedGroup, MemberDetails } from '../batch/encode.ts'
import { packContinuations } from '../batch/pack.ts'
import { ortBackend } from '../engine/session.ts'
import { loadAdapter } from '../model/adapter-file.ts'
import { adapterLearner } from '../model/learner.ts'
import { loadModel } from '../model/load.ts'
import { makeMachine } from '../model/machine.ts'
import { logitsOf, scoreRow, weightLayers } from '../model/pass.ts'
import { sequenceRow } from '../model/row.ts'
import type { LossType } from './loss-table.ts'
import type { Policy } from './score.ts'
import { accumulateGradient, type PackedObjective } from './update.ts'

interface Reference {
  readonly pairs: { prompt_ids: number[]; chosen_ids: number[]; rejected_ids: number[] }[]
}

const { pairs } = oracleJson<Reference>('dpo/llama/reference.json')
const { config, weights } = loadModel(oraclePath('models/llama'))
let policy: Policy

beforeAll(() => {
  const machine = makeMachine(ortBackend({ threads: 2 }), config, weights)
  const learner = adapterLearner(machine, loadAdapter(oraclePath('dpo/llama/adapter'), config))
  policy = { machine, learner, reference: machine, cache: undefined, keeping: 'products' }
})
afterAll(() => policy.machine.dispose())

/** Where the first of two steps ends. */
const half = (ids: readonly number[]): number => Math.ceil(ids.length / 2)

const details = (rating: number, ids: readonly number[], scores: readonly number[] = []): MemberDetails => ({
  rating,
  count: 1,
  stepEnds: scores.length === 2 ? [half(ids), ids.length] : [ids.length],
  stepScores: scores.length === 2 ? scores : [null],
})

/** The six pairs as groups of two members that may be in pairs, with scores of two steps where they are asked for. */
function groupsOf(hasSteps = false): EncodedGroup[] {
  return pairs.map(({ prompt_ids, chosen_ids, rejected_ids }, at) => ({
    problem: String(at),
    prefix: [prompt_ids],
    members: [chosen_ids, rejected_ids],
    pairs: [{ chosen: 0, rejected: 1, weight: 1, scoreGap: 0.4, doubt: 0.2 }],
    details: [details(1, chosen_ids, hasSteps ? [1, 0.8] : []), details(-1, rejected_ids, hasSteps ? [0.9, 0.1] : [])],
  }))
}

function objectiveOf(type: LossType, more: Partial<PackedObjective> = {}): PackedObjective {
  const packing = { packing: 'tree', maxRowTokens: 256 } as const
  return { ...plainObjective, terms: [{ type, weight: 1 }], beta: 0.3, packing, ...more }
}

async function lossOf(
  groups: readonly EncodedGroup[],
  objective: PackedObjective,
): Promise<Readonly<Record<string, number>>> {
  return (await accumulateGradient(policy, objective, packedFor(objective, [groups]), { label: '' })).metrics
}

/** The gradient of what learns, as one list. */
async function gradientOf(groups: readonly EncodedGroup[], objective: PackedObjective): Promise<number[]> {
  await lossOf(groups, objective)
  return policy.learner.parameters.flatMap(({ gradient }) => [...gradient])
}

/** The log ratio of a completion's first tokens, by a plain sequence of its own. */
async function ratioOf(prompt: readonly number[], ids: readonly number[], end = ids.length): Promise<number> {
  const row = sequenceRow([...prompt, ...ids.slice(0, end)], prompt.length)
  const layers = [policy.learner.layers(''), weightLayers(policy.machine)]
  const [own, other] = [await scoreRow(policy.machine, row, layers[0]), await scoreRow(policy.machine, row, layers[1])]
  return sum(Array.from(own)) - sum(Array.from(other))
}

const sigmoid = (z: number): number => 1 / (1 + Math.exp(-z))
const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)
const mean = (values: readonly number[]): number => sum(values) / values.length

/** All completions of the six pairs in the order in which an update meets them. */
const members = pairs.flatMap(({ prompt_ids: prompt, chosen_ids, rejected_ids }, problem) => [
  { prompt, ids: chosen_ids, isDesirable: true, problem },
  { prompt, ids: rejected_ids, isDesirable: false, problem },
])

/** KTO's z₀ over ends of mismatched completions: each prompt with the next completion of another problem. */
async function baselineOf(ends: (ids: readonly number[]) => readonly number[]): Promise<number> {
  const ratios: number[] = []
  for (const [at, { prompt, problem }] of members.entries()) {
    const order = [...members.slice(at + 1), ...members.slice(0, at)]
    const other = order.find((one) => one.problem !== problem)
    for (const end of ends(other?.ids ?? [])) ratios.push(await ratioOf(prompt, other?.ids ?? [], end))
  }
  return Math.max(0, mean(ratios))
}

test('kto is the mean over members of its formula, with the z₀ of mismatched completions', async () => {
  const objective = objectiveOf('kto', { desirableWeight: 1.5, undesirableWeight: 0.7 })
  const z0 = await baselineOf((ids) => [ids.length])
  const losses: number[] = []
  for (const { prompt, ids, isDesirable } of members) {
    const gain = 0.3 * ((await ratioOf(prompt, ids)) - z0)
    losses.push(isDesirable ? 1.5 * (1 - sigmoid(gain)) : 0.7 * (1 - sigmoid(-gain)))
  }
  const metrics = await lossOf(groupsOf(), objective)
  expect(metrics['loss']).toBeCloseTo(mean(losses), 5)
  expect(metrics['kl']).toBeCloseTo(z0, 5)
  const alone = await lossOf(groupsOf(), objectiveOf('apo_zero_unpaired'))
  expect(alone['kl']).toBe(0)
})

test('step_kto adds the mean over scored steps, each with those before it and with a z₀ of its own', async () => {
  const [whole, step] = [await baselineOf((ids) => [ids.length]), await baselineOf((ids) => [half(ids), ids.length])]
  const [outcomes, steps]: [number[], number[]] = [[], []]
  const loss = (ratio: number, isRight: boolean, z0: number): number =>
    1 - sigmoid((isRight ? 1 : -1) * 0.3 * (ratio - z0))
  for (const { prompt, ids, isDesirable } of members) {
    outcomes.push(loss(await ratioOf(prompt, ids), isDesirable, whole))
    steps.push(loss(await ratioOf(prompt, ids, half(ids)), true, step)) // the first step of both sides scores above 0.5
    steps.push(loss(await ratioOf(prompt, ids), isDesirable, step))
  }
  const metrics = await lossOf(groupsOf(true), objectiveOf('step_kto'))
  expect(metrics['loss']).toBeCloseTo(mean(outcomes) + mean(steps), 5)
})

test('kto learns from members of one kind alone, and one problem has no z₀', async () => {
  const good = groupsOf().map(({ members: [first], details: known, ...rest }) => ({
    ...rest,
    members: [first],
    pairs: [],
    details: known?.slice(0, 1) ?? [],
  }))
  const metrics = await lossOf(good, objectiveOf('kto'))
  expect(Number.isFinite(metrics['loss'])).toBe(true)
  expect(Object.keys(metrics)).not.toContain('rewards/rejected')
  expect((await lossOf(good.slice(0, 1), objectiveOf('kto')))['kl']).toBe(0)
})

test('plackett_luce of two members is sigmoid; of four it is the sum over ranks made by hand', async () => {
  const [two, one] = [
    await gradientOf(groupsOf(), objectiveOf('plackett_luce')),
    await gradientOf(groupsOf(), objectiveOf('sigmoid')),
  ]
  expect(relativeError(two, one)).toBeLessThan(1e-6)
  const [{ prompt_ids: prompt }] = pairs
  const ids = [[21, 22], [23, 24, 25], [26], [27, 28]]
  const ratings = [1, 0.5, 0.5, -1]
  const group = {
    problem: 'p',
    prefix: [prompt],
    members: ids,
    pairs: [
      [0, 1],
      [0, 2],
      [0, 3],
      [1, 3],
      [2, 3],
    ].map(([chosen, rejected]) => ({ chosen, rejected, weight: 1 })),
    details: ids.map((own, at) => details(ratings[at], own)),
  }
  const s: number[] = []
  for (const own of ids) s.push(0.3 * (await ratioOf(prompt, own)))
  const rank = (at: number, below: readonly number[]): number =>
    Math.log(Math.exp(s[at]) + below.reduce((sum, other) => sum + Math.exp(s[other]), 0)) - s[at]
  const metrics = await lossOf([group], objectiveOf('plackett_luce'))
  expect(metrics['loss']).toBeCloseTo(rank(0, [1, 2, 3]) + rank(1, [3]) + rank(2, [3]), 5)
})

test('tdpo takes the KL of whole distributions, at every token', async () => {
  const [{ prompt_ids: prompt, chosen_ids, rejected_ids }] = pairs
  const klOf = async (ids: readonly number[]): Promise<number> => {
    const row = sequenceRow([...prompt, ...ids], prompt.length)
    const distributions = []
    for (const layers of [policy.learner.layers(''), weightLayers(policy.machine)]) {
      const { data, shape } = await logitsOf(policy.machine, row, layers)
      distributions.push(
        Array.from({ length: shape[0] }, (_, at) => {
          const logits = Array.from(data.slice(at * shape[1], (at + 1) * shape[1]))
          const total = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0))
          return logits.map((logit) => logit - total)
        }),
      )
    }
    let kl = 0
    for (let at = prompt.length - 1; at < prompt.length + ids.length - 1; at++) {
      for (const [token, logRho] of distributions[1][at].entries()) {
        kl += Math.exp(logRho) * (logRho - distributions[0][at][token])
      }
    }
    return kl
  }
  const [w, l] = [await ratioOf(prompt, chosen_ids), await ratioOf(prompt, rejected_ids)]
  const [kw, kl] = [await klOf(chosen_ids), await klOf(rejected_ids)]
  const first = await lossOf(groupsOf().slice(0, 1), objectiveOf('tdpo1'))
  expect(first['loss']).toBeCloseTo(-Math.log(sigmoid(0.3 * (w - l - (kl - kw)))), 5)
  const second = await lossOf(groupsOf().slice(0, 1), objectiveOf('tdpo2'))
  expect(second['loss']).toBeCloseTo(-Math.log(sigmoid(0.3 * (w - l - 0.5 * (kl - kw)))), 5)
})

test('without a reference its log-probabilities are 0; soft labels and margins take the scores', async () => {
  const [{ prompt_ids: prompt, chosen_ids, rejected_ids }] = pairs
  const [one] = groupsOf()
  const row = packContinuations([chosen_ids, rejected_ids].map((content) => ({ prefix: prompt, content })))
  const logps = await scoreRow(policy.machine, row.row, policy.learner.layers(''))
  const [w, l] = row.continuations.map((tokens) => sum(Array.from(tokens, (at) => logps[at])))
  const free = await lossOf([one], objectiveOf('sigmoid', { referenceFree: true }))
  expect(free['loss']).toBeCloseTo(-Math.log(sigmoid(0.3 * (w - l))), 4)
  const z = 0.3 * ((await ratioOf(prompt, chosen_ids)) - (await ratioOf(prompt, rejected_ids)))
  const soft = await lossOf([one], objectiveOf('sigmoid', { softLabels: true }))
  expect(soft['loss']).toBeCloseTo(-0.8 * Math.log(sigmoid(z)) - 0.2 * Math.log(sigmoid(-z)), 5)
  const margin = await lossOf([one], objectiveOf('odpo', { odpoAlpha: 2 }))
  expect(margin['loss']).toBeCloseTo(-Math.log(sigmoid(z - 2 * 0.4)), 5)
})

test('bco_delta keeps a running mean of rewards from update to update', async () => {
  const objective = objectiveOf('bco_delta')
  const first = await accumulateGradient(policy, objective, packedFor(objective, [groupsOf().slice(0, 2)]), {
    label: '',
  })
  const rewards = async (range: typeof members): Promise<number> => {
    const all: number[] = []
    for (const { prompt, ids } of range) all.push(0.3 * (await ratioOf(prompt, ids)))
    return mean(all)
  }
  const [a, b] = [await rewards(members.slice(0, 4)), await rewards(members.slice(4, 12))]
  expect(first.rewardMean?.mean).toBeCloseTo(a, 5)
  const before = first.rewardMean === undefined ? {} : { rewardMean: first.rewardMean }
  const second = await accumulateGradient(
    policy,
    { ...objective, ...before },
    packedFor(objective, [groupsOf().slice(2)]),
    { label: '' },
  )
  expect(second.rewardMean?.mean).toBeCloseTo((a + b) / 2, 5)
  expect(second.rewardMean?.count).toBe(2)
})

const types = [
  'step_kto',
  'tdpo1',
  'plackett_luce',
  ...(isSlow ? (['kto', 'bco_delta', 'simpo', 'orpo'] as const) : []),
] as const

test.each(types)(
  '%s: the gradient is the central difference of the loss; microbatches change nothing',
  async (type) => {
    // δ and z₀ are constants for the gradient, which a difference of losses would see move: the mean of a thousand million
    // batches stays, and one problem has no z₀.
    const objective = objectiveOf(type, { rewardMean: { mean: 0.02, count: 1e9 } })
    const groups = groupsOf(true).map((group) => (type.endsWith('kto') ? { ...group, problem: 'one' } : group))
    const gradient = await gradientOf(groups, objective)
    await accumulateGradient(policy, objective, packedFor(objective, [groups.slice(0, 4), groups.slice(4)]), {
      label: '',
    })
    const split = policy.learner.parameters.flatMap((parameter) => [...parameter.gradient])
    expect(relativeError(split, gradient)).toBeLessThan(1e-5)
    // Along the gradient itself the loss changes by the square of its norm.
    const norm = Math.hypot(...gradient)
    const unit = 4e-3 / norm
    const move = (factor: number): void => {
      let at = 0
      for (const { values } of policy.learner.parameters) {
        for (let index = 0; index < values.length; index++) values[index] += factor * unit * gradient[at++]
      }
    }
    // Five points: the error is of order h⁴.
    let slope = 0
    for (const [factor, part] of [
      [1, 8],
      [-1, -8],
      [2, -1],
      [-2, 1],
    ]) {
      move(factor)
      slope += (part * (await lossOf(groups, objective))['loss']) / (12 * unit)
      move(-factor)
    }
    expect(slope / norm ** 2).toBeCloseTo(1, 3)
  },
)
