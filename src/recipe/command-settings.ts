/** @file The settings of the small commands: score, generate, data inspect, data convert. */
import { z } from 'zod'
import { unfinishedPolicies } from '../interop/export-pairs.ts'
import { exportNames } from '../interop/export-rows.ts'
import { dataFields } from './config.ts'
import { deviceField } from './device-settings.ts'
import { splitterField } from './splitter-field.ts'

const count = z.number().int().positive()

const modelFields = {
  base_model: z
    .string()
    .min(1)
    .meta({
      description: 'model folder (safetensors or GGUF), or a .gguf file',
      alias: ['model_name_or_path', 'model'],
    }),
  adapter: z.string().optional().meta({ description: 'PEFT folder' }),
  threads: count.optional().meta({ description: 'of the processor; default all' }),
}

export const scoreSchema = z.strictObject({
  ...modelFields,
  device: deviceField,
  dataset_path: z
    .string()
    .min(1)
    .meta({
      description: 'rows {ids}, {prompt, completion} or {prompt, chosen, rejected}',
      alias: ['dataset_name', 'data_path'],
    }),
  output_path: z.string().optional().meta({ description: 'file to write; default standard output' }),
  max_row_tokens: count.default(2048).meta({ description: 'tokens computed at once' }),
  implicit: z.boolean().default(false).meta({
    description:
      'rewards of steps instead: a trained policy against its reference, rows with steps or {prompt, completion}',
  }),
  reference_model: z.string().optional().meta({
    description: 'with --implicit: what the policy was trained from; default the base model without its adapter',
  }),
  beta: z.number().positive().optional().meta({
    description: 'with --implicit: strength of the reference; default that of the run (training_args.json), else 0.4',
  }),
  step_separator: dataFields.step_separator.optional().meta({
    description:
      'with --implicit: follows each step of rows that keep their steps apart; default that of the run, else \\n',
  }),
  splitter: splitterField.meta({ description: 'with --implicit: how completions are cut into steps' }),
  strict: z.boolean().default(false).meta({ description: 'the first bad row is an error' }),
  json: z.boolean().default(true).meta({ description: 'JSON lines: there is no other form' }),
})

export type ScoreSettings = z.output<typeof scoreSchema>

const { group_pairs, neutral, step_separator, max_length, max_prompt_length, strict, check_leak } = dataFields

export const inspectSchema = z.strictObject({
  dataset_path: z
    .string()
    .min(1)
    .meta({ description: 'the data, also as first argument', alias: ['dataset_name', 'data_path'] }),
  base_model: z
    .string()
    .optional()
    .meta({
      description: 'a model whose tokenizer shows lengths and examples in tokens',
      alias: ['model_name_or_path', 'model'],
    }),
  n: z.number().int().min(0).default(3).meta({ description: 'examples shown' }),
  group_pairs,
  neutral,
  step_separator,
  max_length,
  max_prompt_length,
  strict,
  check_leak: check_leak.meta({ description: 'report problems that stand in this file too' }),
  json: z.boolean().default(false).meta({ description: 'the report as one JSON object' }),
})

export type InspectSettings = z.output<typeof inspectSchema>

export const convertSchema = z.strictObject({
  dataset_path: inspectSchema.shape.dataset_path,
  to: z.enum(exportNames).meta({ description: 'the trainer that reads the rows' }),
  output_path: z.string().min(1).meta({ description: 'file to write, JSON lines' }),
  unfinished: z.enum(unfinishedPolicies).default('drop').meta({
    description: 'pairs that the trainer would end too early: left out, or written with columns that say so',
  }),
  base_model: z
    .string()
    .optional()
    .meta({
      description: 'for trl-tokens: the model whose tokenizer makes the tokens',
      alias: ['model_name_or_path', 'model'],
    }),
  group_pairs,
  neutral,
  step_separator,
  strict,
  json: z.boolean().default(false).meta({ description: 'the report as one JSON object' }),
})

export type ConvertSettings = z.output<typeof convertSchema>
