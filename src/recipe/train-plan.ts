/** @file How a run goes: how many updates, at which rates, and what it must not differ in when it is resumed. */
import type { EncodedGroup } from '../batch/encode.ts'
import { type OrderOptions, updatesPerEpoch } from '../batch/order.ts'
import type { LoopOptions } from '../train/loop.ts'
import type { Identity } from '../train/state.ts'
import type { PackedObjective } from '../train/update.ts'
import { bestRules } from './best-settings.ts'
import type { TrainSettings } from './config.ts'
import { dataFingerprint, modelFingerprint } from './fingerprint.ts'
import { lossOptions, lossTerms } from './loss-settings.ts'
import { type Lesson, lessonOf } from './objectives.ts'
import type { Choices } from './train-parts.ts'

export interface Plan {
  /** Of preferences; supervised fine-tuning uses its packing alone. */
  readonly objective: PackedObjective
  readonly loop: LoopOptions
  readonly updatesPerEpoch: number
}

/** Of preferences (Step-DPO's README, TRL's advice for adapters), and of what is learned without a reference (TRL's SFTTrainer). */
const RATES = {
  preferences: { adapter: 1e-5, full: 5e-7 },
  demonstrations: { adapter: 2e-4, full: 2e-5 },
  verdicts: { adapter: 2e-4, full: 2e-5 },
} as const satisfies Readonly<Record<Lesson, object>>

function orderOptions(settings: TrainSettings): OrderOptions {
  return {
    batchSize: settings.per_device_train_batch_size,
    accumulation: settings.gradient_accumulation_steps,
    shuffle: settings.shuffle,
    seed: settings.seed,
  }
}

export function planRun(settings: TrainSettings, groups: readonly EncodedGroup[]): Plan {
  const order = orderOptions(settings)
  const perEpoch = updatesPerEpoch(groups.length, order)
  const updates = settings.max_steps > 0 ? settings.max_steps : Math.ceil(settings.num_train_epochs * perEpoch)
  const warmupUpdates = settings.warmup_steps > 0 ? settings.warmup_steps : Math.ceil(settings.warmup_ratio * updates)
  return {
    updatesPerEpoch: perEpoch,
    objective: {
      terms: lossTerms(settings),
      ...lossOptions(settings),
      ldAlpha: settings.ld_alpha,
      softLabels: settings.soft_labels,
      referenceFree: settings.reference_free,
      usesWeighting: settings.use_weighting,
      packing: { packing: settings.pack, maxRowTokens: settings.max_row_tokens },
    },
    loop: {
      order,
      updates,
      adam: {
        beta1: settings.adam_beta1,
        beta2: settings.adam_beta2,
        epsilon: settings.adam_epsilon,
        weightDecay: settings.weight_decay,
        maxGradNorm: settings.max_grad_norm,
      },
      schedule: {
        type: settings.lr_scheduler_type,
        rate: settings.learning_rate ?? RATES[lessonOf(settings)][settings.use_lora ? 'adapter' : 'full'],
        warmupUpdates,
      },
      evaluation: { strategy: settings.eval_strategy, steps: settings.eval_steps },
      evaluatesFirst: settings.eval_on_start && settings.eval_strategy !== 'no',
      saving: { strategy: settings.save_strategy, steps: settings.save_steps },
      best: bestRules(settings),
      savesBest: settings.load_best_model_at_end,
      loggingUpdates: settings.logging_steps,
    },
  }
}

/** Settings that say where files are and what is shown: a run is the same whatever they are. */
const FREE: readonly string[] = [
  'base_model',
  'adapter',
  'dataset_path',
  'eval_dataset_path',
  'output_dir',
  'reward_model',
  'max_cost',
  'yes',
  'strict',
  'check_leak',
  'precompute_ref_log_probs',
  'max_steps',
  'num_train_epochs',
  'learning_rate',
  'warmup_ratio',
  'warmup_steps',
  'threads',
  'device',
  'gradient_checkpointing',
  'save_strategy',
  'save_steps',
  'save_total_limit',
  'resume_from_checkpoint',
  'resume_changed',
  'overwrite_output_dir',
  'metric_for_best_model',
  'greater_is_better',
  'load_best_model_at_end',
  'early_stopping_patience',
  'early_stopping_threshold',
  'eval_generate',
  'eval_generate_path',
  'eval_max_new_tokens',
  'logging_steps',
  'report_to',
  'run_name',
  'engine',
  'torch_launcher',
  'torch_python',
  'torch_precision',
  'nproc_per_node',
  'nnodes',
  'rdzv_endpoint',
  'accelerate_config',
  'json',
]

/** Everything that the numbers of a run follow from. `model` is the fingerprint of the base model. */
export function identityOf(settings: TrainSettings, { loop }: Plan, choices: Choices, model: string): Identity {
  const kept = Object.entries(settings).filter(([name]) => !FREE.includes(name))
  const { adapter, eval_dataset_path: evaluation } = settings
  return {
    base_model: model,
    adapter: adapter === undefined ? null : modelFingerprint(adapter),
    dataset: dataFingerprint(settings.dataset_path),
    eval_dataset: evaluation === undefined ? null : dataFingerprint(evaluation),
    ...Object.fromEntries(kept),
    updates: loop.updates,
    learning_rate: loop.schedule.rate,
    warmup_updates: loop.schedule.warmupUpdates,
    ...choices,
  }
}
