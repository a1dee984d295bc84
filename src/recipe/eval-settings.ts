/** @file The settings of `eval`. */
import { z } from 'zod'
import { policyFields, promptFields, samplingFields } from './generate-settings.ts'
import { judgeStageFields } from './pairs-settings.ts'

const count = z.number().int().positive()

/** What every stage that evaluates needs. */
export const evalFields = {
  num_samples: samplingFields.num_samples.meta({
    ...samplingFields.num_samples.meta(),
    description: 'samples of each problem, for pass@k, majority and best of n; 1: greedy answers only',
  }),
  aggregations: z
    .array(z.enum(['product', 'min', 'mean', 'last', 'geometric']))
    .default(['mean', 'min', 'product'])
    .meta({
      group: 'Judge',
      description: 'how scores of steps become the score of a solution; each gives figures of its own',
    }),
  reward_model: judgeStageFields.reward_model.optional().meta({
    ...judgeStageFields.reward_model.meta(),
    description: 'a judge scores the solutions too; see `judge`',
  }),
}

export const evalSchema = z.strictObject({
  ...policyFields,
  baseline: z.string().min(1).optional().meta({
    group: 'Model',
    description: 'model to compare with; default base_model where there is an adapter; none: no comparison',
  }),
  dataset_path: z
    .string()
    .min(1)
    .meta({
      group: 'Prompts',
      alias: ['dataset_name', 'data_path'],
      description: 'problems: GSM8K, MATH-500, {prompt, answer} rows',
    }),
  limit: count.optional().meta({ group: 'Prompts', description: 'problems at most' }),
  check_leak: z.string().optional().meta({
    group: 'Prompts',
    description: 'refuse problems that stand in this file (what was trained on) too',
  }),
  output_dir: z.string().min(1).default('./evaluation').meta({
    group: 'Output',
    description: 'folder of report.json, report.md and all solutions; what is in it is not sampled again',
  }),
  ...samplingFields,
  ...promptFields,
  ...judgeStageFields,
  ...evalFields,
  strict: z.boolean().default(false).meta({ group: 'Output', description: 'the first bad row is an error' }),
  json: z.boolean().default(false).meta({ group: 'Output', description: 'print JSON' }),
})

export type EvalSettings = z.output<typeof evalSchema>
