/**
 * @file The settings of `train`: one schema for flags, YAML, JSON schema and API. Names are those of transformers and
 * TRL; the words of the original README are aliases.
 */
import { z } from 'zod'
import type { Packing } from '../batch/pack.ts'
import type { NeutralPolicy } from '../data/labelled.ts'
import type { GroupPairs } from '../pair/pairs.ts'
import type { ScheduleType } from '../train/schedule.ts'
import { bestFields, refuseBest } from './best-settings.ts'
import { deviceField } from './device-settings.ts'
import { loraFields } from './lora-settings.ts'
import { refuseLosses } from './loss-refusals.ts'
import { lossFields } from './loss-settings.ts'
import { lessonOf, OBJECTIVES } from './objectives.ts'
import { refuseTorch, torchFields } from './torch-settings.ts'

/** Choices in the order of help, checked against the types of the rooms that know what they mean. */
const pairPolicies = ['all', 'best_worst', 'first'] as const satisfies readonly GroupPairs[]
const neutralPolicies = ['drop', 'negative', 'positive'] as const satisfies readonly NeutralPolicy[]
const packings = ['tree', 'none'] as const satisfies readonly Packing[]
const schedules = [
  'cosine',
  'linear',
  'constant',
  'constant_with_warmup',
  'cosine_with_restarts',
  'polynomial',
  'inverse_sqrt',
] as const satisfies readonly ScheduleType[]
const moments = ['no', 'steps', 'epoch'] as const
const trackers = ['tensorboard', 'none'] as const

const count = z.number().int().positive()
const part = z.number().min(0).max(1)

const modelFields = {
  base_model: z
    .string()
    .min(1)
    .meta({
      group: 'Model and data',
      alias: ['model_name_or_path', 'model'],
      description: 'model folder (safetensors or GGUF), or a .gguf file',
    }),
  from_scratch: z.boolean().default(false).meta({
    group: 'Model and data',
    description: 'random weights for the config.json of base_model; with use_lora false',
  }),
  adapter: z.string().optional().meta({
    group: 'Model and data',
    description: 'PEFT folder to go on training from; the reference is still the base model',
  }),
  dataset_path: z
    .string()
    .min(1)
    .meta({
      group: 'Model and data',
      alias: ['dataset_name', 'data_path'],
      description: 'PRM800K, Math-Step-DPO or TRL rows: .jsonl, .json, .gz, parquet',
    }),
  output_dir: z.string().min(1).default('./checkpoints/stepwise_dpo').meta({
    group: 'Model and data',
    description: 'folder of the run',
  }),
  reward_model: z
    .string()
    .optional()
    .meta({
      group: 'Model and data',
      alias: ['judge'],
      description: 'judge of unlabelled data; not used where the data are labelled',
    }),
  max_cost: z.number().min(0).optional().meta({
    group: 'Model and data',
    description: 'US dollars that the judge may cost at most',
  }),
  yes: z.boolean().default(false).meta({
    group: 'Model and data',
    description: 'spend on the judge without asking',
  }),
}

export const dataFields = {
  group_pairs: z
    .enum(pairPolicies)
    .default('all')
    .meta({ group: 'Pairs', description: 'which pairs of siblings count' }),
  neutral: z.enum(neutralPolicies).default('drop').meta({ group: 'Pairs', description: "PRM800K's rating 0" }),
  step_separator: z
    .string()
    .overwrite((text) => text.replaceAll('\\n', '\n'))
    .default('\n')
    .meta({ group: 'Pairs', description: 'follows each step; \\n is a line end' }),
  max_length: count.default(1024).meta({ group: 'Pairs', description: 'tokens of prompt, prefix and step' }),
  max_prompt_length: count.optional().meta({ group: 'Pairs', description: 'tokens of prompt and prefix' }),
  pack: z
    .enum(packings)
    .default('tree')
    .meta({ group: 'Pairs', description: 'token trees, or plain pairs as TRL has' }),
  max_row_tokens: count.default(2048).meta({ group: 'Pairs', description: 'tokens computed at once' }),
  shuffle: z.boolean().default(true).meta({ group: 'Pairs', description: 'problems in random order' }),
  strict: z.boolean().default(false).meta({ group: 'Pairs', description: 'the first bad row is an error' }),
  check_leak: z
    .string()
    .optional()
    .meta({ group: 'Pairs', description: 'refuse problems that stand in this file too' }),
}

export const objectiveFields = {
  beta: z.number().positive().default(0.4).meta({ group: 'Objective', description: 'strength of the reference' }),
  objective: z.enum(OBJECTIVES).default('step_dpo').meta({
    group: 'Objective',
    description:
      'which steps of two solutions are compared; sft: demonstrations are learned; prm: a process reward model',
  }),
  step_temperature: z.number().min(0).default(0.5).meta({
    group: 'Objective',
    description: 'full_step_dpo: how much scores tell steps apart; 0: not at all',
  }),
  ...lossFields,
  precompute_ref_log_probs: z.boolean().default(false).meta({
    group: 'Objective',
    description: 'compute the reference before the first update, not batch by batch',
  }),
}

export const trainingFields = {
  max_steps: z
    .number()
    .int()
    .min(-1)
    .default(-1)
    .meta({ group: 'Training', description: 'updates; -1: num_train_epochs' }),
  num_train_epochs: z.number().positive().default(1).meta({ group: 'Training', description: 'passes over the data' }),
  per_device_train_batch_size: count.default(4).meta({ group: 'Training', description: 'groups of a microbatch' }),
  gradient_accumulation_steps: count.default(1).meta({ group: 'Training', description: 'microbatches of an update' }),
  learning_rate: z.number().positive().optional().meta({
    group: 'Training',
    description: 'peak; default 1e-5 with LoRA, 5e-7 without',
  }),
  lr_scheduler_type: z.enum(schedules).default('cosine').meta({ group: 'Training', description: 'after warm-up' }),
  warmup_ratio: part.default(0.1).meta({ group: 'Training', description: 'part of the updates to warm up in' }),
  warmup_steps: z.number().int().min(0).default(0).meta({ group: 'Training', description: 'instead of warmup_ratio' }),
  weight_decay: z.number().min(0).default(0).meta({ group: 'Training', description: 'of AdamW' }),
  adam_beta1: part.default(0.9).meta({ group: 'Training', description: 'of AdamW' }),
  adam_beta2: part.default(0.999).meta({ group: 'Training', description: 'of AdamW' }),
  adam_epsilon: z.number().positive().default(1e-8).meta({ group: 'Training', description: 'of AdamW' }),
  max_grad_norm: z.number().min(0).default(1).meta({ group: 'Training', description: 'clips the gradient; 0: never' }),
  seed: z.number().int().default(42).meta({ group: 'Training', description: 'of order, dropout, adapter, split' }),
  gradient_checkpointing: z.boolean().optional().meta({
    group: 'Training',
    description: 'compute activations twice to save memory; default by the memory there is, and on a device',
  }),
  threads: count.optional().meta({ group: 'Training', description: 'of the processor; default all' }),
  device: deviceField.meta({ ...deviceField.meta(), group: 'Training' }),
}

const evaluationFields = {
  eval_strategy: z
    .enum(moments)
    .default('no')
    .meta({
      group: 'Evaluation',
      alias: ['evaluation_strategy'],
      description: 'when to evaluate on held-out problems',
    }),
  eval_steps: count.default(50).meta({ group: 'Evaluation', description: 'updates from one to the next' }),
  eval_on_start: z.boolean().default(false).meta({ group: 'Evaluation', description: 'evaluate before training too' }),
  eval_dataset_path: z
    .string()
    .optional()
    .meta({
      group: 'Evaluation',
      alias: ['eval_dataset_name'],
      description: 'held-out rows; default a part of the problems of dataset_path',
    }),
  eval_split: z
    .number()
    .gt(0)
    .lt(1)
    .default(0.05)
    .meta({ group: 'Evaluation', description: 'the part of problems held out' }),
  eval_generate: z.number().int().min(0).default(0).meta({
    group: 'Evaluation',
    description: 'problems of eval_generate_path solved at each evaluation; 0: none',
  }),
  eval_generate_path: z.string().optional().meta({
    group: 'Evaluation',
    description: 'problems with answers: GSM8K, MATH-500, {prompt, answer} rows',
  }),
  eval_max_new_tokens: count.default(256).meta({ group: 'Evaluation', description: 'tokens of a solution at most' }),
  max_eval_groups: z.number().int().min(0).default(64).meta({
    group: 'Evaluation',
    description: 'groups used of what is held out, whole problems; 0: all',
  }),
  ...bestFields,
}

const savingFields = {
  save_strategy: z.enum(moments).default('steps').meta({ group: 'Saving and logging', description: 'when to save' }),
  save_steps: count.default(100).meta({ group: 'Saving and logging', description: 'updates from one to the next' }),
  save_total_limit: count.default(2).meta({ group: 'Saving and logging', description: 'checkpoints kept' }),
  resume_from_checkpoint: z.union([z.boolean(), z.string()]).default(false).meta({
    group: 'Saving and logging',
    description: 'go on from the newest whole checkpoint, or from this one',
  }),
  resume_changed: z.boolean().default(false).meta({
    group: 'Saving and logging',
    description: 'resume although settings or data have changed',
  }),
  overwrite_output_dir: z.boolean().default(false).meta({
    group: 'Saving and logging',
    description: 'begin anew where output_dir holds a run',
  }),
  logging_steps: count
    .default(1)
    .meta({ group: 'Saving and logging', description: 'updates from one line to the next' }),
  report_to: z
    .array(z.enum(trackers))
    .default(['tensorboard'])
    .meta({ group: 'Saving and logging', description: 'trackers' }),
  run_name: z.string().optional().meta({ group: 'Saving and logging', description: 'shown, and named in files' }),
  json: z.boolean().default(false).meta({ group: 'Saving and logging', description: 'print events as JSON lines' }),
}

export const trainSchema = z
  .strictObject({
    ...modelFields,
    ...dataFields,
    ...objectiveFields,
    ...loraFields,
    ...trainingFields,
    ...evaluationFields,
    ...savingFields,
    ...torchFields,
  })
  .refine((settings) => settings.adapter === undefined || settings.use_lora, {
    path: ['adapter'],
    message: 'starts LoRA training, which use_lora false switches off',
  })
  .refine((settings) => settings.eval_generate === 0 || settings.eval_generate_path !== undefined, {
    path: ['eval_generate'],
    message: 'needs problems with answers: say --eval_generate_path FILE',
  })
  .refine((settings) => settings.use_lora || !(settings.load_in_4bit || settings.load_in_8bit), {
    path: ['use_lora'],
    message: 'false trains all weights, which need float32: leave load_in_4bit and load_in_8bit out',
  })
  .refine((settings) => !(settings.load_in_4bit && settings.load_in_8bit), {
    path: ['load_in_4bit'],
    message: 'and load_in_8bit exclude each other',
  })
  .refine((settings) => !settings.from_scratch || !settings.use_lora, {
    path: ['from_scratch'],
    message: 'trains all weights: say use_lora false too',
  })
  .refine((settings) => !settings.precompute_ref_log_probs || lessonOf(settings) === 'preferences', {
    path: ['precompute_ref_log_probs'],
    message: 'is for preferences: other objectives ask no reference',
  })
  .refine((settings) => settings.use_lora || (settings.device ?? 'cpu') === 'cpu', {
    path: ['device'],
    message: 'must be cpu where all weights learn (use_lora false): others keep the weights where they are',
  })
  .superRefine(refuseLosses)
  .superRefine(refuseBest)
  .superRefine(refuseTorch)

export type TrainSettings = z.output<typeof trainSchema>
export type TrainInput = z.input<typeof trainSchema>
