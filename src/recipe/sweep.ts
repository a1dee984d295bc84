/** @file Trains at every point of a grid on one budget and ranks what came out: the parts list of the `sweep` command. */
import { join } from 'node:path'
import { z } from 'zod'
import { UsageError, UserError } from '../base/errors.ts'
import { writeDurably } from '../base/files.ts'
import { pairCount } from '../batch/pack.ts'
import type { EventOf, RunEvent } from '../data/events.ts'
import { loadConfig } from '../model/load.ts'
import { listCheckpoints } from '../train/checkpoint.ts'
import { NotFiniteError } from '../train/update.ts'
import { chooseWays } from './choose-ways.ts'
import type { TrainInput, TrainSettings } from './config.ts'
import { loraGiven } from './lora-settings.ts'
import { openRunFolder, type RunFolder } from './run-folder.ts'
import { settingsToYaml } from './settings-yaml.ts'
import { TRIALS, type Trial, trialsOf } from './sweep-grid.ts'
import { type Prepared, prepareTrials, settleTrials } from './sweep-prepare.ts'
import { type EndedTrial, type Ranking, rankPoints, type SweepReport } from './sweep-report.ts'
import { readProblems } from './sweep-score.ts'
import { gridTexts, isGreaterBetter, type SweepInput, type SweepSettings, sweepSchema } from './sweep-settings.ts'
import { sweepMarkdown } from './sweep-text.ts'
import { effortOf, knownOutcomes, type Outcome, refuseChanged, type TrialResult, writeTrial } from './sweep-trial.ts'
import { train } from './train.ts'
import type { Choices } from './train-parts.ts'
import { systemWorld, type World } from './world.ts'

/** A trial as it is announced; `known` where it was done before. */
export interface PlannedTrial {
  readonly name: string
  readonly settings: Readonly<Record<string, unknown>>
  readonly seed: number
  readonly known: boolean
}

export type SweepEvent =
  /** What stands between `trial-begin` and `trial-end` is of that trial's run. */
  | RunEvent
  | {
      readonly type: 'sweep-begin'
      readonly folder: string
      readonly points: number
      /** Of every trial. */
      readonly updates: number
      /** Held out with the first seed. */
      readonly heldOut: { readonly pairs: number; readonly problems: number }
      readonly trials: readonly PlannedTrial[]
    }
  | { readonly type: 'trial-begin'; readonly trial: number; readonly trials: number; readonly name: string }
  | {
      readonly type: 'trial-end'
      readonly trial: number
      readonly trials: number
      readonly name: string
      readonly outcome: Outcome
    }
  | { readonly type: 'sweep-stopped'; readonly done: number; readonly trials: number; readonly folder: string }
  | { readonly type: 'sweep-end'; readonly report: SweepReport; readonly text: string; readonly folder: string }

/**
 * Trains at all points, one after another, and leaves `sweep.md` and `sweep.json` in `output_dir`, the runs below `trials`.
 * Trials that are done are kept, one that was interrupted is resumed: the same input goes on.
 * @returns the ranked points; undefined where the world's signal stopped it, or nothing was to be trained (`dry_run`).
 * @throws UserError for anything the user can mend. Numbers that are not finite end their trial, not the sweep.
 */
export async function* sweep(
  input: SweepInput,
  world: World = systemWorld(),
): AsyncGenerator<SweepEvent, SweepReport | undefined> {
  const parsed = sweepSchema.safeParse({ ...input, sweep: gridTexts(input.sweep) })
  if (!parsed.success) throw new UsageError(z.prettifyError(parsed.error))
  const isBlind = parsed.data.eval_strategy === 'no'
  const settings: SweepSettings = isBlind ? { ...parsed.data, eval_strategy: 'epoch' } : parsed.data
  const trials = settleTrials(trialsOf(settings))
  if (isBlind) {
    const message =
      'eval_strategy no: a sweep compares held-out results, so trials evaluate after epochs and at the end'
    yield { type: 'warning', message }
  }
  if (settings.dry_run) {
    const prepared = yield* prepareTrials(trials, world)
    yield announce(settings, prepared, endedBefore(settings, prepared))
    return undefined
  }
  const folder = openRunFolder(settings.output_dir)
  try {
    const shared = { ...loraGiven(trials[0].settings), ...settings }
    writeDurably(folder.own('config.resolved.yaml'), settingsToYaml(sweepSchema, shared))
    return yield* sweepInFolder(settings, trials, folder, world)
  } finally {
    folder.release()
  }
}

async function* sweepInFolder(
  settings: SweepSettings,
  trials: readonly Trial[],
  folder: RunFolder,
  world: World,
): AsyncGenerator<SweepEvent, SweepReport | undefined> {
  const prepared = yield* prepareTrials(trials, world)
  const ended = endedBefore(settings, prepared)
  const ways = chooseWays(prepared[0].settings, loadConfig(settings.base_model).config)
  yield announce(settings, prepared, ended)
  for (const { outcome } of ended.values()) refuseUnknown(settings.metric, outcome)
  for (const [at, trial] of prepared.entries()) {
    if (ended.has(trial)) continue
    const place = { trial: at + 1, trials: prepared.length, name: trial.name }
    yield { type: 'trial-begin', ...place }
    const outcome = world.signal.aborted ? undefined : yield* runTrial(trial, { settings, ways, world })
    if (outcome === undefined) {
      yield { type: 'sweep-stopped', done: ended.size, trials: prepared.length, folder: folder.path }
      return undefined
    }
    refuseUnknown(settings.metric, outcome)
    ended.set(trial, { trial, folder: trial.name, outcome })
    yield { type: 'trial-end', ...place, outcome }
  }
  const report = rankPoints(prepared, [...ended.values()], rankingOf(settings))
  const text = sweepMarkdown(report, settings)
  writeDurably(join(folder.path, 'sweep.json'), `${JSON.stringify(report, null, 2)}\n`)
  writeDurably(join(folder.path, 'sweep.md'), text)
  yield { type: 'sweep-end', report, text, folder: folder.path }
  return report
}

function rankingOf(settings: SweepSettings): Ranking {
  return { metric: settings.metric, greaterIsBetter: isGreaterBetter(settings) ?? true }
}

/** The trials that have an outcome already, perhaps as a part of another grid. */
function endedBefore(settings: SweepSettings, trials: readonly Prepared[]): Map<Trial, EndedTrial> {
  if (settings.overwrite_output_dir) return new Map()
  for (const trial of trials) refuseChanged(trial, trial.identity)
  const known = knownOutcomes(join(settings.output_dir, TRIALS))
  return new Map(
    trials.flatMap((trial) => {
      const found = known.get(JSON.stringify(trial.identity))
      return found === undefined ? [] : [[trial, { trial, folder: found.name, outcome: found.outcome }]]
    }),
  )
}

function announce(
  settings: SweepSettings,
  trials: readonly Prepared[],
  ended: ReadonlyMap<Trial, EndedTrial>,
): SweepEvent {
  const [{ plan, heldOut }] = trials
  return {
    type: 'sweep-begin',
    folder: settings.output_dir,
    points: new Set(trials.map(({ point }) => point)).size,
    updates: plan.loop.updates,
    heldOut: { pairs: pairCount(heldOut), problems: new Set(heldOut.map(({ problem }) => problem)).size },
    trials: trials.map((trial) => ({
      name: trial.name,
      settings: Object.fromEntries([...trial.point.values].map(([key, { value }]) => [key, value])),
      seed: trial.settings.seed,
      known: ended.has(trial),
    })),
  }
}

/** What all trials have in common: all new ones compute in the same way, whatever memory is free by then. */
interface Shared {
  readonly settings: SweepSettings
  readonly ways: Choices
  readonly world: World
}

/** Trains, or goes on; undefined where it was stopped. */
async function* runTrial(
  trial: Prepared,
  { settings, ways, world }: Shared,
): AsyncGenerator<RunEvent, Outcome | undefined> {
  let end: EventOf<'run-end'> | undefined
  const input = trainingOf(trial.settings, settings.overwrite_output_dir, ways)
  writeTrial(trial, trial.identity, null)
  try {
    for await (const event of train(input, world)) {
      yield event
      if (event.type === 'run-end') end = event
    }
  } catch (error) {
    if (!(error instanceof NotFiniteError)) throw error
    const [failure] = error.message.split('. ')
    writeTrial(trial, trial.identity, { failure })
    return { failure }
  }
  if (end === undefined) return undefined
  const outcome = await resultOf(trial, end)
  writeTrial(trial, trial.identity, outcome)
  return outcome
}

/** How a trial goes on from its checkpoint. Without any it begins anew: a run that was killed early has nothing to lose. */
function trainingOf(settings: TrainSettings, isAnew: boolean, ways: Choices): TrainInput {
  const isBegun = !isAnew && listCheckpoints(settings.output_dir).length > 0
  return isBegun
    ? { ...settings, resume_from_checkpoint: true, overwrite_output_dir: false }
    : { ...settings, ...ways, resume_from_checkpoint: false, overwrite_output_dir: true }
}

async function resultOf({ settings }: Prepared, end: EventOf<'run-end'>): Promise<TrialResult> {
  const metrics = Object.fromEntries(Object.entries(end.metrics).filter(([name]) => name.startsWith('eval_')))
  const problems = await readProblems(settings.output_dir, end.update, metrics)
  return { updates: end.update, ...(await effortOf(settings.output_dir)), metrics, problems }
}

/** A name that is wrong is said before more is trained. */
function refuseUnknown(metric: string, outcome: Outcome): void {
  if ('failure' in outcome || metric in outcome.metrics) return
  throw new UserError(
    `--metric ${metric}: no evaluation has it; there are ${Object.keys(outcome.metrics).join(', ')}. What was trained is kept`,
  )
}
