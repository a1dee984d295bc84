import { expect, test } from 'vitest'
import { batchLosses } from '../train/batch-loss.ts'
import { losses } from '../train/loss.ts'
import { trainSchema } from './config.ts'
import { lossFields, lossTerms } from './loss-settings.ts'
import { runSchema } from './run-settings.ts'

const model = { base_model: 'model', dataset_path: 'data.jsonl' }

/** What is said of these settings; undefined where they are accepted. */
function refusalOf(settings: object): string | undefined {
  const [issue] = trainSchema.safeParse({ ...model, ...settings }).error?.issues ?? []
  return issue === undefined ? undefined : `${issue.path.join('.')}: ${issue.message}`
}

test('every loss that there is can be asked for', () => {
  expect(lossFields.loss_type.unwrap().element.options.toSorted()).toEqual(
    [...Object.keys(losses), ...Object.keys(batchLosses)].sort(),
  )
})

test('without a word the loss is sigmoid; weights are 1 unless they are given', () => {
  expect(lossTerms(trainSchema.parse(model))).toEqual([{ type: 'sigmoid', weight: 1 }])
  const two = { ...model, loss_type: ['sigmoid', 'sft'] }
  expect(lossTerms(trainSchema.parse(two)).map(({ weight }) => weight)).toEqual([1, 1])
  expect(lossTerms(trainSchema.parse({ ...two, loss_weights: [1, 0.2] }))).toEqual([
    { type: 'sigmoid', weight: 1 },
    { type: 'sft', weight: 0.2 },
  ])
})

test.each([
  [{ loss_type: ['hinge'], label_smoothing: 0.1 }, /^label_smoothing: is ignored by loss hinge; sigmoid, robust, exo/],
  [{ loss_type: ['sigmoid', 'ipo'], label_smoothing: 0.1 }, /^label_smoothing: is ignored by loss ipo;/],
  [{ loss_type: ['sft'], label_smoothing: 0.1 }, /^label_smoothing: is ignored by loss sft;/],
  [{ loss_type: ['exo_pair'] }, /^label_smoothing: must be above 0 with loss exo_pair/],
  [{ loss_type: ['sigmoid', 'sft'], loss_weights: [1] }, /^loss_weights: .*\(sigmoid, sft\), 2, found 1$/],
  [{ loss_weights: [0] }, /^loss_weights/],
  [{ loss_type: [] }, /^loss_type/],
  [{ loss_type: ['hinge'], objective: 'sft' }, /^loss_type: has no meaning with objective sft/],
  [{ loss_type: ['sigmoid', 'aot'], gradient_accumulation_steps: 2 }, /^gradient_accumulation_steps: must be 1 .*aot/],
])('%j is refused with the reason', (settings, reason) => {
  expect(refusalOf(settings)).toMatch(reason)
})

test.each([
  { loss_type: ['sigmoid', 'sft'], label_smoothing: 0.1 },
  { loss_type: ['robust'], label_smoothing: 0.3 },
  { loss_type: ['exo_pair'], label_smoothing: 0.001 },
  { loss_type: ['hinge', 'ipo'], loss_weights: [1, 0.5] },
  { loss_type: ['aot'], label_smoothing: 0.1 },
  { loss_type: ['ipo'], gradient_accumulation_steps: 2 },
  { objective: 'sft' },
])('%j is accepted', (settings) => {
  expect(refusalOf(settings)).toBeUndefined()
})

test('a run refuses the same, before it samples anything', () => {
  const run = { base_model: 'model', dataset_path: 'data.jsonl', reward_model: ['arithmetic'] }
  expect(runSchema.safeParse({ ...run, loss_type: ['sigmoid'], label_smoothing: 0.1 }).success).toBe(true)
  expect(runSchema.safeParse({ ...run, loss_type: ['hinge'], label_smoothing: 0.1 }).success).toBe(false)
})
