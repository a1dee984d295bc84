/** Supervised fine-tuning against TRL's loss `sft`: the mean over all chosen tokens, and every LoRA gradient. */
import { expect, test } from 'vitest'
import { oracleJson, oraclePath, oracleTensors, relativeError } from '../../test/oracle.ts'
import type { EncodedGroup } from '../batch/encode.ts'
import { packBatches, packMembers } from '../batch/pack.ts'
import { ortBackend } from '../engine/session.ts'
import { loadAdapter } from '../model/adapter-file.ts'
import { adapterLearner } from '../model/learner.ts'
import { loadModel } from '../model/load.ts'
import { makeMachine } from '../model/machine.ts'
import { accumulateDemonstrations } from './demonstrate.ts'
import { NotFiniteError } from './update.ts'

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

function packed(batches: readonly (readonly EncodedGroup[])[], maxRowTokens: number) {
  return packBatches(batches, (own) => packMembers(own, maxRowTokens))
}

function startPupil() {
  const { config, weights } = loadModel(oraclePath('models/llama'))
  const machine = makeMachine(ortBackend({ threads: 2 }), config, weights)
  const learner = adapterLearner(machine, loadAdapter(oraclePath('dpo/llama/adapter'), config))
  return { machine, learner, keeping: 'products' } as const
}

test.each([
  ['one row for all', 256, [groups]],
  ['a row for each', 64, [groups]],
  ['two microbatches of different lengths', 256, [groups.slice(0, 2), groups.slice(2)]],
] as const)('%s: the loss and the gradients are those of TRL to 1e-4', async (_, maxRowTokens, batches) => {
  const pupil = startPupil()
  const { metrics } = await accumulateDemonstrations(pupil, packed(batches, maxRowTokens), { label: '' })
  expect(Math.abs(metrics['loss'] - reference.cases.sft.loss)).toBeLessThan(1e-5)
  const gradients = oracleTensors('dpo/llama/gradients/sft.safetensors')
  for (const { name, gradient } of pupil.learner.parameters) {
    expect(relativeError(gradient, gradients.get(name)?.data ?? [])).toBeLessThan(1e-4)
  }
  await pupil.machine.dispose()
})

test('members of one prefix share its tokens; one that fits no row is named', () => {
  const group: EncodedGroup = { problem: 'p', prefix: [[1, 2], [3]], members: [[4, 5], [4, 6], [7]], pairs: [] }
  const [row, ...others] = packMembers([group], 16)
  expect(others).toEqual([])
  expect(Array.from(row.row.ids)).toEqual([1, 2, 3, 4, 5, 6, 7])
  expect(row.pairs).toEqual([])
  expect(row.continuations.map((tokens) => Array.from(tokens, (at) => row.row.ids[row.row.scored[at]]))).toEqual(
    group.members,
  )
  expect(packMembers([group], 5).map(({ row }) => row.ids.length)).toEqual([5, 5, 4])
  expect(() => packMembers([group], 4)).toThrow('a completion of p is longer than 4 tokens')
})

test('a weight that is not finite is named in the same update', async () => {
  const pupil = startPupil()
  pupil.learner.parameters[0].values[0] = Number.NaN
  await expect(accumulateDemonstrations(pupil, packed([groups], 256), { label: '' })).rejects.toThrow(NotFiniteError)
  await pupil.machine.dispose()
})
