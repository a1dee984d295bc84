/** Whole training runs against TRL with Trainer and PEFT: loss, metrics and weights at every update. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { oracleJson, oraclePath, oracleTensors, relativeError } from '../../test/oracle.ts'
import { packedFor } from '../../test/packed.ts'
import { plainObjective } from '../../test/plain-objective.ts'
import type { EncodedGroup } from '../batch/encode.ts'
import { updateBatches } from '../batch/order.ts'
import type { Packing } from '../batch/pack.ts'
import { ortBackend } from '../engine/session.ts'
import { loadAdapter } from '../model/adapter-file.ts'
import { adapterLearner, fullLearner } from '../model/learner.ts'
import { loadModel } from '../model/load.ts'
import { makeMachine } from '../model/machine.ts'
import { zeroMoments } from './adamw.ts'
import { openReferenceCache } from './reference.ts'
import { rateAt, type ScheduleType } from './schedule.ts'
import { accumulateGradient, applyGradient } from './update.ts'

interface Reference {
  readonly beta: number
  readonly settings: {
    readonly per_device_train_batch_size: number
    readonly gradient_accumulation_steps: number
    readonly adam_beta1: number
    readonly adam_beta2: number
    readonly adam_epsilon: number
    readonly weight_decay: number
    readonly max_grad_norm: number
    readonly lr_scheduler_type: ScheduleType
    readonly max_steps: number
    readonly warmup_steps: number
    readonly learning_rate: number
    readonly snapshots: number[]
  }
  readonly parameter_groups: Record<string, string[]>
  readonly updates_float32: Record<string, number>[]
}

const folder = mkdtempSync(join(tmpdir(), 'stepdpo-trajectory-'))
afterAll(() => rmSync(folder, { recursive: true }))

const groups: EncodedGroup[] = oracleJson<{ prompt_ids: number[]; chosen_ids: number[]; rejected_ids: number[] }[]>(
  'training/llama/pairs.json',
).map(({ prompt_ids, chosen_ids, rejected_ids }, at) => ({
  problem: String(at),
  prefix: [prompt_ids],
  members: [chosen_ids, rejected_ids],
  pairs: [{ chosen: 0, rejected: 1, weight: 1 }],
}))

const METRICS = ['loss', 'grad_norm', 'entropy', 'mean_token_accuracy']
const PREFIXES = ['rewards/', 'logps/', 'logits/']

describe.each(['lora', 'full'] as const)('TRL %s', (kind) => {
  const reference = oracleJson<Reference>(`training/llama/${kind}/reference.json`)
  const { settings } = reference

  test.each(['none', 'tree'] as const)(
    'its trajectory, to 1e-4 at every update, packing %s',
    async (packing: Packing) => {
      const backend = ortBackend({ threads: 2 })
      const load = () => loadModel(oraclePath('models/llama'))
      const { config, weights } = load()
      const machine = makeMachine(backend, config, weights)
      const frozen = kind === 'full' ? makeMachine(backend, config, load().weights) : machine
      const learner =
        kind === 'full'
          ? fullLearner(machine)
          : adapterLearner(machine, loadAdapter(oraclePath('training/llama/lora/adapter_init'), config))
      const cache = openReferenceCache(join(folder, `${kind}-${packing}`), undefined)
      const policy = { machine, learner, reference: frozen, cache, keeping: 'products' } as const
      const objective = {
        ...plainObjective,
        beta: reference.beta,
        packing: { packing, maxRowTokens: 256 },
      } as const
      const moments = new Map(learner.parameters.map(({ name, values }) => [name, zeroMoments(values.length)]))
      expect(
        learner.parameters
          .filter(({ decays }) => decays)
          .map(({ name }) => name)
          .sort(),
      ).toEqual(
        Object.entries(reference.parameter_groups)
          .find(([name]) => !name.endsWith('=0.0'))?.[1]
          .toSorted(),
      )
      const order = {
        batchSize: settings.per_device_train_batch_size,
        accumulation: settings.gradient_accumulation_steps,
        shuffle: false,
        seed: 0,
      }
      const adam = {
        beta1: settings.adam_beta1,
        beta2: settings.adam_beta2,
        epsilon: settings.adam_epsilon,
        weightDecay: settings.weight_decay,
        maxGradNorm: settings.max_grad_norm,
      }
      const snapshots = oracleTensors(`training/llama/${kind}/weights_float32.safetensors`)
      for (const [update, expected] of reference.updates_float32.entries()) {
        const batches = updateBatches(groups, update, order).map((batch) => batch.map((at) => groups[at]))
        const { metrics, norm } = await accumulateGradient(policy, objective, packedFor(objective, batches), {
          label: '',
        })
        const rate = rateAt(settings.lr_scheduler_type, update, {
          rate: settings.learning_rate,
          warmupUpdates: settings.warmup_steps,
          updates: settings.max_steps,
        })
        expect(rate).toBeCloseTo(expected.learning_rate, 12)
        const names = Object.keys(expected).filter(
          (name) => METRICS.includes(name) || PREFIXES.some((p) => name.startsWith(p)),
        )
        expect(names.length).toBeGreaterThanOrEqual(12)
        for (const name of names) {
          const error = Math.abs(metrics[name] - expected[name]) / Math.max(1, Math.abs(expected[name]))
          expect({ update, name, error: error < 1e-4 ? 0 : error }).toEqual({ update, name, error: 0 })
        }
        applyGradient(learner, moments, adam, { norm, time: update + 1, rate })
        if (!settings.snapshots.includes(update + 1)) continue
        for (const { name, values } of learner.parameters) {
          const after = snapshots.get(`after_${update + 1}.${name}`)?.data ?? []
          expect(relativeError(values, after)).toBeLessThan(1e-4)
        }
      }
      cache.close()
      await machine.dispose()
      if (frozen !== machine) await frozen.dispose()
    },
  )
})
