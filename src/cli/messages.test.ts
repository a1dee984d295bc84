import { expect, test } from 'vitest'
import { messageOf } from './messages.ts'

test('an alarm says what, since when and what may help', () => {
  const message = messageOf({
    type: 'alarm-raised',
    update: 76,
    name: 'far-from-reference',
    text: 'the policy is 0.54 nats a token away from the reference',
    remedy: 'a larger --beta',
  })
  expect(message).toBe(
    '⚠ far-from-reference: the policy is 0.54 nats a token away from the reference (update 76). May help: a larger --beta',
  )
})

test('a run that stopped early says what it waited for, and where the best is, if there is one', () => {
  const stopped = { type: 'run-stopped-early', update: 300, metric: 'eval_loss', waited: 3 } as const
  expect(messageOf({ ...stopped, best: { value: 0.4123, update: 150 } })).toBe(
    'stopped early after update 300: eval_loss no better for 3 evaluations, best 0.412 after update 150',
  )
  expect(messageOf(stopped)).toBe('stopped early after update 300: eval_loss no better for 3 evaluations')
})
