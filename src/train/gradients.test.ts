/** The Step-DPO objective on six pairs against TRL: loss, metrics, log-probabilities and every LoRA gradient. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { oracleJson, oraclePath, oracleTensors, relativeError } from '../../test/oracle.ts'
import type { EncodedGroup } from '../batch/encode.ts'
import { ortBackend } from '../engine/session.ts'
import { loadAdapter } from '../model/adapter-file.ts'
import { adapterLearner } from '../model/learner.ts'
import { loadModel } from '../model/load.ts'
import { makeMachine } from '../model/machine.ts'
import { openReferenceCache } from './reference.ts'
import { accumulateGradient } from './update.ts'

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

test.each([
  ['tree', 'products'],
  ['tree', 'inputs'],
  ['none', 'products'],
] as const)(
  'packing %s, keeping %s: loss, metrics and gradients are those of TRL to 1e-4',
  async (packing, keeping) => {
    const { config, weights } = loadModel(oraclePath('models/llama'))
    const machine = makeMachine(ortBackend({ threads: 2 }), config, weights)
    const learner = adapterLearner(machine, loadAdapter(oraclePath('dpo/llama/adapter'), config))
    const cache = openReferenceCache(join(folder, `${packing}-${keeping}`), undefined)
    const objective = {
      lossType: 'sigmoid',
      beta: reference.beta,
      labelSmoothing: 0,
      packing: { packing, maxRowTokens: 256 },
    } as const
    const policy = { machine, learner, reference: machine, cache, keeping }
    const { metrics } = await accumulateGradient(policy, objective, [groups], '')
    const { loss, metrics: expected } = reference.cases.sigmoid
    expect(Math.abs(metrics['loss'] - loss)).toBeLessThan(1e-5)
    for (const [name, value] of Object.entries(expected)) {
      expect({ name, close: Math.abs(metrics[name] - value) <= 1e-4 * Math.max(1, Math.abs(value)) }).toEqual({
        name,
        close: true,
      })
    }
    const gradients = oracleTensors('dpo/llama/gradients/sigmoid.safetensors')
    expect(learner.parameters.map(({ name }) => name).sort()).toEqual([...gradients.keys()].sort())
    for (const { name, gradient } of learner.parameters) {
      expect(relativeError(gradient, gradients.get(name)?.data ?? [])).toBeLessThan(1e-4)
    }
    cache.close()
    await machine.dispose()
  },
)
