/** @file The settings of the best model and of early stopping: Trainer's names, defaults and demands. */
import { z } from 'zod'
import type { BestRules } from '../train/best.ts'

const group = 'Evaluation'

export const bestFields = {
  metric_for_best_model: z
    .string()
    .min(1)
    .optional()
    .meta({ group, description: 'tells the best evaluation, with or without eval_; default loss' }),
  greater_is_better: z
    .boolean()
    .optional()
    .meta({ group, description: 'of that metric; default false where its name ends with loss, else true' }),
  load_best_model_at_end: z
    .boolean()
    .default(false)
    .meta({ group, description: 'save each best evaluation, and leave the weights of the best one' }),
  early_stopping_patience: z
    .number()
    .int()
    .positive()
    .optional()
    .meta({ group, description: 'stop after so many evaluations without an improvement' }),
  early_stopping_threshold: z
    .number()
    .min(0)
    .default(0)
    .meta({ group, description: 'what an improvement must be larger than' }),
}

const schema = z.object(bestFields)
type BestSettings = z.output<typeof schema>

export function bestRules(settings: BestSettings): BestRules {
  const { metric_for_best_model: named = 'loss', early_stopping_patience: patience } = settings
  return {
    metric: named.startsWith('eval_') ? named : `eval_${named}`,
    isGreaterBetter: settings.greater_is_better ?? !named.endsWith('loss'),
    ...(patience !== undefined && { patience }),
    threshold: settings.early_stopping_threshold,
    isNeeded: settings.metric_for_best_model !== undefined || settings.load_best_model_at_end || patience !== undefined,
  }
}

interface Moments {
  readonly eval_strategy: 'no' | 'steps' | 'epoch'
  readonly eval_steps: number
  readonly save_strategy: 'no' | 'steps' | 'epoch'
  readonly save_steps: number
}

/** Says where the best cannot be told or kept, as TrainingArguments does. */
export function refuseBest(settings: BestSettings & Moments, context: z.RefinementCtx): void {
  const refuse = (name: string, message: string): void => context.addIssue({ code: 'custom', path: [name], message })
  const { eval_strategy, eval_steps, save_strategy, save_steps } = settings
  if (eval_strategy === 'no') {
    for (const name of ['metric_for_best_model', 'early_stopping_patience', 'load_best_model_at_end'] as const) {
      const value = settings[name]
      if (value !== undefined && value !== false) refuse(name, 'needs evaluations: say --eval_strategy steps or epoch')
    }
    return
  }
  if (!settings.load_best_model_at_end) return
  if (save_strategy !== eval_strategy) {
    refuse('load_best_model_at_end', `needs --save_strategy ${eval_strategy}, as --eval_strategy is`)
  } else if (eval_strategy === 'steps' && save_steps % eval_steps !== 0) {
    refuse('load_best_model_at_end', `needs a --save_steps that is a multiple of --eval_steps ${eval_steps}`)
  }
}
