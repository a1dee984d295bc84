/** @file Step-DPO training, from settings to a saved adapter: the parts list of the `train` command. */
import { cpus } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { messageOf, UsageError, UserError } from '../base/errors.ts'
import { writeDurably } from '../base/files.ts'
import type { RunEvent } from '../data/events.ts'
import { watchAlarms } from '../eval/alarms.ts'
import { ADAPTER_WEIGHTS } from '../model/adapter-file.ts'
import { initialModel } from '../model/initial.ts'
import { type LoadedModel, loadConfig, loadKept } from '../model/load.ts'
import { float32Weights, type KeptTensor, parameterCount } from '../model/weights.ts'
import { standingOf } from '../train/best.ts'
import { type CheckpointFolder, pruneCheckpoints, writeCheckpoint } from '../train/checkpoint.ts'
import { trainLoop } from '../train/loop.ts'
import { REFERENCE, referenceParts, restoreReference } from '../train/moving-reference.ts'
import { freshState, type RunFacts, restoreState, stateFiles, type TrainState } from '../train/state.ts'
import { type TrainInput, type TrainSettings, trainSchema } from './config.ts'
import { openBackend } from './device.ts'
import { loadEvalQuestions } from './eval-generate.ts'
import { refuseTooLarge, refuseTooLong, warnTight } from './fit.ts'
import { loraSettings } from './lora-settings.ts'
import { openRecorder } from './recorder.ts'
import { findCheckpoint, openRunFolder, type RunFolder } from './run-folder.ts'
import { settingsToYaml } from './settings-yaml.ts'
import { settleLora } from './settle-lora.ts'
import { runTorch } from './torch.ts'
import { withAlarms } from './train-alarms.ts'
import { type Begin, beginOf } from './train-begin.ts'
import { encodeTrainText, loadTrainText, type TrainData } from './train-data.ts'
import { encodingOf } from './train-encoding.ts'
import { dataLoaded, factsOf } from './train-facts.ts'
import { finish } from './train-finish.ts'
import { evaluateAt, lessonFor, precompute, type Run, syncReference } from './train-lesson.ts'
import { type Learned, learnedFiles, MODEL_WEIGHTS } from './train-output.ts'
import { keepOf, makeParts, type TrainParts } from './train-parts.ts'
import { planRun } from './train-plan.ts'
import { systemWorld, type World } from './world.ts'

/**
 * Trains as the settings say, and yields what happens. Leaves an adapter that PEFT loads, or a whole model, in
 * `output_dir`. When the world's signal asks to stop, the run saves and ends with `run-interrupted`.
 * @throws UserError for anything the user can mend: bad settings, files, data, a full disk, numbers that are not finite.
 */
export async function* train(input: TrainInput, world: World = systemWorld()): AsyncGenerator<RunEvent> {
  const parsed = trainSchema.safeParse(input)
  if (!parsed.success) throw new UsageError(z.prettifyError(parsed.error))
  const settings = settleLora(parsed.data)
  const folder = openRunFolder(settings.output_dir)
  try {
    yield* trainInFolder(settings, folder, world)
  } finally {
    folder.release()
  }
}

async function* trainInFolder(settings: TrainSettings, folder: RunFolder, world: World): AsyncGenerator<RunEvent> {
  const early: RunEvent[] = []
  const checkpoint = findCheckpoint(folder, settings, ({ path }, reason) => {
    early.push({ type: 'checkpoint-damaged', folder: path, reason })
  })
  if (checkpoint !== undefined) early.push({ type: 'run-resumed', update: checkpoint.update, folder: checkpoint.path })
  else if (settings.resume_from_checkpoint !== false) {
    early.push({ type: 'warning', message: 'there is no checkpoint to resume from yet: the run begins anew' })
  }
  const begin = beginOf(settings, checkpoint, world.now())
  if (begin.moved_from !== undefined) {
    const message = `the run was on ${begin.moved_from} and goes on on ${begin.device}: its numbers will differ by rounding`
    early.push({ type: 'warning', message })
  }
  const recorder = openRecorder(folder, settings, checkpoint?.update ?? 0, world)
  try {
    writeOwnFiles(settings, folder, begin)
    const run: Run = { settings, folder, world, recorder, begin, checkpoint, early }
    for await (const event of settings.engine === 'torch' ? runTorch(run) : runTraining(run)) {
      recorder.record(event)
      yield event
    }
  } finally {
    recorder.close()
  }
}

function writeOwnFiles(settings: TrainSettings, folder: RunFolder, begin: Begin): void {
  writeDurably(folder.own('config.resolved.yaml'), settingsToYaml(trainSchema, settings))
  const [processor] = cpus()
  const environment = {
    ...begin,
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    processor: `${cpus().length} × ${processor?.model ?? 'unknown'}`,
  }
  writeDurably(folder.own('env.json'), `${JSON.stringify(environment, null, 2)}\n`)
}

/** What learns, for people. */
function learnerName(settings: TrainSettings): string {
  if (!settings.use_lora) return 'all weights'
  const rounding = { float32: '', stored: '', int8: ' on 8 bits', int4: ' on 4 bits' }[keepOf(settings)]
  return `LoRA r${loraSettings(settings).rank}${rounding}`
}

async function* runTraining(run: Run): AsyncGenerator<RunEvent> {
  const { settings, folder, begin, world } = run
  yield {
    type: 'run-begin',
    run: begin.run,
    folder: folder.path,
    model: settings.base_model,
    adapter: learnerName(settings),
    data: settings.dataset_path,
    device: begin.device === 'cpu' ? `cpu(${begin.threads})` : begin.device,
  }
  yield* run.early
  const backend = await openBackend(begin)
  const started = world.seconds()
  const fitted = { ...settings, gradient_checkpointing: begin.gradient_checkpointing }
  const { config } = loadConfig(settings.base_model)
  refuseTooLarge(fitted, config)
  refuseTooLong(settings, config)
  const tight = warnTight(fitted, config)
  if (tight !== undefined) yield { type: 'warning', message: tight }
  const text = yield* loadTrainText(settings)
  const model: LoadedModel<KeptTensor> = settings.from_scratch
    ? initialModel(settings.base_model, settings.seed)
    : loadKept(settings.base_model, keepOf(settings))
  const parts = makeParts(model, settings, begin, { ...run, backend })
  try {
    const trainable = parts.policy.learner.parameters.reduce((count, { values }) => count + values.length, 0)
    const seconds = world.seconds() - started
    yield { type: 'model-loaded', parameters: parameterCount(model.weights), trainable, seconds }
    const encoding = encodingOf(settings, text, new Date(begin.started))
    const data = yield* encodeTrainText(text, encoding, settings, model.config.vocabularySize)
    yield* trainOn(run, parts, data)
  } finally {
    await parts.dispose()
  }
}

async function* trainOn(run: Run, parts: TrainParts, data: TrainData): AsyncGenerator<RunEvent> {
  const { settings, checkpoint, begin, world } = run
  const plan = planRun(settings, data.train)
  yield dataLoaded(settings, data, plan)
  const facts = factsOf(settings, plan, begin, parts.fingerprint)
  const { identity } = facts
  const { learner } = parts.policy
  const weights = settings.use_lora ? ADAPTER_WEIGHTS : MODEL_WEIGHTS
  const state =
    checkpoint === undefined
      ? freshState(learner)
      : restoreState(checkpoint.path, weights, learner, settings.resume_changed ? undefined : identity)
  if (checkpoint !== undefined && settings.sync_ref_model) {
    restoreReference(join(checkpoint.path, REFERENCE), float32Weights(parts.policy.reference.weights))
  }
  if (settings.precompute_ref_log_probs) yield* precompute(run, parts, plan, data)
  const questions = await loadEvalQuestions(settings)
  const isEvaluated = data.heldOut.length + questions.length > 0
  const measuredAt = (update: number) => ({ plan, data, questions, update, rewardShift: state.rewardMean.mean })
  const started = world.seconds()
  const learned = { ...parts, verdicts: data.verdicts?.settings }
  const watch = watchAlarms()
  const training = trainLoop({
    learner,
    lesson: lessonFor(settings, parts, { plan, data }, state),
    groups: data.train,
    state,
    options: plan.loop,
    hooks: {
      ...(isEvaluated && { evaluate: (update) => evaluateAt(run, parts, measuredAt(update)) }),
      ...(settings.sync_ref_model && { updated: (update) => syncReference(settings, parts, update) }),
      save: (current) => save(run, learned, current, facts),
      seconds: world.seconds,
      signal: world.signal,
    },
  })
  const outcome = yield* withAlarms(training, state.log, watch)
  const ended = { learner, learned, state, facts, alarms: watch.raised(), seconds: world.seconds() - started }
  if (outcome === 'finished') yield* finish(run, ended)
  else if (state.update === 0) yield { type: 'run-interrupted', update: 0, folder: '' }
}

function save(run: Run, parts: TrainParts & Learned, state: TrainState, facts: RunFacts): CheckpointFolder {
  const { folder, recorder, settings } = run
  try {
    recorder.sync()
    parts.policy.cache?.sync()
    const files = new Map([...learnedFiles(parts), ...stateFiles(state, facts)])
    if (settings.sync_ref_model) files.set(REFERENCE, referenceParts(float32Weights(parts.policy.reference.weights)))
    const written = writeCheckpoint(folder.path, state.update, files)
    const { best } = standingOf(state.log, facts.best)
    pruneCheckpoints(folder.path, written, { limit: settings.save_total_limit, kept: best?.update })
    return written
  } catch (error) {
    throw new UserError(
      `checkpoint-${state.update} could not be saved: ${messageOf(error)}. Those before it are as they were`,
      { cause: error },
    )
  }
}
