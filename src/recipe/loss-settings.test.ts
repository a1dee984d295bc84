import { expect, test } from 'vitest'
import { plainObjective } from '../../test/plain-objective.ts'
import { entryOf, type Heeded, lossTypes } from '../train/loss-table.ts'
import { trainSchema } from './config.ts'
import { lossFields, lossOptions, lossTerms, optionSettings } from './loss-settings.ts'
import { runSchema } from './run-settings.ts'

const model = { base_model: 'model', dataset_path: 'data.jsonl' }

/** What is said of these settings; undefined where they are accepted. */
function refusalOf(settings: object): string | undefined {
  const [issue] = trainSchema.safeParse({ ...model, ...settings }).error?.issues ?? []
  return issue === undefined ? undefined : `${issue.path.join('.')}: ${issue.message}`
}

test('every loss that there is can be asked for', () => {
  expect(lossFields.loss_type.unwrap().element.options).toEqual(lossTypes)
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

test('what losses are told without a word is what the tests of losses take for it', () => {
  const { terms: _, ...options } = plainObjective
  expect(lossOptions(trainSchema.parse({ ...model, beta: plainObjective.beta }))).toEqual(options)
})

/** A value of each setting of an option that is not its default. */
const given: { readonly [S in (typeof optionSettings)[keyof typeof optionSettings]]: unknown } = {
  label_smoothing: 0.1,
  soft_labels: true,
  f_divergence_type: 'forward_kl',
  discopop_tau: 0.1,
  simpo_gamma: 1,
  alphapo_alpha: 0.5,
  cpo_alpha: 0.5,
  rpo_alpha: 0.5,
  dpop_lambda: 5,
  odpo_alpha: 0.5,
  tdpo_alpha: 0.25,
  desirable_weight: 2,
  undesirable_weight: 2,
}

test.each(lossTypes)(
  '%s: settings are refused where the table says it does not heed them, and accepted where it does',
  (type) => {
    const base = { loss_type: [type], ...(type === 'exo_pair' && { label_smoothing: 0.2 }) }
    const refused = Object.entries(given).filter(
      ([name, value]) =>
        refusalOf({ ...base, [name]: value })?.startsWith(`${name}: is ignored by loss ${type};`) === true,
    )
    const deaf = Object.entries(optionSettings).filter(
      ([option]) => !entryOf(type).heeds.some((one: Heeded) => one === option),
    )
    expect(refused.map(([name]) => name).sort()).toEqual(deaf.map(([, name]) => name).sort())
  },
)

test('what a setting changes reaches the losses', () => {
  const settings = { ...model, loss_type: ['alphapo'], simpo_gamma: 1, alphapo_alpha: 0.5, beta: 2 }
  expect(lossOptions(trainSchema.parse(settings))).toMatchObject({ gamma: 1, alphapoAlpha: 0.5, beta: 2 })
  const divergent = { ...model, f_divergence_type: 'alpha_divergence', f_alpha_divergence_coef: 0.7 }
  expect(lossOptions(trainSchema.parse(divergent)).divergence).toEqual({ type: 'alpha_divergence', alpha: 0.7 })
})

const full = { use_lora: false }

test.each([
  [
    { loss_type: ['hinge'], label_smoothing: 0.1 },
    /^label_smoothing: is ignored by loss hinge; heeded by sigmoid, robust/,
  ],
  [{ loss_type: ['sigmoid', 'ipo'], label_smoothing: 0.1 }, /^label_smoothing: is ignored by loss ipo;/],
  [{ loss_type: ['sft'], label_smoothing: 0.1 }, /^label_smoothing: is ignored by loss sft;/],
  [{ loss_type: ['exo_pair'] }, /^label_smoothing: must be above 0 with loss exo_pair/],
  [{ loss_type: ['sigmoid', 'sft'], loss_weights: [1] }, /^loss_weights: .*\(sigmoid, sft\), 2, found 1$/],
  [{ loss_weights: [0] }, /^loss_weights/],
  [{ loss_type: [] }, /^loss_type/],
  [{ loss_type: ['hinge'], objective: 'sft' }, /^loss_type: has no meaning with objective sft/],
  [{ objective: 'sft', use_weighting: true }, /^use_weighting: has no meaning with objective sft/],
  [{ loss_type: ['sigmoid', 'kto'] }, /^loss_type: kto is computed of a member by itself: it goes with no other loss/],
  [{ loss_type: ['plackett_luce', 'sft'] }, /^loss_type: plackett_luce is computed of all members/],
  [{ loss_type: ['sigmoid', 'aot'], gradient_accumulation_steps: 2 }, /^gradient_accumulation_steps: must be 1 .*aot,/],
  [
    { loss_type: ['bco_delta'], gradient_accumulation_steps: 2 },
    /^gradient_accumulation_steps: must be 1 .*bco_delta,/,
  ],
  [{ loss_type: ['aot'], use_weighting: true }, /^use_weighting: cannot weigh the pairs of loss aot/],
  [{ loss_type: ['kto'], use_weighting: true }, /^use_weighting: weighs pairs, which loss kto has none of/],
  [{ loss_type: ['plackett_luce'], ld_alpha: 0.5 }, /^ld_alpha: .*loss plackett_luce has none of/],
  [{ loss_type: ['tdpo1'], ld_alpha: 0.5 }, /^ld_alpha: .*KLs of loss tdpo1 is not defined/],
  [{ loss_type: ['sft'], ld_alpha: 0.5 }, /^ld_alpha: .*loss sft looks at one side/],
  [{ ld_alpha: 1.5 }, /^ld_alpha/],
  [{ soft_labels: true, label_smoothing: 0.1 }, /^soft_labels: gives each pair a doubt of its own/],
  [
    { soft_labels: true, loss_type: ['robust'] },
    /^soft_labels: is ignored by loss robust; heeded by sigmoid, rpo, simpo/,
  ],
  [
    { f_divergence_type: 'js_divergence', loss_type: ['sigmoid', 'apo_zero'] },
    /^f_divergence_type: is ignored by loss apo_zero;/,
  ],
  [{ f_alpha_divergence_coef: 0.7 }, /^f_alpha_divergence_coef: is that of f_divergence_type alpha_divergence/],
  [
    { simpo_gamma: 1, loss_type: ['sigmoid', 'sft'] },
    /^simpo_gamma: is ignored by loss sigmoid, sft; heeded by simpo, alphapo/,
  ],
  [{ reference_free: true, loss_type: ['simpo'] }, /^reference_free: is so already with loss simpo/],
  [{ reference_free: true, loss_type: ['tdpo2'] }, /^reference_free: leaves loss tdpo2 without/],
  [{ reference_free: true, f_divergence_type: 'forward_kl' }, /^reference_free: has no meaning with f_divergence_type/],
  [{ reference_free: true, precompute_ref_log_probs: true }, /^precompute_ref_log_probs: .*reference_free/],
  [{ loss_type: ['orpo'], precompute_ref_log_probs: true }, /^precompute_ref_log_probs: has no meaning with loss orpo/],
  [{ loss_type: ['tdpo1'], precompute_ref_log_probs: true }, /^precompute_ref_log_probs: keeps no distributions/],
  [{ sync_ref_model: true }, /^sync_ref_model: needs use_lora false/],
  [{ ...full, sync_ref_model: true, precompute_ref_log_probs: true }, /^sync_ref_model: moves the reference/],
  [{ ...full, sync_ref_model: true, reference_free: true }, /^sync_ref_model: has no meaning with reference_free/],
  [
    { ...full, sync_ref_model: true, loss_type: ['simpo', 'sft'] },
    /^sync_ref_model: has no meaning with loss simpo, sft/,
  ],
  [{ ref_model_sync_steps: 64 }, /^ref_model_sync_steps: has no meaning without sync_ref_model/],
  [{ ref_model_mixup_alpha: 0.5 }, /^ref_model_mixup_alpha: has no meaning without sync_ref_model/],
  [{ discopop_tau: 2, loss_type: ['discopop'] }, /^discopop_tau/],
])('%j is refused with the reason', (settings, reason) => {
  expect(refusalOf(settings)).toMatch(reason)
})

test.each([
  { loss_type: ['sigmoid', 'sft'], label_smoothing: 0.1 },
  { loss_type: ['sigmoid', 'sft'], f_divergence_type: 'js_divergence' },
  { loss_type: ['sigmoid', 'sft'], reference_free: true },
  { loss_type: ['robust'], label_smoothing: 0.3 },
  { loss_type: ['exo_pair'], label_smoothing: 0.001 },
  { loss_type: ['hinge', 'ipo'], loss_weights: [1, 0.5] },
  { loss_type: ['aot'], label_smoothing: 0.1 },
  { loss_type: ['ipo'], gradient_accumulation_steps: 2 },
  { loss_type: ['kto'], gradient_accumulation_steps: 2, desirable_weight: 1.5 },
  { loss_type: ['sigmoid', 'rpo'], soft_labels: true },
  { loss_type: ['sigmoid', 'simpo'], simpo_gamma: 1 },
  { loss_type: ['ipo'], ld_alpha: 0 },
  { ld_alpha: null, use_weighting: true },
  { ...full, sync_ref_model: true, ref_model_sync_steps: 64, ref_model_mixup_alpha: 1 },
  { loss_type: ['simpo'], gradient_accumulation_steps: 4 },
  { objective: 'sft' },
])('%j is accepted', (settings) => {
  expect(refusalOf(settings)).toBeUndefined()
})

test('a run refuses the same, before it samples anything', () => {
  const run = { base_model: 'model', dataset_path: 'data.jsonl', reward_model: ['arithmetic'] }
  expect(runSchema.safeParse({ ...run, loss_type: ['sigmoid'], label_smoothing: 0.1 }).success).toBe(true)
  expect(runSchema.safeParse({ ...run, loss_type: ['hinge'], label_smoothing: 0.1 }).success).toBe(false)
  expect(runSchema.safeParse({ ...run, sync_ref_model: true }).success).toBe(false)
})
