/** @file What the updates and evaluations of a run do, by what its objective learns from. */
import { mkdirSync } from 'node:fs'
import { writeDurably } from '../base/files.ts'
import { updateBatches } from '../batch/order.ts'
import { packGroups, packMembers, pairCount } from '../batch/pack.ts'
import type { Metrics, RunEvent } from '../data/events.ts'
import type { Question } from '../data/prompt-rows.ts'
import { evaluateDemonstrations } from '../eval/demonstration.ts'
import { evaluatePreferences, type PreferenceProgress, type Preferences } from '../eval/preference.ts'
import { evaluateVerdicts } from '../eval/verdict.ts'
import { float32Weights } from '../model/weights.ts'
import type { CheckpointFolder } from '../train/checkpoint.ts'
import { accumulateDemonstrations } from '../train/demonstrate.ts'
import type { Lesson } from '../train/loop.ts'
import { moveReference } from '../train/moving-reference.ts'
import { referenceTokens } from '../train/score.ts'
import type { TrainState } from '../train/state.ts'
import { accumulateGradient, packFor } from '../train/update.ts'
import { accumulateVerdicts } from '../train/verdict.ts'
import type { TrainSettings } from './config.ts'
import { evaluateByGenerating } from './eval-generate.ts'
import { lessonOf } from './objectives.ts'
import type { Recorder } from './recorder.ts'
import type { RunFolder } from './run-folder.ts'
import type { Begin } from './train-begin.ts'
import type { TrainData } from './train-data.ts'
import type { TrainParts } from './train-parts.ts'
import type { Plan } from './train-plan.ts'
import type { World } from './world.ts'

/** A run of `train` with all it was given. */
export interface Run {
  readonly settings: TrainSettings
  readonly folder: RunFolder
  readonly world: World
  readonly recorder: Recorder
  readonly begin: Begin
  readonly checkpoint: CheckpointFolder | undefined
  /** What happened before the run had a log. */
  readonly early: readonly RunEvent[]
}

export function lessonFor(
  settings: TrainSettings,
  { policy }: TrainParts,
  { plan: { objective }, data: { verdicts } }: Pick<Measured, 'plan' | 'data'>,
  state: TrainState,
): Lesson {
  if (verdicts !== undefined) {
    return {
      pack: (groups) => packGroups(groups, objective.packing),
      accumulate: (batches, occasion) => accumulateVerdicts(policy, verdicts.frame.right, batches, occasion),
    }
  }
  if (lessonOf(settings) === 'demonstrations') {
    return {
      pack: (groups) => packMembers(groups, objective.packing.maxRowTokens),
      accumulate: (batches, occasion) => accumulateDemonstrations(policy, batches, occasion),
    }
  }
  return {
    pack: (groups) => packFor(groups, objective),
    accumulate: async (batches, occasion) => {
      const known = { ...objective, rewardMean: state.rewardMean }
      const gradient = await accumulateGradient(policy, known, batches, occasion)
      state.rewardMean = gradient.rewardMean ?? state.rewardMean
      return gradient
    },
  }
}

/** Moves the reference towards the policy where that is due. */
export function syncReference(settings: TrainSettings, { policy }: TrainParts, update: number): void {
  if (update % settings.ref_model_sync_steps !== 0) return
  const [learned, reference] = [policy.machine, policy.reference].map(({ weights }) => float32Weights(weights))
  moveReference(learned, reference, settings.ref_model_mixup_alpha)
}

/** Everything the reference says of the data, before the first update. */
export async function* precompute(
  { world }: Run,
  { policy }: TrainParts,
  { loop, objective }: Plan,
  data: TrainData,
): AsyncGenerator<RunEvent> {
  const { reference, cache } = policy
  const perEpoch = Math.ceil(data.train.length / (loop.order.batchSize * loop.order.accumulation))
  const batches = Array.from({ length: perEpoch }, (_, update) => updateBatches(data.train, update, loop.order)).flat()
  const rows = [...batches.map((batch) => batch.map((at) => data.train[at])), data.heldOut].flatMap((groups) =>
    packFor(groups, objective),
  )
  const total = pairCount(rows)
  let done = 0
  for (const row of rows) {
    if (world.signal.aborted) break
    await referenceTokens(reference, row, cache)
    done += pairCount([row])
    yield { type: 'reference-progress', done, total, cached: 0 }
  }
  cache?.sync()
}

export interface Measured {
  readonly plan: Plan
  readonly data: TrainData
  readonly questions: readonly Question[]
  readonly update: number
  /** BCO's δ at this update. */
  readonly rewardShift: number
}

/** Held-out pairs, then problems to solve. */
export async function* evaluateAt(run: Run, parts: TrainParts, measured: Measured): AsyncGenerator<RunEvent, Metrics> {
  const { data, questions, update } = measured
  const metrics = data.heldOut.length > 0 ? yield* evaluateHeldOut(run, parts, measured) : {}
  if (questions.length === 0 || run.world.signal.aborted) return metrics
  return { ...metrics, ...(yield* evaluateByGenerating(parts, questions, update, run)) }
}

async function* evaluateHeldOut(
  { settings, folder, world }: Run,
  { policy, evaluated }: TrainParts,
  { plan, data, update, rewardShift }: Measured,
): AsyncGenerator<RunEvent, Metrics> {
  const { objective } = plan
  const { heldOut, verdicts } = data
  const { packing } = objective
  const { machine } = policy
  const evaluate = () => {
    if (verdicts !== undefined) {
      return evaluateVerdicts({ machine, layers: evaluated, packing, right: verdicts.frame.right }, heldOut)
    }
    return lessonOf(settings) === 'demonstrations'
      ? evaluateDemonstrations(machine, evaluated, heldOut, packing.maxRowTokens)
      : preferencesAt(folder, update, evaluatePreferences(policy, evaluated, heldOut, { ...objective, rewardShift }))
  }
  const steps = evaluate()
  for (let begun = false; ; begun = true) {
    const step = await steps.next()
    if (step.done) return step.value
    if (!begun) yield { type: 'evaluation-begin', update, total: step.value.total }
    yield { type: 'evaluation-progress', ...step.value }
    if (world.signal.aborted) return {}
  }
}

/** An evaluation that leaves its metrics by problem in `stepdpo/held-out/update-N.jsonl`, to compare runs problem by problem. */
async function* preferencesAt(
  folder: RunFolder,
  update: number,
  steps: AsyncGenerator<PreferenceProgress, Preferences>,
): AsyncGenerator<PreferenceProgress, Metrics> {
  const { metrics, problems } = yield* steps
  writeHeldOut(folder, update, problems)
  return metrics
}

/** Leaves what an evaluation found of each problem. */
export function writeHeldOut(folder: RunFolder, update: number, problems: readonly object[]): void {
  mkdirSync(folder.own('held-out'), { recursive: true })
  const lines = problems.map((problem) => `${JSON.stringify(problem)}\n`)
  writeDurably(folder.own(`held-out/update-${update}.jsonl`), lines.join(''))
}
