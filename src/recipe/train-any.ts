/** @file Training on whatever the data are: graded steps at once, problems alone by the whole loop. */
import { z } from 'zod'
import { UsageError } from '../base/errors.ts'
import type { RunEvent } from '../data/events.ts'
import { detectFormat } from '../data/formats.ts'
import { findDataFile } from '../data/locate.ts'
import { readRows } from '../data/rows.ts'
import type { StageEvent } from '../data/stage-events.ts'
import { type TrainInput, type TrainSettings, trainSchema } from './config.ts'
import { lessonOf } from './objectives.ts'
import { type Confirm, runLoop } from './run.ts'
import { runSchema } from './run-settings.ts'
import { settleLora } from './settle-lora.ts'
import { train } from './train.ts'
import type { World } from './world.ts'

/**
 * Trains on graded data. Where the rows only ask and a judge is named, solutions are sampled, judged and paired first, after
 * `confirm` has agreed to what the judge may cost.
 * @throws UserError as `train` and `runLoop`.
 */
export async function* trainOnAny(
  input: TrainInput,
  world: World,
  confirm: Confirm,
): AsyncGenerator<RunEvent | StageEvent> {
  const parsed = trainSchema.safeParse(input)
  if (!parsed.success) throw new UsageError(z.prettifyError(parsed.error))
  const settings = parsed.data
  if (settings.reward_model === undefined || !(await onlyAsks(settings))) return yield* train(input, world)
  settleLora(settings) // refuses what no training would take before anything is sampled
  const message = `the data are problems without solutions: ${settings.base_model} solves them and ${settings.reward_model} judges`
  yield { type: 'warning', message }
  const known = Object.entries(settings).filter(
    ([name, value]) => Object.hasOwn(runSchema.shape, name) && value !== undefined,
  )
  const { eval_dataset_path: _, ...own } = Object.fromEntries(known)
  const loop = runSchema.parse({ ...own, reward_model: [settings.reward_model] })
  yield* runLoop(loop, world, { confirm, training: settings })
}

/** Whether the rows of the data have no answers to learn from. */
async function onlyAsks(settings: TrainSettings): Promise<boolean> {
  const { dataset_path } = settings
  if (lessonOf(settings) !== 'preferences') return false
  for await (const row of readRows(findDataFile(dataset_path))) {
    const format = 'value' in row ? detectFormat(row.value) : undefined
    if (format !== undefined) return format.name === 'prompts'
  }
  return false
}
