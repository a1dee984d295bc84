/** @file The training loop: updates in order, evaluated and saved when due, as events. It prints and writes nothing. */
import type { EncodedGroup } from '../batch/encode.ts'
import { type OrderOptions, updateBatches, updatesPerEpoch } from '../batch/order.ts'
import { type PackedBatch, type PackedRow, packBatches } from '../batch/pack.ts'
import type { Metrics, RunEvent } from '../data/events.ts'
import type { Learner } from '../model/learner.ts'
import type { AdamOptions } from './adamw.ts'
import { type BestRules, hasGivenUp, refuseUnknown, type Standing, standingOf } from './best.ts'
import type { CheckpointFolder } from './checkpoint.ts'
import { isEvaluation } from './log.ts'
import { rateAt, type ScheduleType } from './schedule.ts'
import type { TrainState } from './state.ts'
import { followTrends, trendMetrics } from './trends.ts'
import { applyGradient, type Gradient, NotFiniteError, type Occasion } from './update.ts'

/** Never, after so many updates, or after each pass over the data. */
export interface Moments {
  readonly strategy: 'no' | 'steps' | 'epoch'
  readonly steps: number
}

export interface LoopOptions {
  readonly order: OrderOptions
  readonly updates: number
  readonly adam: AdamOptions & { readonly maxGradNorm: number }
  readonly schedule: { readonly type: ScheduleType; readonly rate: number; readonly warmupUpdates: number }
  readonly evaluation: Moments
  readonly saving: Moments
  /** Whether to evaluate before the first update, too. */
  readonly evaluatesFirst: boolean
  readonly best: BestRules
  /** Whether an evaluation that is the best so far is saved, due or not. */
  readonly savesBest: boolean
  /** Updates from one entry of the log to the next. */
  readonly loggingUpdates: number
}

/** What the loop is given to do with the world. */
export interface LoopHooks {
  /** Scores the held-out groups; undefined without any. */
  evaluate?(update: number): AsyncGenerator<RunEvent, Metrics>
  /** After each update, before it is evaluated or saved. */
  updated?(update: number): void
  /** Writes a checkpoint. */
  save(state: TrainState): CheckpointFolder
  /** Seconds of a clock that only goes forward. */
  seconds(): number
  readonly signal: AbortSignal
}

/** What is made of some groups. */
export interface Lesson {
  /** The rows of a microbatch. */
  pack(groups: readonly EncodedGroup[]): readonly PackedRow[]
  /** The gradient of an update's microbatches, in the learner's totals. */
  accumulate(batches: readonly PackedBatch[], occasion: Occasion): Promise<Gradient>
}

/** A run: who learns from what, how far it is, and how it goes on. */
export interface Training {
  readonly learner: Learner
  readonly lesson: Lesson
  readonly groups: readonly EncodedGroup[]
  readonly state: TrainState
  readonly options: LoopOptions
  readonly hooks: LoopHooks
}

function isDue({ strategy, steps }: Moments, update: number, perEpoch: number): boolean {
  if (strategy === 'no') return false
  return update % (strategy === 'epoch' ? perEpoch : steps) === 0
}

function perEpochOf({ groups, options }: Training): number {
  return updatesPerEpoch(groups.length, options.order)
}

/** The microbatches of an update: a function of its number, whatever was before. */
function packUpdate({ groups, options, lesson }: Training, update: number): PackedBatch[] {
  const batches = updateBatches(groups, update, options.order).map((batch) => batch.map((at) => groups[at]))
  return packBatches(batches, lesson.pack)
}

/** Packs each update before the one before it runs, so that its first row is prepared meanwhile. */
function packAhead(
  training: Training,
): (update: number) => Pick<Occasion, 'next'> & { readonly batches: PackedBatch[] } {
  let coming: { readonly update: number; readonly batches: PackedBatch[] } | undefined
  return (update) => {
    const batches = coming?.update === update ? coming.batches : packUpdate(training, update)
    const after = update + 1
    coming = after < training.options.updates ? { update: after, batches: packUpdate(training, after) } : undefined
    return { batches, next: coming?.batches.flatMap(({ rows }) => rows).at(0)?.row }
  }
}

/** One update. What learns and the state are changed, unless it throws. */
async function runUpdate(training: Training, packed: ReturnType<typeof packAhead>): Promise<RunEvent> {
  const { learner, lesson, state, options, hooks } = training
  const started = hooks.seconds()
  const { update } = state
  const { batches, next } = packed(update)
  const rate = rateAt(options.schedule.type, update, { ...options.schedule, updates: options.updates })
  try {
    const { metrics, tokens, norm, sample } = await lesson.accumulate(batches, { label: String(update), next })
    applyGradient(learner, state.moments, options.adam, { norm, time: update + 1, rate })
    state.update++
    hooks.updated?.(state.update)
    state.tokens += tokens
    if (sample !== undefined) state.trends = followTrends(state.trends, sample)
    const seconds = hooks.seconds() - started
    const all = { ...metrics, ...trendMetrics(state.trends), learning_rate: rate, num_tokens: state.tokens }
    return endUpdate(training, all, { tokens, seconds })
  } catch (error) {
    if (!(error instanceof NotFiniteError)) throw error
    throw notFiniteAt(update + 1, error.message, { cause: error })
  }
}

/** What a run ends with that cannot go on. `why` names what is not finite. */
export function notFiniteAt(update: number, why: string, options?: ErrorOptions): NotFiniteError {
  return new NotFiniteError(
    `update ${update}: ${why}. Nothing of this update was saved; ` +
      'go on from the last checkpoint with a smaller --learning_rate or --max_grad_norm',
    options,
  )
}

function endUpdate(
  training: Training,
  metrics: Metrics,
  effort: { readonly tokens: number; readonly seconds: number },
): RunEvent {
  const { state, options } = training
  const { update, log } = state
  const { updates } = options
  const epoch = update / perEpochOf(training)
  if (update % options.loggingUpdates === 0 || update === updates) log.push({ step: update, epoch, ...metrics })
  return { type: 'update-end', update, updates, epoch, metrics, ...effort, residentBytes: process.memoryUsage.rss() }
}

/** Evaluates where that is due and was not done. @returns whether it did. */
async function* evaluateIfDue(training: Training): AsyncGenerator<RunEvent, boolean> {
  const { state, options, hooks } = training
  const { update, log } = state
  const { evaluation, evaluatesFirst, updates } = options
  const isLast = update === updates && evaluation.strategy !== 'no'
  const isWanted = update === 0 ? evaluatesFirst : isLast || isDue(evaluation, update, perEpochOf(training))
  const isDone = log.some((entry) => entry['step'] === update && isEvaluation(entry))
  if (!isWanted || isDone || hooks.evaluate === undefined) return false
  const started = hooks.seconds()
  const metrics = yield* hooks.evaluate(update)
  if (hooks.signal.aborted) return false
  refuseUnknown(metrics, options.best)
  log.push({ step: update, epoch: update / perEpochOf(training), ...metrics })
  yield { type: 'evaluation-end', update, metrics, seconds: hooks.seconds() - started }
  return true
}

/** Whether a run that nothing stops leaves a checkpoint after an update that was its best. */
export function isBestSaved({ saving, savesBest, updates }: LoopOptions, perEpoch: number, update: number): boolean {
  return savesBest || isDue(saving, update, perEpoch) || (update === updates && saving.strategy !== 'no')
}

async function* saveIfDue(training: Training): AsyncGenerator<RunEvent> {
  const { state, options, hooks } = training
  const { update, log } = state
  const { saving, savesBest } = options
  const standing = standingOf(log, options.best)
  const isBest = standing.best?.update === update
  const isLast = (update === options.updates || hasGivenUp(standing, options.best)) && saving.strategy !== 'no'
  const isWanted = isDue(saving, update, perEpochOf(training)) || isLast || (isBest && savesBest)
  if (update === 0 || !(isWanted || hooks.signal.aborted)) return
  const { path } = hooks.save(state)
  yield { type: 'checkpoint-saved', update, folder: path, best: isBest }
  if (hooks.signal.aborted) yield { type: 'run-interrupted', update, folder: path }
}

/**
 * Trains from the state's update to the last one, or until it gives up.
 * @returns whether it came to the end, or was stopped by the signal. A stopped run is saved after its last update.
 * @throws NotFiniteError where a number is not finite; what `save` throws, with what was saved before intact.
 */
export async function* trainLoop(training: Training): AsyncGenerator<RunEvent, 'finished' | 'interrupted'> {
  const { state, options, hooks } = training
  const { best: rules } = options
  const packed = packAhead(training)
  // A run that was stopped while it evaluated takes that up again, and what it then saved lacks it.
  if (yield* evaluateIfDue(training)) yield* saveIfDue(training)
  while (state.update < options.updates && !hasGivenUp(standingOf(state.log, rules), rules) && !hooks.signal.aborted) {
    yield await runUpdate(training, packed)
    yield* evaluateIfDue(training)
    yield* saveIfDue(training)
  }
  if (hooks.signal.aborted) return 'interrupted'
  const standing = standingOf(state.log, rules)
  if (state.update < options.updates)
    yield { type: 'run-stopped-early', ...reasonOf(standing, rules), update: state.update }
  return 'finished'
}

function reasonOf({ best, waited }: Standing, { metric }: BestRules) {
  return { metric, waited, ...(best !== undefined && { best }) }
}
