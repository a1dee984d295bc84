/** The forward pass against transformers; adapters against PEFT; trees and gradients against path-by-path runs. */
import { describe, expect, test } from 'vitest'
import { oracleJson, oraclePath, oracleTensors, relativeError } from '../../test/oracle.ts'
import { isSlow } from '../../test/slow.ts'
import { type Random, random } from '../base/random.ts'
import type { FloatArray } from '../engine/backend.ts'
import { interpreter } from '../engine/interpret.ts'
import { ortBackend } from '../engine/session.ts'
import { loadAdapter, namedFactors } from './adapter-file.ts'
import { adapterLearner, fullLearner, type Learner } from './learner.ts'
import { loadModel } from './load.ts'
import { type Adapter, adaptedLayers, createAdapter } from './lora.ts'
import { type Cuts, defaultCuts, makeMachine } from './machine.ts'
import { backwardRow, forwardRow, logitsOf, scoreRow, weightLayers } from './pass.ts'
import { type Row, sequenceRow } from './row.ts'

const cpu = ortBackend({ threads: 2 })
const backends = [
  { backend: cpu, forward: 5e-5, gradient: 1e-4 },
  { backend: interpreter, forward: 1e-6, gradient: 1e-6 },
]
/** Families that the quick stage looks at in families.test.ts only. */
const others = (...names: string[]): string[] => (isSlow ? names : [])

/** Small cuts, so that a short row has many blocks and chunks. */
const small: Cuts = { blockTokens: 4, chunkTokens: 5, headTokens: 3 }

interface ModelReference {
  readonly prompt: number[]
  readonly generated: number[]
  readonly float32_vs_float64_max_abs_logit_difference: number
}

describe.each(['llama', 'llama-untied', 'mistral', 'mistral-fp16'])('transformers %s', (name) => {
  const { config, weights } = loadModel(oraclePath(`models/${name}`))
  const tensors = oracleTensors(`models/${name}/reference.safetensors`)
  const reference = oracleJson<ModelReference>(`models/${name}/reference.json`)
  const numbers = (key: string) => tensors.get(key)?.data ?? []

  test.each(backends)('logits and log-probabilities: $backend.name', async ({ backend, forward }) => {
    const machine = makeMachine(backend, config, weights)
    for (const at of [0, 1, 2]) {
      const row = sequenceRow(numbers(`ids.${at}`))
      const expected = numbers(`logits.${at}`)
      // The reference is in float32 itself: its own noise is allowed on top.
      const noise = reference.float32_vs_float64_max_abs_logit_difference / Math.max(...Array.from(expected, Math.abs))
      const logits = await logitsOf(machine, row, weightLayers(machine))
      expect(relativeError(logits.data, expected)).toBeLessThan(forward + noise)
      if (row.scored.length === 0) continue
      const logps = await scoreRow(machine, row, weightLayers(machine))
      expect(relativeError(logps, numbers(`logprobs.${at}`))).toBeLessThan(forward + noise)
    }
    await machine.dispose()
  })
})

interface PeftReference {
  readonly max_abs_adapter_minus_merged: number
}

describe.each(['llama', 'llama-untied', 'llama-rslora', 'llama-qv'])('PEFT %s', (name) => {
  test.each(backends)('logits with the adapter: $backend.name', async ({ backend, forward }) => {
    const { config, weights } = loadModel(oraclePath(`models/${name === 'llama-untied' ? name : 'llama'}`))
    const machine = makeMachine(backend, config, weights)
    const layers = adaptedLayers(machine, loadAdapter(oraclePath(`peft/${name}`), config))
    const tensors = oracleTensors(`peft/${name}/reference.safetensors`)
    // The reference is in float32 only. Its own noise is about what lies between its two ways to the same logits.
    const noise = 2 * oracleJson<PeftReference>(`peft/${name}/reference.json`).max_abs_adapter_minus_merged
    for (const at of [0, 1, 2]) {
      const row = sequenceRow(tensors.get(`ids.${at}`)?.data ?? [])
      const expected = tensors.get(`adapter_logits.${at}`)?.data ?? []
      const largest = Math.max(...Array.from(expected, Math.abs))
      const logits = await logitsOf(machine, row, layers)
      expect(relativeError(logits.data, expected)).toBeLessThan(forward + noise / largest)
    }
    await machine.dispose()
  })
})

interface TreeReference {
  readonly parents: number[]
  readonly nodes: number[][]
  readonly pairs: [number, number][]
  readonly beta: number
  readonly base_node_logps: number[]
  readonly adapter_node_logps: number[]
  readonly lora: { readonly loss_sum: number }
  readonly full?: { readonly loss_sum: number }
}

const logSigmoid = (z: number): number => Math.min(z, 0) - Math.log1p(Math.exp(-Math.abs(z)))

/** Σ −log σ(β(Δ_w − Δ_l)) over pairs of nodes, and its gradient for each scored token. */
function pairLoss(reference: TreeReference, nodeOf: ArrayLike<number>, scored: Int32Array, pass: LossInputs) {
  const sums = reference.nodes.map(() => 0)
  scored.forEach((token, at) => {
    sums[nodeOf[token]] += pass.logps[at]
  })
  const dNode = reference.nodes.map(() => 0)
  let loss = 0
  for (const [chosen, rejected] of reference.pairs) {
    const ratio = (node: number): number => sums[node] - pass.reference[node]
    const z = reference.beta * (ratio(chosen) - ratio(rejected))
    loss -= logSigmoid(z)
    const slope = reference.beta / (1 + Math.exp(z))
    dNode[chosen] -= slope
    dNode[rejected] += slope
  }
  return { loss, dLogps: pass.logps.map((_, at) => dNode[nodeOf[scored[at]]]) }
}

function expectGradients({ parameters }: Learner, file: string, tolerance: number): void {
  const expected = oracleTensors(file)
  expect(parameters.map(({ name }) => name).sort()).toEqual([...expected.keys()].sort())
  for (const { name, gradient } of parameters) {
    expect(relativeError(gradient, expected.get(name)?.data ?? [])).toBeLessThan(tolerance)
  }
}

interface LossInputs {
  readonly logps: FloatArray
  readonly reference: readonly number[]
}

describe.each(['llama', 'mistral', ...others('phi')])('tree %s', (name) => {
  const { config, weights } = loadModel(oraclePath(`models/${name}`))
  const reference = oracleJson<TreeReference>(`tree/${name}/reference.json`)
  const tensors = oracleTensors(`tree/${name}/reference.safetensors`)
  const ints = (key: string) => Int32Array.from(tensors.get(key)?.data ?? [])
  const parents = ints('previous')
  const row: Row = {
    ids: ints('tokens'),
    parents,
    scored: Int32Array.from(parents.keys()).filter((at) => parents[at] >= 0),
  }
  const expectedLogps = (key: string) => Array.from(row.scored, (at) => tensors.get(key)?.data[at] ?? 0)

  const variants = backends.flatMap((item) =>
    [defaultCuts, small].flatMap((cuts) =>
      (['products', 'inputs'] as const).map((keeping) => ({ ...item, cuts, keeping })),
    ),
  )
  test.each(variants)(
    'log-probabilities and LoRA gradients: $backend.name, blocks of $cuts.blockTokens, keeping $keeping',
    async ({ backend, cuts, keeping, forward, gradient }) => {
      const machine = makeMachine(backend, config, weights, cuts)
      const adapter = loadAdapter(oraclePath(`tree/${name}/adapter`), config)
      const base = await scoreRow(machine, row, weightLayers(machine))
      expect(relativeError(base, expectedLogps('base_logprobs'))).toBeLessThan(forward)
      const learner = adapterLearner(machine, adapter)
      const pass = await forwardRow(machine, row, learner.layers(''), keeping)
      expect(relativeError(pass.scores.logps, expectedLogps('adapter_logprobs'))).toBeLessThan(forward)
      const { loss, dLogps } = pairLoss(reference, ints('node'), row.scored, {
        logps: pass.scores.logps,
        reference: reference.base_node_logps,
      })
      expect(Math.abs(loss - reference.lora.loss_sum)).toBeLessThan(forward * reference.lora.loss_sum)
      await backwardRow(machine, pass, dLogps, learner.gradients)
      expectGradients(learner, `tree/${name}/lora_gradients.safetensors`, gradient)
      await machine.dispose()
    },
  )

  if (reference.full === undefined) return
  const { loss_sum } = reference.full
  test.each(backends)('gradients of every weight: $backend.name', async ({ backend, gradient }) => {
    const machine = makeMachine(backend, config, weights, small)
    const learner = fullLearner(machine)
    const pass = await forwardRow(machine, row, learner.layers(''), 'products')
    const { loss, dLogps } = pairLoss(reference, ints('node'), row.scored, {
      logps: pass.scores.logps,
      reference: reference.adapter_node_logps,
    })
    expect(Math.abs(loss - loss_sum)).toBeLessThan(1e-5)
    await backwardRow(machine, pass, dLogps, learner.gradients)
    expectGradients(learner, `tree/${name}/full_gradients.safetensors`, gradient)
    await machine.dispose()
  })
})

function sumOf(numbers: ArrayLike<number>): number {
  return Array.from(numbers).reduce((total, value) => total + value, 0)
}

/** A random tree in a random order of insertion; every token but the roots is scored. */
function randomTree(draw: Random, vocabulary: number): Row {
  const tokens = 8 + draw.below(24)
  const roots = 1 + draw.below(2)
  const parents = Int32Array.from({ length: tokens }, (_, at) => {
    if (at < roots) return -1
    return draw.below(3) > 0 ? at - 1 : draw.below(at) // mostly runs, now and then a branch
  })
  return {
    ids: Int32Array.from(parents, () => 3 + draw.below(vocabulary - 3)),
    parents,
    scored: Int32Array.from(parents.keys()).filter((at) => parents[at] >= 0),
  }
}

/** The path from the root to a token, as a row of its own that scores only the last token. */
function pathRow(row: Row, token: number): Row {
  const path: number[] = []
  for (let at = token; at >= 0; at = row.parents[at]) path.push(row.ids[at])
  return sequenceRow(path.reverse(), path.length - 1)
}

const grown = ['llama', 'mistral', ...others('qwen2', 'qwen3', 'phi', 'phi3', 'smollm3', 'gemma3_text')]

describe.each(grown)('random trees on %s', (name) => {
  const { config, weights } = loadModel(oraclePath(`models/${name}`))
  const settings = { rank: 3, alpha: 5, dropout: 0, rslora: false, targets: 'all-linear' } as const

  /** An adapter whose B is not zero, so that A has a gradient too. */
  function warmAdapter(seed: number): Adapter {
    const adapter = createAdapter(config, settings, seed)
    const draw = random(seed, 'B')
    for (const { data } of namedFactors(adapter).values()) {
      if (data.every((value) => value === 0)) data.set(data.map(() => draw.uniform() - 0.5))
    }
    return adapter
  }

  test('log-probabilities and gradients of a tree equal those of its paths to 1e-5', async () => {
    for (let seed = 0; seed < 6; seed++) {
      const draw = random(seed, 'tree', name)
      const row = randomTree(draw, config.vocabularySize)
      const dLogps = Float32Array.from(row.scored, () => draw.uniform() - 0.5)
      const machine = makeMachine(cpu, config, weights, seed % 2 === 0 ? small : defaultCuts)
      const tree = adapterLearner(machine, warmAdapter(seed))
      const pass = await forwardRow(machine, row, tree.layers(''), seed % 3 === 0 ? 'inputs' : 'products')
      const logps = Float32Array.from(pass.scores.logps)
      await backwardRow(machine, pass, dLogps, tree.gradients)
      const paths = adapterLearner(machine, warmAdapter(seed))
      for (const [at, token] of row.scored.entries()) {
        const own = await forwardRow(machine, pathRow(row, token), paths.layers(''), 'products')
        expect(Math.abs(own.scores.logps[0] - logps[at])).toBeLessThan(1e-5)
        await backwardRow(machine, own, dLogps.subarray(at, at + 1), paths.gradients)
      }
      tree.parameters.forEach(({ gradient }, at) => {
        expect(relativeError(gradient, paths.parameters[at].gradient)).toBeLessThan(1e-5)
      })
      await machine.dispose()
    }
  })

  test('a fresh adapter changes nothing, bit for bit', async () => {
    const machine = makeMachine(cpu, config, weights)
    const row = randomTree(random(1, 'fresh'), config.vocabularySize)
    const base = await scoreRow(machine, row, weightLayers(machine))
    const adapted = await scoreRow(machine, row, adaptedLayers(machine, createAdapter(config, settings, 1)))
    expect([...adapted]).toEqual([...base])
    await machine.dispose()
  })

  test('a row without scored tokens scores nothing', async () => {
    const machine = makeMachine(cpu, config, weights)
    const row = { ...sequenceRow([5, 6, 7]), scored: new Int32Array(0) }
    expect(await scoreRow(machine, row, weightLayers(machine))).toHaveLength(0)
    await machine.dispose()
  })

  test('a token id outside the vocabulary is named', async () => {
    const machine = makeMachine(cpu, config, weights)
    await expect(scoreRow(machine, sequenceRow([5, config.vocabularySize]), weightLayers(machine))).rejects.toThrow(
      new RegExp(`${config.vocabularySize} is not in the vocabulary`),
    )
    await machine.dispose()
  })

  test('dropout: masks are equal in both passes and unbiased, and gradients equal central differences', async () => {
    const machine = makeMachine(interpreter, config, weights, small)
    const adapter = warmAdapter(3)
    const learner = adapterLearner(machine, { ...adapter, settings: { ...settings, dropout: 0.4 } }, 9)
    const row = sequenceRow([5, 6, 7, 8, 9, 10], 3)
    const dLogps = Float64Array.of(1, -2, 0.5)
    const loss = async (label: string): Promise<number> => {
      const { scores } = await forwardRow(machine, row, learner.layers(label), 'products')
      return sumOf(Array.from(scores.logps, (logp, at) => logp * dLogps[at]))
    }
    expect(await loss('a')).toBe(await loss('a'))
    expect(await loss('a')).not.toBe(await loss('b'))
    const pass = await forwardRow(machine, row, learner.layers('a'), 'inputs')
    await backwardRow(machine, pass, dLogps, learner.gradients)
    for (const { values, gradient } of learner.parameters.slice(0, 6)) {
      const [at, step] = [1, 2 ** -12] // a power of two: float32 factors take it without rounding
      const before = values[at]
      values[at] = before + step
      const above = await loss('a')
      values[at] = before - step
      const below = await loss('a')
      values[at] = before
      expect(Math.abs((above - below) / (2 * step) - gradient[at])).toBeLessThan(
        1e-4 * Math.max(1, Math.abs(gradient[at])),
      )
    }
    const [{ data: mask }] = Object.values(learner.layers('a').masks?.(0, 500) ?? {})
    const mean = sumOf(mask) / mask.length
    expect(Math.abs(mean - 1)).toBeLessThan(5 * Math.sqrt(0.4 / 0.6 / mask.length))
    await machine.dispose()
  })
})
