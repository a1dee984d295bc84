/** @file The public names of stepwise-dpo. Nothing inside imports this file. */

export { InputError, UsageError, UserError } from './base/errors.ts'
export type { Metrics, RunEvent } from './data/events.ts'
export type { TrainInput, TrainSettings } from './recipe/config.ts'
export { train } from './recipe/train.ts'
export { StepwiseDPOTrainer, type TrainerInput } from './recipe/trainer.ts'
export { systemWorld, type World } from './recipe/world.ts'
