/** @file What all runs of the storm share. */

/** Many updates that each take little time, and are each saved. */
export const stormSettings = { per_device_train_batch_size: 2, save_steps: 1, eval_on_start: true } as const

export const STORM_PROBLEMS = 8
