import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { writeTinyModel } from '../../scripts/tiny-model.ts'
import { plainObjective } from '../../test/plain-objective.ts'
import { random } from '../base/random.ts'
import type { EncodedGroup } from '../batch/encode.ts'
import { ortBackend } from '../engine/session.ts'
import type { FedLayers } from '../model/forward.ts'
import { adapterLearner } from '../model/learner.ts'
import { loadModel } from '../model/load.ts'
import { type Adapter, adaptedLayers, createAdapter } from '../model/lora.ts'
import { makeMachine } from '../model/machine.ts'
import { scoreRow, weightLayers } from '../model/pass.ts'
import { sequenceRow } from '../model/row.ts'
import type { LossType } from '../train/loss-table.ts'
import { openReferenceCache } from '../train/reference.ts'
import type { PackedObjective } from '../train/update.ts'
import { bootstrap } from './interval.ts'
import { evaluatePreferences, type PreferenceProgress } from './preference.ts'

const folder = mkdtempSync(join(tmpdir(), 'stepdpo-eval-'))
writeTinyModel(folder, 3)
const { config, weights } = loadModel(folder)
const machine = makeMachine(ortBackend({ threads: 1 }), config, weights)
afterAll(async () => {
  await machine.dispose()
  rmSync(folder, { recursive: true })
})

const settings = { rank: 2, alpha: 8, dropout: 0, rslora: false, targets: 'all-linear' } as const
const fresh = createAdapter(config, settings, 0)

/** As if it had learnt something: B is no longer zero. */
function learnt(): Adapter {
  const draw = random(1, 'learnt')
  const adapter = createAdapter(config, settings, 0)
  for (const tensors of adapter.layers) {
    for (const { data } of Object.values(tensors)) {
      for (let at = 0; at < data.length; at++) data[at] += draw.uniform() - 0.5
    }
  }
  return adapter
}

const draw = random(0, 'held out')
const tokens = (length: number): number[] => Array.from({ length }, () => draw.below(config.vocabularySize))

function makeGroup(problem: string, prefix: readonly number[][]): EncodedGroup {
  return {
    problem,
    prefix,
    members: [tokens(3), tokens(5), tokens(2)],
    pairs: [
      { chosen: 0, rejected: 1, weight: 1 },
      { chosen: 2, rejected: 1, weight: 3 },
    ],
  }
}

/** Three problems; one of them has two groups, the second below a step of the first, and the last holds a tie. */
function makeGroups(): EncodedGroup[] {
  const prompts = [tokens(6), tokens(4), tokens(5)]
  const same = tokens(4)
  return [
    makeGroup('a', [prompts[0]]),
    makeGroup('b', [prompts[1]]),
    makeGroup('a', [prompts[0], tokens(4)]),
    { problem: 'c', prefix: [prompts[2]], members: [same, same], pairs: [{ chosen: 0, rejected: 1, weight: 2 }] },
  ]
}

const groups = makeGroups()
const objective: PackedObjective = {
  ...plainObjective,
  beta: 0.3,
  labelSmoothing: 0.1,
  packing: { packing: 'tree', maxRowTokens: 30 },
}

let evaluations = 0

async function evaluate(adapter: Adapter, own: PackedObjective = objective) {
  const cache = openReferenceCache(join(folder, `${evaluations++}.log`), undefined)
  const policy = {
    machine,
    learner: adapterLearner(machine, adapter),
    reference: machine,
    cache,
    keeping: 'products',
  } as const
  const steps = evaluatePreferences(policy, adaptedLayers(machine, adapter), groups, own)
  const seen: PreferenceProgress[] = []
  for (;;) {
    const step = await steps.next()
    if (step.done) {
      cache.close()
      return { seen, ...step.value }
    }
    seen.push(step.value)
  }
}

/** The log-probability of a member in a sequence of its own: no tree, no packing, no cache. */
async function logpOf({ prefix, members }: EncodedGroup, member: number, layers: FedLayers): Promise<number> {
  const before = prefix.flat()
  const logps = await scoreRow(machine, sequenceRow([...before, ...members[member]], before.length), layers)
  return [...logps].reduce((total, logp) => total + logp, 0)
}

/** Every pair with its four log-probabilities, one by one. */
async function pairsOneByOne(adapter: Adapter) {
  const pairs = []
  for (const group of groups) {
    for (const { chosen, rejected, weight } of group.pairs) {
      const [policy, reference] = [adaptedLayers(machine, adapter), weightLayers(machine)]
      pairs.push({
        problem: group.problem,
        weight,
        isTie: group.members[chosen] === group.members[rejected],
        chosen: await logpOf(group, chosen, policy),
        rejected: await logpOf(group, rejected, policy),
        referenceChosen: await logpOf(group, chosen, reference),
        referenceRejected: await logpOf(group, rejected, reference),
      })
    }
  }
  return pairs
}

describe('an adapter that has learnt something', async () => {
  const { seen, metrics, problems } = await evaluate(learnt())
  const pairs = await pairsOneByOne(learnt())
  type Pair = (typeof pairs)[number]
  const total = pairs.reduce((sum, { weight }) => sum + weight, 0)
  const mean = (value: (pair: Pair) => number): number =>
    pairs.reduce((sum, pair) => sum + pair.weight * value(pair), 0) / total
  const chosenReward = (pair: Pair): number => 0.3 * (pair.chosen - pair.referenceChosen)
  const rejectedReward = (pair: Pair): number => 0.3 * (pair.rejected - pair.referenceRejected)
  const margin = (pair: Pair): number => (pair.isTie ? 0 : chosenReward(pair) - rejectedReward(pair))

  test('has the losses, rewards and log-probabilities of its pairs one by one, each by its weight', () => {
    // cDPO (Mitchell 2023): −(1 − ε) log σ(m) − ε log σ(−m)
    const loss = (pair: Pair): number =>
      0.9 * Math.log1p(Math.exp(-margin(pair))) + 0.1 * Math.log1p(Math.exp(margin(pair)))
    const expected = {
      eval_loss: mean(loss),
      'eval_rewards/chosen': mean(chosenReward),
      'eval_rewards/rejected': mean(rejectedReward),
      'eval_rewards/margins': mean(margin),
      'eval_logps/chosen': mean(({ chosen }) => chosen),
      'eval_logps/rejected': mean(({ rejected }) => rejected),
    }
    for (const [name, value] of Object.entries(expected)) expect(metrics[name], name).toBeCloseTo(value, 4)
  })

  test('has the supervised loss of all chosen tokens, each pair by its weight, and that of a loss that compares pairs', async () => {
    const evaluateWith = async (type: LossType) =>
      (await evaluate(learnt(), { ...objective, terms: [{ type, weight: 1 }] })).metrics['eval_loss']
    const tokenCount = groups
      .flatMap(({ members, pairs: own }) => own.map(({ chosen, weight }) => weight * members[chosen].length))
      .reduce((sum, count) => sum + count, 0)
    expect(await evaluateWith('sft')).toBeCloseTo((-total * mean(({ chosen }) => chosen)) / tokenCount, 4)
    // Each pair as often as it counts; both sides in their own order.
    const sorted = (ratio: (pair: Pair) => number): number[] =>
      pairs.flatMap((pair) => new Array<number>(pair.weight).fill(ratio(pair))).sort((a, b) => a - b)
    const [chosen, rejected] = [sorted(chosenReward), sorted(rejectedReward)]
    const margins = chosen.map((reward, at) => reward - rejected[at])
    const loss = (z: number): number => 0.9 * Math.log1p(Math.exp(-z)) + 0.1 * Math.log1p(Math.exp(z))
    const expected = margins.reduce((sum, z) => sum + loss(z), 0) / total
    expect(await evaluateWith('aot_unpaired')).toBeCloseTo(expected, 4)
  })

  test('counts a tie as wrong everywhere, and apart', () => {
    const isRight = (pair: Pair): number => Number(margin(pair) > 0)
    const isPlain = (pair: Pair): number => Number(!pair.isTie && pair.chosen > pair.rejected)
    const wasRight = (pair: Pair): number => Number(!pair.isTie && pair.referenceChosen > pair.referenceRejected)
    expect(metrics['eval_rewards/ties']).toBe(2 / total)
    expect(metrics['eval_rewards/accuracies']).toBeCloseTo(mean(isRight), 12)
    expect(metrics['eval_logps/accuracies']).toBeCloseTo(mean(isPlain), 12)
    expect(metrics['eval_reference/accuracies']).toBeCloseTo(mean(wasRight), 12)
    // Otherwise the three would not be told apart.
    expect(new Set([mean(isRight), mean(isPlain), mean(wasRight)]).size).toBeGreaterThan(1)
  })

  test('has intervals over its three problems, not over its pairs', () => {
    const values = {
      'rewards/accuracies': (pair: Pair) => Number(margin(pair) > 0),
      'rewards/margins': margin,
      'logps/chosen': ({ chosen }: Pair) => chosen,
    }
    for (const [name, value] of Object.entries(values)) {
      const clusters = ['a', 'b', 'c'].map((problem) => {
        const own = pairs.filter((pair) => pair.problem === problem)
        const weights = own.reduce((sum, { weight }) => sum + weight, 0)
        return [own.reduce((sum, pair) => sum + pair.weight * value(pair), 0), weights]
      })
      const { low, high } = bootstrap(clusters, ([sum, weight]) => sum / weight)
      expect(metrics[`eval_${name}_low`], name).toBeCloseTo(low ?? Number.NaN, 4)
      expect(metrics[`eval_${name}_high`], name).toBeCloseTo(high ?? Number.NaN, 4)
    }
    expect(metrics['eval_loss_low']).toBeLessThan(metrics['eval_loss'])
    expect(metrics['eval_loss_high']).toBeGreaterThan(metrics['eval_loss'])
    expect(metrics).toMatchObject({ eval_pairs: total, eval_problems: 3 })
  })

  test('has its problems one by one, whose means are the whole', () => {
    expect(problems.map(({ problem }) => problem)).toEqual(['a', 'b', 'c'])
    const mean = problems.reduce((sum, one) => sum + Number(one['pairs']) * Number(one['rewards/margins']), 0) / total
    expect(mean).toBeCloseTo(metrics['eval_rewards/margins'], 12)
    expect(problems[2]).toMatchObject({ pairs: 2, 'rewards/ties': 1, 'rewards/margins': 0 })
  })

  test('tells after each row how many there are', () => {
    expect(seen.map(({ done }) => done)).toEqual(seen.map((_, at) => at + 1))
    expect(new Set(seen.map(({ total }) => total))).toEqual(new Set([seen.length]))
    expect(seen.length).toBeGreaterThanOrEqual(3)
  })
})

test('a fresh adapter prefers nothing to nothing: every pair is a tie, and no accuracy is claimed', async () => {
  const { metrics } = await evaluate(fresh)
  expect(metrics['eval_rewards/ties']).toBe(1)
  expect(metrics['eval_rewards/accuracies']).toBe(0)
  expect(metrics['eval_loss']).toBeCloseTo(Math.LN2, 6)
  expect(metrics['eval_logps/accuracies']).toBe(metrics['eval_reference/accuracies'])
})
