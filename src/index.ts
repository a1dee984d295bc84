/** @file The public names of stepwise-dpo. Nothing inside imports this file. */

export { InputError, UsageError, UserError } from './base/errors.ts'
export type { Metrics, RunEvent } from './data/events.ts'
export type { Judgement } from './data/judgement.ts'
export { AGGREGATIONS, aggregate } from './judge/aggregate.ts'
export type { AiSdkModel } from './judge/providers/ai-sdk.ts'
export type { TrainInput, TrainSettings } from './recipe/config.ts'
export { type Evaluation, type RewardModelOptions, StepwiseRewardModel } from './recipe/reward-model.ts'
export { train } from './recipe/train.ts'
export { StepwiseDPOTrainer, type TrainerInput } from './recipe/trainer.ts'
export { systemWorld, type World } from './recipe/world.ts'
