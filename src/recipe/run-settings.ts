/** @file The settings of `run`: those of all its stages under the names that they have there. */
import { z } from 'zod'
import { dataFields, objectiveFields, type TrainInput, trainingFields, trainSchema } from './config.ts'
import { type EvalSettings, evalFields, evalSchema } from './eval-settings.ts'
import {
  type GenerateSettings,
  generateSchema,
  policyFields,
  promptFields,
  samplingFields,
} from './generate-settings.ts'
import { loraFields } from './lora-settings.ts'
import { refuseLosses } from './loss-refusals.ts'
import { PREFERENCE_OBJECTIVES } from './objectives.ts'
import { judgeStageFields, type PairsSettings, pairFields, pairsSchema } from './pairs-settings.ts'
import { refuseTorch, torchFields } from './torch-settings.ts'

const count = z.number().int().positive()

const { precompute_ref_log_probs: _, ...preferenceFields } = objectiveFields
const { max_length, max_row_tokens, pack } = dataFields
const { check_leak: __, ...loopPairFields } = pairFields

export const runSchema = z
  .strictObject({
    base_model: policyFields.base_model,
    dataset_path: z
      .string()
      .min(1)
      .meta({
        group: 'Loop',
        alias: ['dataset_name', 'data_path'],
        description: 'problems to learn from: GSM8K, MATH, {prompt, answer} rows',
      }),
    eval_dataset_path: z
      .string()
      .optional()
      .meta({ group: 'Loop', alias: ['eval_dataset_name'], description: 'problems to measure on, none of them above' }),
    output_dir: z.string().min(1).default('./checkpoints/stepwise_dpo').meta({
      group: 'Loop',
      description: 'folder of everything; the same command goes on with it',
    }),
    rounds: count
      .default(1)
      .meta({ group: 'Loop', description: 'times that the new policy is sampled and trained again' }),
    limit: count.optional().meta({ group: 'Loop', description: 'problems to learn from at most' }),
    eval_limit: count.optional().meta({ group: 'Loop', description: 'problems to measure on at most' }),
    eval_samples: evalFields.num_samples.meta({ ...evalFields.num_samples.meta(), group: 'Loop' }),
    allow_leak: z.boolean().default(false).meta({
      group: 'Loop',
      description: 'go on although problems to measure on are learned from too',
    }),
    yes: z.boolean().default(false).meta({ group: 'Loop', description: 'spend without asking' }),
    json: z.boolean().default(false).meta({ group: 'Loop', description: 'print events as JSON lines' }),
    batch_size: policyFields.batch_size,
    decode_dtype: policyFields.decode_dtype,
    ...samplingFields,
    num_samples: samplingFields.num_samples.default(8),
    ...promptFields,
    ...judgeStageFields,
    aggregations: evalFields.aggregations,
    ...loopPairFields,
    ...preferenceFields,
    // Pairs are what a run makes.
    objective: z
      .enum(PREFERENCE_OBJECTIVES)
      .default('step_dpo')
      .meta({ ...preferenceFields.objective.meta() }),
    ...loraFields,
    ...trainingFields,
    ...torchFields,
    max_length,
    max_row_tokens,
    pack,
  })
  .superRefine(refuseLosses)
  .superRefine(refuseTorch)

export type RunSettings = z.output<typeof runSchema>

/** The settings that a schema knows, of those that a run has. */
function pick(settings: RunSettings, shape: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(settings).filter(([name, value]) => Object.hasOwn(shape, name) && value !== undefined),
  )
}

/** Who is sampled: the base model, or what was trained last. */
export interface Trained {
  readonly base_model: string
  readonly adapter?: string
}

export function generateSettingsOf(
  settings: RunSettings,
  policy: Trained,
  folder: string,
): GenerateSettings & { dataset_path: string } {
  const { dataset_path } = settings
  const { device: _device, ...own } = pick(settings, generateSchema.shape) // sampling runs on the processor
  const parsed = generateSchema.parse({ ...own, ...policy, output_dir: folder })
  return { ...parsed, dataset_path }
}

export function pairsSettingsOf(
  settings: RunSettings,
  policy: Trained,
  folder: string,
  rollouts: string,
): PairsSettings {
  return pairsSchema.parse({ ...pick(settings, pairsSchema.shape), ...policy, rollouts, output_dir: folder })
}

/** `training` has what a run has no names for. */
export function trainSettingsOf(
  settings: RunSettings,
  policy: Trained,
  folder: string,
  { pairs, training = {} }: { readonly pairs: string; readonly training?: Partial<TrainInput> },
): TrainInput {
  const { reward_model: _judge, eval_dataset_path: _eval, json: _json, ...own } = pick(settings, trainSchema.shape)
  const others = Object.entries(training).filter(([name]) => !Object.hasOwn(runSchema.shape, name))
  const input = { ...Object.fromEntries(others), ...own, ...policy, dataset_path: pairs, output_dir: folder }
  return trainSchema.parse(input)
}

export function evalSettingsOf(settings: RunSettings, policy: Trained, folder: string, dataset: string): EvalSettings {
  return evalSchema.parse({
    ...pick(settings, evalSchema.shape),
    ...policy,
    ...(policy.base_model === settings.base_model ? {} : { baseline: settings.base_model }),
    dataset_path: dataset,
    limit: settings.eval_limit,
    num_samples: settings.eval_samples,
    output_dir: folder,
  })
}
