/** Held-out demonstrations against TRL's loss `sft`. */
import { expect, test } from 'vitest'
import { oracleJson, oraclePath } from '../../test/oracle.ts'
import type { EncodedGroup } from '../batch/encode.ts'
import { packMembers } from '../batch/pack.ts'
import { ortBackend } from '../engine/session.ts'
import { loadAdapter } from '../model/adapter-file.ts'
import { adapterLearner } from '../model/learner.ts'
import { loadModel } from '../model/load.ts'
import { makeMachine } from '../model/machine.ts'
import { evaluateDemonstrations } from './demonstration.ts'

interface Reference {
  readonly pairs: { prompt_ids: number[]; chosen_ids: number[] }[]
  readonly cases: Record<'sft', { loss: number }>
}

const reference = oracleJson<Reference>('dpo/llama/reference.json')
const groups: EncodedGroup[] = reference.pairs.map(({ prompt_ids, chosen_ids }, at) => ({
  problem: String(at),
  prefix: [prompt_ids],
  members: [chosen_ids],
  pairs: [],
}))

function startPupil() {
  const { config, weights } = loadModel(oraclePath('models/llama'))
  const machine = makeMachine(ortBackend({ threads: 2 }), config, weights)
  const learner = adapterLearner(machine, loadAdapter(oraclePath('dpo/llama/adapter'), config))
  return { machine, learner, keeping: 'products' } as const
}

test('held-out rows are scored by the same loss', async () => {
  const { machine, learner } = startPupil()
  const steps = evaluateDemonstrations(machine, learner.layers(''), groups, 64)
  let step = await steps.next()
  let rows = 0
  for (; !step.done; step = await steps.next()) rows++
  expect(rows).toBe(packMembers(groups, 64).length)
  expect(Math.abs(step.value['eval_loss'] - reference.cases.sft.loss)).toBeLessThan(1e-5)
  expect(step.value['eval_tokens']).toBe(groups.flatMap(({ members }) => members).flat().length)
  await machine.dispose()
})
