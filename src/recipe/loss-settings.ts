/** @file The settings of preference losses, one for each thing that a loss can be told. */
import { z } from 'zod'
import type { DivergenceType } from '../train/divergence.ts'
import type { LossOptions } from '../train/loss.ts'
import { type Heeded, lossesHeeding, lossTypes } from '../train/loss-table.ts'
import type { LossTerm } from '../train/objective.ts'

/** In the order of help. */
const divergences = [
  'reverse_kl',
  'forward_kl',
  'js_divergence',
  'alpha_divergence',
] as const satisfies readonly DivergenceType[]

/** `for sigmoid, robust`: the losses that heed something. */
function forLosses(option: Heeded): string {
  return `for ${lossesHeeding(option).join(', ')}`
}

function setting(description: string) {
  return { group: 'Objective', description }
}

const weight = z.number().min(0)

/** Those of settings that one option of losses follows from, by that option. */
export const optionSettings = {
  labelSmoothing: 'label_smoothing',
  doubt: 'soft_labels',
  divergence: 'f_divergence_type',
  discopopTau: 'discopop_tau',
  gamma: 'simpo_gamma',
  alphapoAlpha: 'alphapo_alpha',
  cpoAlpha: 'cpo_alpha',
  rpoAlpha: 'rpo_alpha',
  dpopLambda: 'dpop_lambda',
  odpoAlpha: 'odpo_alpha',
  tdpoAlpha: 'tdpo_alpha',
  desirableWeight: 'desirable_weight',
  undesirableWeight: 'undesirable_weight',
} as const satisfies Partial<Record<Heeded, string>>

export const lossFields = {
  loss_type: z
    .array(z.enum(lossTypes))
    .min(1)
    .default(['sigmoid'])
    .meta(setting('preference loss, or several that are added up')),
  loss_weights: z.array(z.number().positive()).optional().meta(setting('of each of loss_type; default 1')),
  label_smoothing: z
    .number()
    .min(0)
    .lt(0.5)
    .default(0)
    .meta(setting(`doubt in labels; ${forLosses('labelSmoothing')}`)),
  soft_labels: z
    .boolean()
    .default(false)
    .meta(setting(`doubt in labels that follows from the judge's scores; ${forLosses('doubt')}`)),
  f_divergence_type: z
    .enum(divergences)
    .default('reverse_kl')
    .meta(setting(`from the reference; ${forLosses('divergence')}`)),
  f_alpha_divergence_coef: z.number().default(0.5).meta(setting('α of alpha_divergence')),
  discopop_tau: z
    .number()
    .gt(0)
    .max(1)
    .default(0.05)
    .meta(setting(`τ ${forLosses('discopopTau')}`)),
  simpo_gamma: weight.default(0.5).meta(setting(`margin γ ${forLosses('gamma')}`)),
  alphapo_alpha: z
    .number()
    .default(0.25)
    .meta(setting(`shape α of the reward ${forLosses('alphapoAlpha')}; 0: that of simpo`)),
  cpo_alpha: weight.default(1).meta(setting(`weight of -log p of chosen sides ${forLosses('cpoAlpha')}`)),
  rpo_alpha: weight.default(1).meta(setting(`weight of -log p of chosen sides by token ${forLosses('rpoAlpha')}`)),
  dpop_lambda: weight.default(50).meta(setting(`weight λ of what chosen sides have lost ${forLosses('dpopLambda')}`)),
  odpo_alpha: weight.default(1).meta(setting(`margin for a gap of 1 between scores ${forLosses('odpoAlpha')}`)),
  tdpo_alpha: weight.default(0.5).meta(setting(`weight of the difference of KLs ${forLosses('tdpoAlpha')}`)),
  desirable_weight: weight.default(1).meta(setting(`weight of good members ${forLosses('desirableWeight')}`)),
  undesirable_weight: weight.default(1).meta(setting(`weight of bad members ${forLosses('undesirableWeight')}`)),
  ld_alpha: z
    .number()
    .min(0)
    .max(1)
    .nullable()
    .default(null)
    .meta(setting('LD-DPO: how much tokens behind the length of the shorter side count; none: all')),
  use_weighting: z.boolean().default(false).meta(setting('WPO: pairs that the policy would write count more')),
  reference_free: z.boolean().default(false).meta(setting('take the reference to find all sides equally likely')),
  sync_ref_model: z.boolean().default(false).meta(setting('TR-DPO: the reference follows the policy')),
  ref_model_mixup_alpha: z
    .number()
    .gt(0)
    .max(1)
    .default(0.6)
    .meta(setting('part of the policy in a new reference, with sync_ref_model')),
  ref_model_sync_steps: z
    .number()
    .int()
    .positive()
    .default(512)
    .meta(setting('updates from one reference to the next, with sync_ref_model')),
}

export type LossSettings = z.output<z.ZodObject<typeof lossFields>>

/** The losses of a run with their weights. */
export function lossTerms({ loss_type: types, loss_weights: weights }: LossSettings): LossTerm[] {
  return types.map((type, at) => ({ type, weight: weights?.[at] ?? 1 }))
}

/** What the losses of a run are told. */
export function lossOptions(settings: LossSettings & { readonly beta: number }): LossOptions {
  return {
    beta: settings.beta,
    labelSmoothing: settings.label_smoothing,
    divergence: { type: settings.f_divergence_type, alpha: settings.f_alpha_divergence_coef },
    discopopTau: settings.discopop_tau,
    gamma: settings.simpo_gamma,
    alphapoAlpha: settings.alphapo_alpha,
    cpoAlpha: settings.cpo_alpha,
    rpoAlpha: settings.rpo_alpha,
    dpopLambda: settings.dpop_lambda,
    odpoAlpha: settings.odpo_alpha,
    tdpoAlpha: settings.tdpo_alpha,
    rewardShift: 0,
    desirableWeight: settings.desirable_weight,
    undesirableWeight: settings.undesirable_weight,
  }
}
