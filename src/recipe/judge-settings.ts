/** @file The settings of judging: those of a judge, for every command that asks one, and those of `judge` itself. */
import { z } from 'zod'
import type { CalibrationKind } from '../eval/calibration.ts'
import { AGGREGATIONS } from '../judge/aggregate.ts'
import type { ModeName } from '../judge/modes.ts'
import { deviceField } from './device-settings.ts'
import { serverFields } from './server-settings.ts'
import { splitterField } from './splitter-field.ts'

const count = z.number().int().positive()

const CALIBRATION_KINDS = ['temperature', 'platt', 'isotonic'] as const satisfies readonly CalibrationKind[]

const modeNames = ['solution', 'step', 'first_error', 'probability'] as const satisfies readonly ModeName[]

const askedFields = {
  reward_model: z
    .array(z.string().min(1))
    .min(1)
    .meta({
      group: 'Judge',
      alias: ['judge', 'model'],
      description:
        'gpt-4, claude-…, provider:model[@baseURL], local:PATH, implicit:PATH, arithmetic, replay:FILE; several: a list',
    }),
  judge_mode: z.enum(modeNames).default('solution').meta({
    group: 'Judge',
    description: 'labels until the first error, one call a step, its number alone, P(Yes) of each step',
  }),
  votes: count.default(1).meta({ group: 'Judge', description: 'replies to each question' }),
  consensus: count.optional().meta({
    group: 'Judge',
    description:
      'of several judges, how many must agree on a label; fewer: the step is not scored. Default: mean score',
  }),
  few_shot: z.string().default('built-in').meta({
    group: 'Judge',
    description: 'examples that are shown: built-in, none, or a JSON-lines file',
  }),
  temperature: z.number().min(0).max(2).optional().meta({
    group: 'Judge',
    description: 'of replies; default 0, with several votes 0.7',
  }),
  top_p: z.number().gt(0).max(1).optional().meta({ group: 'Judge', description: 'of replies' }),
  seed: z.number().int().optional().meta({ group: 'Judge', description: 'for providers that take one' }),
  judge_max_tokens: count.default(2048).meta({ group: 'Judge', description: 'tokens of a reply at most' }),
  calibration: z.string().optional().meta({
    group: 'Judge',
    description: 'file of a fitted calibration (eval processbench --fit_calibration): scores become chances',
  }),
  aggregation: z.enum(AGGREGATIONS).optional().meta({
    group: 'Judge',
    description:
      'how scores of steps become the score of a solution; default product, of judges whose scores mean values last',
  }),
}

const spendingFields = {
  max_cost: z.number().min(0).optional().meta({ group: 'Money and speed', description: 'US dollars at most' }),
  prices: z.string().optional().meta({
    group: 'Money and speed',
    description: 'YAML file {model: {input, output}}, US dollars a million tokens',
  }),
  ...serverFields,
  threads: count.optional().meta({ group: 'Money and speed', description: 'of the processor, for local:' }),
  device: deviceField.meta({ ...deviceField.meta(), group: 'Money and speed' }),
}

export const judgeFields = { ...askedFields, ...spendingFields }

export const judgeFieldsSchema = z.strictObject(judgeFields)
export type JudgeSettings = z.output<typeof judgeFieldsSchema>

const fileFields = {
  dataset_path: z
    .string()
    .min(1)
    .meta({
      group: 'Data',
      alias: ['dataset_name', 'data_path'],
      description: 'solutions: rollouts, stepwise rows, {prompt, completion}, chat logs, benchmarks',
    }),
  output_dir: z.string().min(1).default('./judgements').meta({
    group: 'Data',
    description: 'folder of judgements.jsonl; what is in it is not judged again',
  }),
  splitter: splitterField.meta({ ...splitterField.meta(), group: 'Data' }),
  limit: count.optional().meta({ group: 'Data', description: 'rows at most' }),
  batch_api: z.boolean().default(false).meta({
    group: 'Money and speed',
    description: "ask by the vendor's batch API: half the price, an answer within 24 hours; Ctrl-C leaves it running",
  }),
  retry_errors: z.boolean().default(false).meta({ group: 'Data', description: 'judge again what has failed steps' }),
  dry_run: z.boolean().default(false).meta({ group: 'Data', description: 'say what it would ask and cost, and stop' }),
  strict: z.boolean().default(false).meta({ group: 'Data', description: 'the first bad row is an error' }),
  json: z.boolean().default(false).meta({ group: 'Data', description: 'print events as JSON lines' }),
}

export const judgeSchema = z.strictObject({ ...judgeFields, ...fileFields })
export type JudgeFileSettings = z.output<typeof judgeSchema>

export const evalJudgeSchema = z.strictObject({
  ...judgeFields,
  ...fileFields,
  threshold: z.number().min(0).max(1).optional().meta({
    group: 'Judge',
    description: 'a step with a lower score is taken for wrong; default 0.5; the report says which would be best',
  }),
  fit_calibration: z.enum(CALIBRATION_KINDS).optional().meta({
    group: 'Judge',
    description: 'fit a map from scores to chances on this file, to calibration.json',
  }),
})
export type EvalJudgeSettings = z.output<typeof evalJudgeSchema>
