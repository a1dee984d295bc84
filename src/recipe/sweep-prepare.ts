/** @file What the trials of a sweep will compute, before any does: their data, their plans, what their numbers follow from. */
import { messageOf, UserError } from '../base/errors.ts'
import type { EncodedGroup } from '../batch/encode.ts'
import type { RunEvent } from '../data/events.ts'
import { loadConfig } from '../model/load.ts'
import { needsScores, unitOf } from '../train/objective.ts'
import type { Identity } from '../train/state.ts'
import type { TrainSettings } from './config.ts'
import { modelFingerprint } from './fingerprint.ts'
import { settleLora, startOf } from './settle-lora.ts'
import { showPoint, type Trial } from './sweep-grid.ts'
import { encodeTrainText, loadTrainText } from './train-data.ts'
import { encodingOf } from './train-encoding.ts'
import { identityOf, type Plan, planRun } from './train-plan.ts'
import type { World } from './world.ts'

/** What a trial needs beside its settings. */
export interface Prepared extends Trial {
  readonly plan: Plan
  readonly heldOut: readonly EncodedGroup[]
  readonly identity: Identity
}

/** The trials with all of LoRA's settings. @throws UserError naming a point that contradicts the adapter they begin from. */
export function settleTrials(trials: readonly Trial[]): Trial[] {
  const start = startOf(trials[0].settings)
  return trials.map((trial) => {
    try {
      return { ...trial, settings: settleLora(trial.settings, start) }
    } catch (error) {
      if (!(error instanceof UserError)) throw error
      const place = `--sweep: the point ${showPoint(trial.point)} cannot be trained`
      throw new UserError(`${place}: ${messageOf(error)}`, { cause: error })
    }
  })
}

/**
 * Loads the data once for each seed, and each use that losses make of it, to know what every trial's numbers will follow from. Only the
 * first loading is told of.
 * @throws UserError where trials would not learn from as many groups.
 */
export async function* prepareTrials(trials: readonly Trial[], world: World): AsyncGenerator<RunEvent, Prepared[]> {
  const fingerprint = modelFingerprint(trials[0].settings.base_model)
  const prepared = new Map<string, Prepared>()
  const sizes = new Map<number, Trial & { readonly groups: number }>()
  for (const key of new Set(trials.map(dataKey))) {
    const own = trials.filter((trial) => dataKey(trial) === key)
    const [{ settings }] = own
    const loading = loadData(settings, world)
    let step = await loading.next()
    for (; !step.done; step = await loading.next()) if (prepared.size === 0) yield step.value
    const { train: groups, heldOut } = step.value
    const other = sizes.get(settings.seed)
    if (other !== undefined && other.groups !== groups.length) {
      throw new UserError(
        `--sweep: ${own[0].name} would learn from ${groups.length} groups, ${other.name} from ${other.groups}: ` +
          'their losses do not use the same part of the data, and cannot be compared in one sweep',
      )
    }
    sizes.set(settings.seed, { ...own[0], groups: groups.length })
    for (const trial of own) {
      const plan = planRun(trial.settings, groups)
      prepared.set(trial.name, { ...trial, plan, heldOut, identity: trialIdentity(trial.settings, plan, fingerprint) })
    }
  }
  return trials.flatMap(({ name }) => prepared.get(name) ?? [])
}

/** Trials of the same key learn from the same groups and hold out the same. */
function dataKey({ settings: { seed, loss_type, soft_labels } }: Trial): string {
  return `${seed} ${unitOf(loss_type)} ${soft_labels || needsScores(loss_type)}`
}

async function* loadData(settings: TrainSettings, world: World) {
  const text = yield* loadTrainText(settings)
  const encoding = encodingOf(settings, text, world.now())
  return yield* encodeTrainText(text, encoding, settings, loadConfig(settings.base_model).config.vocabularySize)
}

/** What a trial's numbers follow from, on whatever machine: threads change their rounding only. */
function trialIdentity(settings: TrainSettings, plan: Plan, fingerprint: string): Identity {
  const ways = { threads: 0, gradient_checkpointing: false }
  const { threads: _, gradient_checkpointing: __, ...identity } = identityOf(settings, plan, ways, fingerprint)
  return Object.fromEntries(Object.entries(identity).filter(([, value]) => value !== undefined))
}
