/** @file The settings of `pairs`, and those of a judge where the same command also samples. */
import { z } from 'zod'
import type { LocatedBy } from '../data/pair-row.ts'
import { VERIFICATIONS } from '../pair/step-pairs.ts'
import { policyFields, promptFields, samplingFields } from './generate-settings.ts'
import { type JudgeSettings, judgeFields } from './judge-settings.ts'

const count = z.number().int().positive()

export const STRATEGIES = ['step_dpo', 'siblings', 'dpo', 'scdpo'] as const
export type Strategy = (typeof STRATEGIES)[number]

const LOCATES = ['judge', 'monte_carlo', 'consensus'] as const satisfies readonly LocatedBy[]

const { temperature, top_p, seed, threads: _, reward_model, ...otherJudgeFields } = judgeFields

/** Where a command also samples, what both would call by one name is the policy's; the judge's has its own. */
export const judgeStageFields = {
  reward_model: reward_model.meta({ ...reward_model.meta(), alias: ['judge'] }),
  ...otherJudgeFields,
  judge_temperature: temperature.meta({ ...temperature.meta() }),
  judge_top_p: top_p.meta({ ...top_p.meta() }),
  judge_seed: seed.meta({ ...seed.meta() }),
}

const judgeStageSchema = z.strictObject(judgeStageFields)
export type JudgeStageSettings = z.output<typeof judgeStageSchema>

/** The judge's own settings. */
export function judgeSettingsOf(settings: JudgeStageSettings & { readonly threads?: number }): JudgeSettings {
  const names = Object.keys(judgeFields)
  const own = Object.fromEntries(Object.entries(settings).filter(([name]) => names.includes(name)))
  return z.strictObject(judgeFields).parse({
    ...own,
    temperature: settings.judge_temperature,
    top_p: settings.judge_top_p,
    seed: settings.judge_seed,
    threads: settings.threads,
  })
}

export const pairFields = {
  strategy: z.enum(STRATEGIES).default('step_dpo').meta({
    group: 'Pairs',
    description:
      'first wrong step and a right one, steps scored differently after one prefix, whole solutions, right solutions gone wrong',
  }),
  locate: z.enum(LOCATES).default('judge').meta({
    group: 'Pairs',
    description:
      'who finds the first wrong step: the judge, continuations (no judge is needed), or both where they agree',
  }),
  verify: z.enum(VERIFICATIONS).optional().meta({
    group: 'Pairs',
    description:
      'what makes a step chosen: a right end and nothing found wrong, or one of both; default both, without a judge answer',
  }),
  num_resamples: z.number().int().min(0).default(8).meta({
    group: 'Pairs',
    description: 'continuations of a prefix; they need base_model; 0: none',
  }),
  min_margin: z.number().min(0).default(0.5).meta({
    group: 'Pairs',
    description: 'least difference of scores, where scores decide',
  }),
  max_pairs_per_prompt: count.default(16).meta({ group: 'Pairs', description: 'pairs of one problem at most' }),
  use_human_labels: z.boolean().default(true).meta({
    group: 'Pairs',
    description: "what people said of steps (labels.jsonl beside the rollouts, or above) outweighs the judge's word",
  }),
  check_leak: z.string().optional().meta({
    group: 'Pairs',
    description: 'refuse problems that stand in this file too',
  }),
}

const { num_samples: __, ...continuationFields } = samplingFields

export const pairsSchema = z.strictObject({
  rollouts: z
    .string()
    .min(1)
    .meta({
      group: 'Data',
      alias: ['dataset_path', 'dataset_name', 'data_path'],
      description: 'rollouts.jsonl of `generate`',
    }),
  output_dir: z.string().min(1).default('./pairs').meta({
    group: 'Data',
    description: 'folder of pairs.jsonl',
  }),
  ...pairFields,
  ...judgeStageFields,
  reward_model: judgeStageFields.reward_model.optional().meta({ ...judgeStageFields.reward_model.meta() }),
  ...policyFields,
  base_model: policyFields.base_model.optional().meta({ ...policyFields.base_model.meta() }),
  ...continuationFields,
  temperature: samplingFields.temperature.meta({
    ...samplingFields.temperature.meta(),
    description: 'of continuations; default 0.8, with scdpo 1.1 and rising',
  }),
  splitter: promptFields.splitter,
  last_number: promptFields.last_number,
  json: z.boolean().default(false).meta({ group: 'Data', description: 'print events as JSON lines' }),
})

export type PairsSettings = z.output<typeof pairsSchema>
