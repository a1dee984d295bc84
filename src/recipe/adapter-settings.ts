/** @file The settings of merge, check-adapter and modelfile. */
import { z } from 'zod'
import { parseSize } from '../interop/shards.ts'

const model = z
  .string()
  .min(1)
  .meta({
    description: 'model folder (safetensors or GGUF), or a .gguf file',
    alias: ['model_name_or_path', 'model'],
  })
const adapter = z.string().min(1).meta({ description: 'PEFT folder' })
const json = z.boolean().default(false).meta({ description: 'what was found as one JSON object' })

export const mergeDtypes = ['float32', 'bfloat16', 'float16'] as const
export type MergeDtype = (typeof mergeDtypes)[number]

export const mergeSchema = z.strictObject({
  base_model: model,
  adapter,
  output_dir: z.string().min(1).meta({ description: 'folder of the merged model' }),
  dtype: z
    .enum(['auto', ...mergeDtypes])
    .default('auto')
    .meta({ description: 'of the weights; auto: that of the base model, float32 for GGUF' }),
  max_shard_size: z
    .string()
    .default('5GB')
    .refine((text) => parseSize(text) !== undefined, 'expected a size such as 5GB or 500MB')
    .meta({ description: 'a file of weights is at most so large' }),
  modelfile: z.boolean().default(false).meta({ description: 'a Modelfile for Ollama beside the weights' }),
  overwrite_output_dir: z.boolean().default(false).meta({ description: 'replace a merged model that is there' }),
  json,
})

export type MergeSettings = z.output<typeof mergeSchema>

export const checkAdapterSchema = z.strictObject({
  base_model: model,
  adapter,
  prompt: z.string().min(1).optional().meta({ description: 'what to ask; default a small problem' }),
  dataset_path: z
    .string()
    .min(1)
    .optional()
    .meta({ description: 'a file of questions instead', alias: ['dataset_name', 'data_path'] }),
  limit: z.number().int().positive().default(4).meta({ description: 'questions of the file that are asked' }),
  max_new_tokens: z.number().int().min(1).max(512).default(48).meta({ description: 'of each answer' }),
  threads: z.number().int().positive().optional().meta({ description: 'of the processor; default all' }),
  json,
})

export type CheckAdapterSettings = z.output<typeof checkAdapterSchema>

export const modelfileSchema = z.strictObject({
  base_model: model,
  adapter: adapter.optional().meta({ description: 'PEFT folder, which Ollama applies by itself' }),
  from: z.string().min(1).optional().meta({ description: "what FROM names; default the base model's path" }),
  output_path: z.string().min(1).optional().meta({ description: 'file to write; default standard output' }),
})

export type ModelfileSettings = z.output<typeof modelfileSchema>
