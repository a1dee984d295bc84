import { expect, test } from 'vitest'
import { drawStepRewards, stepRewardsOf } from './step-rewards.ts'

const log = Array.from({ length: 96 }, (_, at) => ({
  step: at + 1,
  loss: 1,
  'rewards/chosen/step_1': at < 48 ? 0 : 1,
  ...(at >= 48 && { 'rewards/rejected/step_9+': -1 }),
}))
const evaluation = { step: 96, eval_loss: 1, 'eval_rewards/chosen/step_1': 50 }

test('rewards are averaged over at most 48 columns, and those of no step are none', () => {
  const rewards = stepRewardsOf([...log, evaluation])
  expect(rewards?.updates).toEqual(Array.from({ length: 48 }, (_, at) => 2 * at + 2))
  expect(rewards?.rows).toEqual([
    { side: 'chosen', position: '1', rewards: Array.from({ length: 48 }, (_, at) => Number(at >= 24)) },
    { side: 'rejected', position: '9+', rewards: Array.from({ length: 48 }, (_, at) => (at >= 24 ? -1 : null)) },
  ])
  expect(stepRewardsOf([{ step: 1, loss: 1 }])).toBeUndefined()
  expect(stepRewardsOf([])).toBeUndefined()
})

test('the picture has a row for each position and one scale of shades', () => {
  expect(drawStepRewards({ updates: [2, 4], rows: stepRewardsOf(log)?.rows ?? [] })).toEqual([
    'updates 1 to 4, mean reward · -1.000 … █ +1.000; at the right the last',
    `chosen   step 1  ${'▒'.repeat(24)}${'█'.repeat(24)} +1.000`,
    `rejected step 9+ ${' '.repeat(24)}${'·'.repeat(24)} -1.000`,
  ])
})
