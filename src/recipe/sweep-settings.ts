/** @file The settings of `sweep`: those of `train`, which all trials share, and what is varied. */
import { z } from 'zod'
import { objectiveFields, trainingFields, trainSchema } from './config.ts'
import { loraFields } from './lora-settings.ts'
import { lessonOf, type ObjectiveName } from './objectives.ts'
import { type Setting, settingsOf } from './settings.ts'

const group = 'Sweep'
const { eval_strategy, output_dir, resume_from_checkpoint } = trainSchema.shape

/** The settings that are the sweep's own. */
export const sweepFields = {
  sweep: z.array(z.string()).min(1).meta({
    group,
    description: 'NAME=v1,v2,… once for each setting that varies; the items of a list are joined by +: sigmoid,ipo+sft',
  }),
  sweep_trials: z.number().int().positive().optional().meta({
    group,
    description: 'points of the grid, drawn at random; default all',
  }),
  sweep_seeds: z.array(z.number().int()).min(1).optional().meta({
    group,
    description: 'every point is trained with each of these seeds; default seed alone',
  }),
  metric: z
    .string()
    .min(1)
    .default('eval_rewards/accuracies')
    .overwrite((name) => (name.startsWith('eval_') ? name : `eval_${name}`))
    .meta({
      group,
      description: 'what points are ranked by, of the last evaluation',
    }),
  dry_run: z.boolean().default(false).meta({ group, description: 'say what would be trained, and train nothing' }),
  greater_is_better: z.boolean().optional().meta({
    group,
    description: 'direction of metric; known of losses, accuracies and margins',
  }),
}

export const sweepSchema = z
  .strictObject({
    ...sweepFields, // first in help
    ...trainSchema.shape,
    ...sweepFields, // whatever a training calls by these names
    output_dir: output_dir
      .unwrap()
      .default('./checkpoints/sweep')
      .meta({
        ...output_dir.meta(),
        description: 'folder of the sweep; the same command goes on with it',
      }),
    eval_strategy: eval_strategy
      .unwrap()
      .default('epoch')
      .meta({ ...eval_strategy.meta() }),
    resume_from_checkpoint: z
      .boolean()
      .default(true)
      .meta({
        ...resume_from_checkpoint.meta(),
        description: 'without effect: a sweep always goes on with what its folder holds',
      }),
  })
  .superRefine((settings, context) => {
    for (const [name, message] of flawsOf(settings)) context.addIssue({ code: 'custom', path: [name], message })
  })

export type SweepSettings = z.output<typeof sweepSchema>

/** In TypeScript the grid may be a record: `{ beta: [0.1, 0.4], loss_type: [['sigmoid'], ['ipo', 'sft']] }`. */
export type SweepInput = Omit<z.input<typeof sweepSchema>, 'sweep'> & {
  readonly sweep: string[] | Readonly<Record<string, readonly unknown[]>>
}

/** The grid of a record as flags say it. */
export function gridTexts(grid: SweepInput['sweep']): string[] {
  if (Array.isArray(grid)) return grid
  return Object.entries(grid).map(([name, values]) => {
    return `${name}=${values.map((value) => (Array.isArray(value) ? value.join('+') : String(value))).join()}`
  })
}

interface Common {
  readonly objective: ObjectiveName
  readonly resume_changed: boolean
  readonly early_stopping_patience?: number | undefined
  readonly load_best_model_at_end: boolean
  readonly metric: string
  readonly greater_is_better?: boolean | undefined
}

function* flawsOf(settings: Common): Generator<readonly [keyof Common, string]> {
  const { objective, metric } = settings
  if (lessonOf(settings) !== 'preferences') {
    yield ['objective', `a sweep compares held-out preferences, and ${objective} has none`]
  }
  if (settings.resume_changed) yield ['resume_changed', 'would put trials of different settings into one table']
  if (settings.early_stopping_patience !== undefined) {
    yield ['early_stopping_patience', 'all trials of a sweep make the same updates']
  }
  if (settings.load_best_model_at_end) {
    yield ['load_best_model_at_end', 'trials are compared after the same updates, not each at its best']
  }
  if (isGreaterBetter(settings) === undefined) {
    yield ['metric', `say --greater_is_better true or false: nobody knows the direction of ${metric}`]
  }
}

/** The direction of the metric, undefined where it is neither known nor said. */
export function isGreaterBetter(settings: Pick<Common, 'metric' | 'greater_is_better'>): boolean | undefined {
  if (settings.greater_is_better !== undefined) return settings.greater_is_better
  if (/accurac|margins$/.test(settings.metric)) return true
  return /loss$/.test(settings.metric) ? false : undefined
}

const BUDGET = 'is the budget, which all trials share: every one makes the same updates on the same groups'
const NO_RESULT = 'changes no result'
const YARDSTICK = 'changes what the held-out rewards are, by which trials are compared'

/** Settings of the same groups that no sweep varies, and why. */
const fixed: Readonly<Record<string, string>> = {
  max_steps: BUDGET,
  num_train_epochs: BUDGET,
  per_device_train_batch_size: BUDGET,
  gradient_accumulation_steps: BUDGET,
  seed: 'is no setting to choose by its result: --sweep_seeds 0,1,2 repeats every point with other seeds',
  objective: 'says what is learned, not how',
  step_temperature: YARDSTICK,
  ld_alpha: YARDSTICK,
  reference_free: YARDSTICK,
  sync_ref_model: YARDSTICK,
  ref_model_mixup_alpha: YARDSTICK,
  ref_model_sync_steps: YARDSTICK,
  precompute_ref_log_probs: NO_RESULT,
  threads: NO_RESULT,
  device: NO_RESULT,
  gradient_checkpointing: NO_RESULT,
}

/** In names of trials and in tables; understood in `--sweep` too. */
const SHORT = new Map([
  ['learning_rate', 'lr'],
  ['loss_type', 'loss'],
  ['lora_r', 'rank'],
  ['lora_target_modules', 'targets'],
])

export function shortName(key: string): string {
  return SHORT.get(key) ?? key
}

const sweepable: readonly Setting[] = settingsOf(
  z.object({ ...objectiveFields, ...loraFields, ...trainingFields }),
).filter(({ key }) => !Object.hasOwn(fixed, key))

const byName = new Map(
  sweepable.flatMap((setting) =>
    [setting.key, shortName(setting.key), ...setting.aliases].map((name) => [name, setting]),
  ),
)

/** Every name by which `--sweep` knows a setting. */
export const sweepNames: readonly string[] = [...byName.keys()]

/** The setting that a name means in `--sweep`, or why it cannot be swept. */
export function sweptSetting(name: string): Setting | string {
  const plain = name.replaceAll('-', '_')
  const setting = byName.get(plain)
  if (setting !== undefined) return setting
  if (Object.hasOwn(fixed, plain)) return fixed[plain]
  if (Object.hasOwn(trainSchema.shape, plain)) return 'is shared by all trials, so that they can be compared'
  return 'there is no such setting'
}
