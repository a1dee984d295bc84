/** @file The end of a run that was not interrupted: which weights it leaves, and what it says of itself. */
import { writeDurably } from '../base/files.ts'
import type { Metrics, RunEvent } from '../data/events.ts'
import type { RaisedAlarm } from '../eval/alarms.ts'
import { drawStepRewards, stepRewardsOf } from '../eval/step-rewards.ts'
import { ADAPTER_WEIGHTS } from '../model/adapter-file.ts'
import type { Learner } from '../model/learner.ts'
import { standingOf } from '../train/best.ts'
import { checkpointPath, damageOf } from '../train/checkpoint.ts'
import { isEvaluation, type LogEntry } from '../train/log.ts'
import { type RunFacts, restoreValues, type TrainState, trainerState } from '../train/state.ts'
import type { Run } from './train-lesson.ts'
import { type Learned, type Left, leftOf, MODEL_WEIGHTS, writeResults } from './train-output.ts'

/** What a run knows of itself at its end. */
export interface Told {
  readonly state: TrainState
  readonly facts: RunFacts
  readonly alarms: readonly RaisedAlarm[]
  readonly seconds: number
}

export interface Ended extends Told {
  readonly learner: Learner
  readonly learned: Learned
}

/** Writes the results: those of the best weights where these are wanted, else those of the last. */
export async function* finish(run: Run, ended: Ended): AsyncGenerator<RunEvent> {
  const update = yield* loadBest(run, ended)
  yield leave(run, ended, leftOf(ended.learned), update)
}

/** Writes the results of the weights after an update. */
export function leave(
  { settings, folder }: Pick<Run, 'settings' | 'folder'>,
  told: Told,
  left: Left,
  update: number,
): RunEvent {
  const { state, facts, alarms, seconds } = told
  const logged = state.log.filter((entry) => 'loss' in entry)
  const train = {
    train_loss: logged.reduce((total, entry) => total + entry['loss'], 0) / logged.length,
    train_runtime: seconds,
    train_steps_per_second: state.update / seconds,
    epoch: state.update / facts.updatesPerEpoch,
  }
  const evaluation = evaluationOf(state.log, update)
  const rewards = stepRewardsOf(state.log)
  if (rewards !== undefined) writeDurably(folder.own('step-rewards.json'), `${JSON.stringify(rewards, null, 2)}\n`)
  writeResults(folder.path, left, {
    settings,
    train,
    evaluation,
    updates: update,
    state: trainerState(state, facts),
    alarms,
    picture: rewards === undefined ? [] : drawStepRewards(rewards),
  })
  return { type: 'run-end', update: state.update, seconds, metrics: { ...train, ...evaluation }, folder: folder.path }
}

/** Puts the best weights back where that is wanted. @returns after which update the weights are that are left. */
async function* loadBest(
  { settings, folder }: Run,
  { learner, state, facts }: Ended,
): AsyncGenerator<RunEvent, number> {
  const { best } = standingOf(state.log, facts.best)
  if (!settings.load_best_model_at_end || best === undefined || best.update === state.update) return state.update
  const path = checkpointPath(folder.path, best.update)
  const damage = damageOf({ path, update: best.update })
  if (damage === undefined) {
    restoreValues(`${path}/${settings.use_lora ? ADAPTER_WEIGHTS : MODEL_WEIGHTS}`, learner.parameters)
    return best.update
  }
  yield { type: 'warning', message: `${path} cannot be loaded as the best: ${damage}. The last weights are left` }
  return state.update
}

/** The evaluation of the weights after an update, or the last one. */
function evaluationOf(log: readonly LogEntry[], update: number): Metrics {
  const evaluations = log.filter((entry) => isEvaluation(entry))
  const { step: _, ...metrics } = evaluations.find(({ step }) => step === update) ?? evaluations.at(-1) ?? {}
  return metrics
}
