/** @file The trainer as the original README names it, over `train`. */
import { existsSync } from 'node:fs'
import { UserError } from '../base/errors.ts'
import type { RunEvent } from '../data/events.ts'
import type { StageEvent } from '../data/stage-events.ts'
import { openHub } from '../interop/hub-access.ts'
import type { TrainInput } from './config.ts'
import { resolveNames } from './hub-names.ts'
import { trainOnAny } from './train-any.ts'
import { systemWorld, type World } from './world.ts'

export interface TrainerInput {
  /** Model folder, .gguf file, or org/name on the Hub. */
  readonly baseModel: string
  /** A data file, a folder with one, or org/name on the Hub. */
  readonly trainDataset: string
  readonly evalDataset?: string
  /** A judge for unlabelled data. Labelled data need none. */
  readonly rewardModel?: string
  /** Every other setting, under its flag's name. */
  readonly args?: Omit<TrainInput, 'base_model' | 'dataset_path' | 'eval_dataset_path' | 'reward_model'>
}

/** Trains a policy with step preferences; see `train` for what it yields and throws. */
export class StepwiseDPOTrainer {
  readonly settings: TrainInput

  private constructor(settings: TrainInput) {
    this.settings = settings
  }

  /**
   * Downloads what is named on the Hub and not in its cache.
   * @throws UserError where a path leads nowhere: better now than after the model was loaded.
   */
  static async create({
    baseModel,
    trainDataset,
    evalDataset,
    rewardModel,
    args = {},
  }: TrainerInput): Promise<StepwiseDPOTrainer> {
    const given: TrainInput = {
      ...args,
      base_model: baseModel,
      dataset_path: trainDataset,
      ...(evalDataset !== undefined && { eval_dataset_path: evalDataset }),
      ...(rewardModel !== undefined && { reward_model: rewardModel }),
    }
    const open = () => openHub(process.env, new AbortController().signal)
    const settings = await resolveNames(given, { open, show: () => {}, tell: () => {} })
    for (const path of [settings.base_model, settings.dataset_path, settings.eval_dataset_path]) {
      if (path !== undefined && !existsSync(path)) throw new UserError(`${path}: there is no such file or folder`)
    }
    return new StepwiseDPOTrainer(settings)
  }

  /**
   * Runs the training; where the data are problems without solutions, samples, judges and pairs first. What the judge may
   * cost is spent, up to `args.max_cost`. To stop it, give a world with a signal: the run
   * saves and ends with `run-interrupted`.
   */
  train(world: World = systemWorld()): AsyncGenerator<RunEvent | StageEvent> {
    return trainOnAny(this.settings, world, () => Promise.resolve(true))
  }
}
