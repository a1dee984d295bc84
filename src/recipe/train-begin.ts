/** @file How a training run begins: its name, and what it keeps where it is resumed on another day or machine. */
import { z } from 'zod'
import { UserError } from '../base/errors.ts'
import { random } from '../base/random.ts'
import { loadConfig } from '../model/load.ts'
import type { CheckpointFolder } from '../train/checkpoint.ts'
import { readBegin } from '../train/state.ts'
import { isOfTorch, readTorchState } from '../train/torch-state.ts'
import { chooseWays } from './choose-ways.ts'
import type { TrainSettings } from './config.ts'
import { type DeviceName, devices } from './device-settings.ts'
import { packageVersion } from './version.ts'

/** What a run keeps from its beginning, also where it is resumed on another day or machine. */
const beginFields = z.object({
  run: z.string(),
  started: z.string(),
  version: z.string(),
  threads: z.number(),
  gradient_checkpointing: z.boolean(),
  device: z.enum(devices).default('cpu'),
})

export interface Begin extends z.infer<typeof beginFields> {
  /** Where it ran before, where it is resumed on another device. */
  readonly moved_from?: DeviceName
}

const ADJECTIVES = ['calm', 'brave', 'quiet', 'swift', 'bright', 'patient', 'clever', 'gentle', 'bold', 'keen']
const ANIMALS = ['otter', 'heron', 'lynx', 'wren', 'badger', 'fox', 'owl', 'hare', 'seal', 'finch']

/** A name that people can tell from others: `2026-11-22_calm-otter`. */
function nameRun(now: Date): string {
  const draw = random(now.getTime(), 'name')
  const word = (words: readonly string[]): string => words[draw.below(words.length)]
  return `${now.toISOString().slice(0, 10)}_${word(ADJECTIVES)}-${word(ANIMALS)}`
}

/** @throws UserError for a checkpoint that no version of ours has made. */
export function beginOf(settings: TrainSettings, checkpoint: CheckpointFolder | undefined, now: Date): Begin {
  if (checkpoint !== undefined) {
    if (settings.engine === 'node' && isOfTorch(checkpoint.path)) {
      throw new UserError(`${checkpoint.path} is of --engine torch: resume it with --engine torch`)
    }
    const known = beginFields.safeParse(
      settings.engine === 'torch' ? readTorchState(checkpoint.path).begin : readBegin(checkpoint.path),
    )
    if (!known.success) throw new UserError(`${checkpoint.path}: was not made by a version that can be resumed`)
    const { threads = known.data.threads, gradient_checkpointing = known.data.gradient_checkpointing } = settings
    const { device = known.data.device } = settings
    const moved = device === known.data.device ? {} : { moved_from: known.data.device }
    return { ...known.data, threads, gradient_checkpointing, device, ...moved }
  }
  const { config } = loadConfig(settings.base_model)
  const run = settings.run_name ?? nameRun(now)
  const { device = 'cpu' } = settings
  return { run, started: now.toISOString(), version: packageVersion(), ...chooseWays(settings, config), device }
}
