/** @file The settings of preference losses: which, with what weights, and which do not go together. */
import { z } from 'zod'
import { comparesPairs, type LossTerm, type LossType } from '../train/objective.ts'

/** In the order of help. */
const lossTypes = [
  'sigmoid',
  'hinge',
  'ipo',
  'ipo_sum',
  'robust',
  'exo_pair',
  'nca_pair',
  'bco_pair',
  'sppo_hard',
  'apo_zero',
  'apo_down',
  'discopop',
  'sigmoid_norm',
  'aot',
  'aot_unpaired',
  'sft',
] as const satisfies readonly LossType[]

/** Losses that heed label_smoothing. */
const smoothed: readonly LossType[] = ['sigmoid', 'robust', 'exo_pair', 'aot', 'aot_unpaired']

export const lossFields = {
  loss_type: z
    .array(z.enum(lossTypes))
    .min(1)
    .default(['sigmoid'])
    .meta({ group: 'Objective', description: 'preference loss, or several that are added up' }),
  loss_weights: z
    .array(z.number().positive())
    .optional()
    .meta({ group: 'Objective', description: 'of each of loss_type; default 1' }),
  label_smoothing: z
    .number()
    .min(0)
    .lt(0.5)
    .default(0)
    .meta({ group: 'Objective', description: `doubt in labels; for ${smoothed.join(', ')}` }),
}

type LossSettings = z.output<z.ZodObject<typeof lossFields>>

/** The losses of a run with their weights. */
export function lossTerms({ loss_type: types, loss_weights: weights }: LossSettings): LossTerm[] {
  return types.map((type, at) => ({ type, weight: weights?.[at] ?? 1 }))
}

/** Those of settings that say which losses go together. */
interface Combination extends LossSettings {
  readonly objective?: string
  readonly gradient_accumulation_steps: number
}

/** Refuses losses that do not go together or with other settings, for `superRefine`. */
export function refuseLosses(settings: Combination, context: z.RefinementCtx): void {
  for (const [name, message] of flawsOf(settings)) context.addIssue({ code: 'custom', path: [name], message })
}

/** What does not go together: a setting, and why. */
function* flawsOf(settings: Combination): Generator<readonly [keyof Combination, string]> {
  const { objective, loss_type: types, loss_weights: weights, label_smoothing: smoothing } = settings
  if (objective === 'sft' && types.join() !== 'sigmoid') {
    yield ['loss_type', 'has no meaning with objective sft, which has no pairs']
  }
  if (weights !== undefined && weights.length !== types.length) {
    yield [
      'loss_weights',
      `expected one weight for each of loss_type (${types.join(', ')}), ${types.length}, found ${weights.length}`,
    ]
  }
  // Next to others `sft` is no reason to refuse: it looks at no label of a pair, so that there is none to doubt.
  const preferences = types.filter((type) => type !== 'sft')
  const deaf = preferences.length === 0 ? types : preferences.filter((type) => !smoothed.includes(type))
  if (smoothing > 0 && deaf.length > 0) {
    yield ['label_smoothing', `is ignored by loss ${deaf.join(', ')}; ${smoothed.join(', ')} heed it`]
  }
  if (smoothing === 0 && types.includes('exo_pair')) {
    yield ['label_smoothing', 'must be above 0 with loss exo_pair, which is infinite there: 0.001, for instance']
  }
  if (settings.gradient_accumulation_steps > 1 && comparesPairs(types)) {
    yield [
      'gradient_accumulation_steps',
      'must be 1 with losses aot and aot_unpaired, which compare all pairs of a batch: raise per_device_train_batch_size instead',
    ]
  }
}
