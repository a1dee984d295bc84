/** @file The settings of sampling: those of a policy and its sampling, for every command that samples, and `generate`'s. */
import { z } from 'zod'
import type { Storage } from '../model/decode.ts'
import { deviceField } from './device-settings.ts'
import { serverFields } from './server-settings.ts'
import { splitterField } from './splitter-field.ts'

const ENDPOINTS = ['chat', 'completions'] as const
export type Endpoint = (typeof ENDPOINTS)[number]

/** Checked against the room that knows what they mean. */
const dtypes = ['float32', 'int8', 'int4'] as const satisfies readonly Storage[]

const count = z.number().int().positive()
const text = z.string().overwrite((value) => value.replaceAll('\\n', '\n'))

export const policyFields = {
  base_model: z
    .string()
    .min(1)
    .meta({
      group: 'Model',
      alias: ['model_name_or_path', 'model'],
      description:
        'model folder (safetensors or GGUF), .gguf file, or a served one: gpt-4o-mini, claude-…, provider:model[@baseURL]',
    }),
  adapter: z.string().optional().meta({ group: 'Model', description: 'PEFT folder' }),
  threads: count.optional().meta({ group: 'Model', description: 'of the processor; default all' }),
  decode_dtype: z.enum(dtypes).default('float32').meta({
    group: 'Model',
    description: 'weights while decoding: int8 and int4 are faster for one sample and differ in some tokens',
  }),
  batch_size: count.optional().meta({
    group: 'Model',
    description: 'completions that are decoded here at once; what they are does not depend on it',
  }),
  endpoint: z.enum(ENDPOINTS).default('chat').meta({
    group: 'Model',
    description: 'of a served model; completions: it goes on from the plain text of the prompt, as base models do',
  }),
  ...serverFields,
}

export const samplingFields = {
  num_samples: count.default(1).meta({ group: 'Sampling', description: 'completions of each prompt' }),
  temperature: z.number().min(0).max(5).optional().meta({
    group: 'Sampling',
    description: '0 is greedy; default 0 for one sample, 0.8 for more',
  }),
  top_p: z.number().gt(0).max(1).default(1).meta({ group: 'Sampling', description: 'nucleus' }),
  top_k: z.number().int().min(0).default(0).meta({ group: 'Sampling', description: 'most likely tokens; 0: all' }),
  min_p: z
    .number()
    .min(0)
    .max(1)
    .default(0)
    .meta({ group: 'Sampling', description: 'part of the largest probability' }),
  repetition_penalty: z.number().positive().default(1).meta({ group: 'Sampling', description: '1: none' }),
  stop: z.array(text).default([]).meta({ group: 'Sampling', description: 'texts at which a completion ends' }),
  max_new_tokens: count.default(256).meta({ group: 'Sampling', description: 'tokens of a completion at most' }),
  seed: z.number().int().default(42).meta({ group: 'Sampling', description: 'of the random numbers' }),
}

export const promptFields = {
  system_prompt: text.optional().meta({ group: 'Prompts', description: 'message of the system before each prompt' }),
  answer_start: text.default('').meta({
    group: 'Prompts',
    description: 'how each answer begins, e.g. "Let\'s think step by step.\\nStep 1:"',
  }),
  last_number: z.boolean().default(false).meta({
    group: 'Prompts',
    description: 'where an answer is not marked as one, the last number is it, as GSM8K is often counted',
  }),
  splitter: splitterField,
}

const fileFields = {
  dataset_path: z
    .string()
    .min(1)
    .optional()
    .meta({
      group: 'Prompts',
      alias: ['dataset_name', 'data_path'],
      description: 'prompts: GSM8K, MATH, {prompt, answer} rows',
    }),
  limit: count.optional().meta({ group: 'Prompts', description: 'prompts at most' }),
  prompt: z.string().min(1).optional().meta({ group: 'Prompts', description: 'one prompt, answered on the screen' }),
  raw: z.boolean().default(false).meta({
    group: 'Prompts',
    description: 'with --prompt: continue it as it is, without the chat template',
  }),
  output_dir: z.string().min(1).default('./rollouts').meta({
    group: 'Output',
    description: 'folder of rollouts.jsonl; what is in it is not sampled again',
  }),
  logprobs: z.boolean().default(false).meta({ group: 'Output', description: 'log-probability of each token' }),
  strict: z.boolean().default(false).meta({ group: 'Output', description: 'the first bad row is an error' }),
  json: z.boolean().default(false).meta({ group: 'Output', description: 'print JSON' }),
}

export const generateSchema = z
  .strictObject({
    ...policyFields,
    ...samplingFields,
    ...promptFields,
    ...fileFields,
    device: deviceField.meta({ group: 'Model', description: 'cpu only: sampling runs on the processor' }),
  })
  .refine(({ device = 'cpu' }) => device === 'cpu', {
    path: ['device'],
    message: 'must be cpu: sampling runs on the processor; webgpu and cuda are for train, score and local judges',
  })

export type GenerateSettings = z.output<typeof generateSchema>

export const policySchema = z.strictObject(policyFields)
export type PolicySettings = z.output<typeof policySchema>
export const samplingSchema = z.strictObject(samplingFields)
export type SamplingSettings = z.output<typeof samplingSchema>
