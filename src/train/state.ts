/** @file The state of a run between two updates: what a checkpoint holds, and how it is put back. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { InputError, UserError } from '../base/errors.ts'
import type { Bytes } from '../base/files.ts'
import { parseJson } from '../base/lines.ts'
import type { Learner, Parameter } from '../model/learner.ts'
import { openSafetensors, type SafetensorsFile } from '../model/safetensors.ts'
import { safetensorsParts } from '../model/safetensors-write.ts'
import { type Moments, zeroMoments } from './adamw.ts'
import { type BestRules, standingOf } from './best.ts'
import type { LogEntry } from './log.ts'
import { NO_REWARDS, type RewardMean } from './reward-loss.ts'
import { NO_TRENDS, type Trends, trendFields } from './trends.ts'

export const OPTIMIZER = 'optimizer.safetensors'
export const TRAINER_STATE = 'trainer_state.json'
export const RNG_STATE = 'rng_state.json'

const logEntry = z.record(z.string(), z.number())

/** trainer_state.json: Trainer's fields, and ours below `stepdpo`. */
const stateFields = z.looseObject({
  global_step: z.number().int().nonnegative(),
  log_history: z.array(logEntry),
  num_input_tokens_seen: z.number(),
  stepdpo: z.looseObject({
    begin: z.unknown(),
    identity: z.record(z.string(), z.unknown()),
    reward_mean: z.object({ mean: z.number(), count: z.number() }).optional(),
    trends: trendFields.optional(),
  }),
})

export interface TrainState {
  /** Updates that were made. */
  update: number
  /** Tokens that were computed in them. */
  tokens: number
  readonly log: LogEntry[]
  /** BCO's running reward; nothing where no loss keeps one. */
  rewardMean: RewardMean
  /** What metrics over several updates are made of. */
  trends: Trends
  /** By the names of parameters. */
  readonly moments: ReadonlyMap<string, Moments>
}

/** Whatever a run's numbers follow from, in words and numbers: a run resumes only where all of it is the same. */
export type Identity = Readonly<Record<string, unknown>>

export function freshState({ parameters }: Learner): TrainState {
  const moments = new Map(parameters.map(({ name, values }) => [name, zeroMoments(values.length)]))
  return { update: 0, tokens: 0, log: [], rewardMean: NO_REWARDS, trends: NO_TRENDS, moments }
}

export interface RunFacts {
  readonly updates: number
  readonly updatesPerEpoch: number
  readonly seed: number
  readonly identity: Identity
  readonly best: BestRules
  /** Whether there is a checkpoint after an update if that was the best. */
  readonly isBestSaved: (update: number) => boolean
  /** Whatever else a resumed run must know of its beginning. */
  readonly begin: Readonly<Record<string, unknown>>
}

/** The content of trainer_state.json. */
export function trainerState(state: TrainState, facts: RunFacts): string {
  const { update, tokens, log } = state
  const { best } = standingOf(log, facts.best)
  const isSaved = best !== undefined && facts.isBestSaved(best.update)
  const fields = {
    global_step: update,
    epoch: update / facts.updatesPerEpoch,
    max_steps: facts.updates,
    num_train_epochs: Math.ceil(facts.updates / facts.updatesPerEpoch),
    num_input_tokens_seen: tokens,
    best_metric: best?.value ?? null,
    best_global_step: best?.update ?? null,
    best_model_checkpoint: isSaved ? `checkpoint-${best.update}` : null,
    log_history: log,
    stepdpo: { begin: facts.begin, identity: facts.identity, reward_mean: state.rewardMean, trends: state.trends },
  }
  return `${JSON.stringify(fields, null, 2)}\n`
}

/** The files of a checkpoint beside those of what learns. */
export function stateFiles(state: TrainState, facts: RunFacts): Map<string, Bytes | Iterable<Bytes>> {
  const moments = new Map(
    [...state.moments].flatMap(([name, { first, second }]) => [
      [`exp_avg.${name}`, { data: first, shape: [first.length] }],
      [`exp_avg_sq.${name}`, { data: second, shape: [second.length] }],
    ]),
  )
  // Streams are functions of the seed and a label, and need no state: this says how far each is.
  const streams = {
    generator: 'philox4x32-10',
    seed: facts.seed,
    order: { update: state.update },
    dropout: { update: state.update },
  }
  return new Map<string, Bytes | Iterable<Bytes>>([
    [OPTIMIZER, safetensorsParts(moments, new Map([['update', String(state.update)]]))],
    [TRAINER_STATE, trainerState(state, facts)],
    [RNG_STATE, `${JSON.stringify(streams, null, 2)}\n`],
  ])
}

export function readInto(file: SafetensorsFile, name: string, values: Float32Array): void {
  const found = file.readFloat32(name)
  if (found.length !== values.length) {
    throw new InputError({ file: file.path }, `${values.length} numbers of '${name}'`, `${found.length}`)
  }
  values.set(found)
}

/** Puts the values of a file back into what learns. */
export function restoreValues(path: string, parameters: readonly Parameter[]): void {
  const file = openSafetensors(path)
  try {
    for (const { name, values } of parameters) readInto(file, name, values)
  } finally {
    file.close()
  }
}

function readState(folder: string): z.infer<typeof stateFields> {
  const path = join(folder, TRAINER_STATE)
  const parsed = parseJson(readFileSync(path))
  const fields = stateFields.safeParse('value' in parsed ? parsed.value : undefined)
  if (!fields.success) throw new InputError({ file: path }, 'the state of a run of stepdpo', 'something else')
  return fields.data
}

/** What a checkpoint knows of the beginning of its run, as it was given to `trainerState`. */
export function readBegin(folder: string): unknown {
  return readState(folder).stepdpo.begin
}

/**
 * Puts a verified checkpoint back: what learns, and the state.
 * @param weights the file that holds what learns.
 * @param identity what the run follows from now; undefined to resume whatever has changed.
 * @throws UserError naming the first thing in which the run differs from the one that was interrupted.
 */
export function restoreState(
  folder: string,
  weights: string,
  learner: Learner,
  identity: Identity | undefined,
): TrainState {
  const { global_step, log_history, num_input_tokens_seen, stepdpo } = readState(folder)
  if (identity !== undefined) refuseChanges(folder, stepdpo.identity, identity)
  restoreValues(join(folder, weights), learner.parameters)
  const state = freshState(learner)
  const file = openSafetensors(join(folder, OPTIMIZER))
  try {
    for (const [name, { first, second }] of state.moments) {
      readInto(file, `exp_avg.${name}`, first)
      readInto(file, `exp_avg_sq.${name}`, second)
    }
  } finally {
    file.close()
  }
  // Checkpoints of older versions have neither: their runs begin to measure anew.
  const { reward_mean: rewardMean = state.rewardMean, trends = state.trends } = stepdpo
  return { ...state, update: global_step, tokens: num_input_tokens_seen, log: [...log_history], rewardMean, trends }
}

export function refuseChanges(folder: string, before: Identity, now: Identity): void {
  for (const name of new Set([...Object.keys(before), ...Object.keys(now)])) {
    const [old, own] = [JSON.stringify(before[name]), JSON.stringify(now[name])]
    if (old === own) continue
    throw new UserError(
      `${folder} was made with ${name} ${old}, now it is ${own}: resuming would not continue that run. ` +
        'Set it back, choose another --output_dir, or say --resume_changed to go on all the same',
    )
  }
}
