/** @file Step-DPO training, from settings to a saved adapter: the parts list of the `train` command. */
import { cpus } from 'node:os'
import { z } from 'zod'
import { messageOf, UsageError, UserError } from '../base/errors.ts'
import { writeDurably } from '../base/files.ts'
import { updateBatches } from '../batch/order.ts'
import { packGroups, pairCount } from '../batch/pack.ts'
import type { Metrics, RunEvent } from '../data/events.ts'
import type { Question } from '../data/prompt-rows.ts'
import { evaluateDemonstrations } from '../eval/demonstration.ts'
import { evaluatePreferences } from '../eval/preference.ts'
import { ADAPTER_WEIGHTS } from '../model/adapter-file.ts'
import { initialModel } from '../model/initial.ts'
import { loadModel } from '../model/load.ts'
import { parameterCount } from '../model/weights.ts'
import { loadTokenizer } from '../text/tokenizer.ts'
import { type CheckpointFolder, pruneCheckpoints, writeCheckpoint } from '../train/checkpoint.ts'
import { accumulateDemonstrations } from '../train/demonstrate.ts'
import { referenceLogps } from '../train/logps.ts'
import { isEvaluation, type Training, trainLoop } from '../train/loop.ts'
import { freshState, type RunFacts, restoreState, stateFiles, type TrainState, trainerState } from '../train/state.ts'
import { accumulateGradient } from '../train/update.ts'
import { type TrainInput, type TrainSettings, trainSchema } from './config.ts'
import { evaluateByGenerating, loadEvalQuestions } from './eval-generate.ts'
import { openRecorder, type Recorder } from './recorder.ts'
import { findCheckpoint, openRunFolder, type RunFolder } from './run-folder.ts'
import { settingsToYaml } from './settings-yaml.ts'
import { type Begin, beginOf } from './train-begin.ts'
import { encodeTrainText, loadTrainText, type TrainData, type TrainText } from './train-data.ts'
import { learnedFiles, MODEL_WEIGHTS, writeResults } from './train-output.ts'
import { makeParts, type TrainParts } from './train-parts.ts'
import { identityOf, type Plan, planRun } from './train-plan.ts'
import { systemWorld, type World } from './world.ts'

/**
 * Trains as the settings say, and yields what happens. Leaves an adapter that PEFT loads, or a whole model, in
 * `output_dir`. When the world's signal asks to stop, the run saves and ends with `run-interrupted`.
 * @throws UserError for anything the user can mend: bad settings, files, data, a full disk, numbers that are not finite.
 */
export async function* train(input: TrainInput, world: World = systemWorld()): AsyncGenerator<RunEvent> {
  const parsed = trainSchema.safeParse(input)
  if (!parsed.success) throw new UsageError(z.prettifyError(parsed.error))
  const settings = parsed.data
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
  const recorder = openRecorder(folder, settings, checkpoint?.update ?? 0, world)
  try {
    writeOwnFiles(settings, folder, begin)
    for await (const event of runTraining({ settings, folder, world, recorder, begin, checkpoint, early })) {
      recorder.record(event)
      yield event
    }
  } finally {
    recorder.close()
  }
}

interface Run {
  readonly settings: TrainSettings
  readonly folder: RunFolder
  readonly world: World
  readonly recorder: Recorder
  readonly begin: Begin
  readonly checkpoint: CheckpointFolder | undefined
  /** What happened before the run had a log. */
  readonly early: readonly RunEvent[]
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

async function* runTraining(run: Run): AsyncGenerator<RunEvent> {
  const { settings, folder, begin, world } = run
  yield {
    type: 'run-begin',
    run: begin.run,
    folder: folder.path,
    model: settings.base_model,
    adapter: settings.use_lora ? `LoRA r${settings.lora_r}` : 'all weights',
    data: settings.dataset_path,
    device: `cpu(${begin.threads})`,
  }
  yield* run.early
  const started = world.seconds()
  const text = yield* loadTrainText(settings)
  const model = settings.from_scratch
    ? initialModel(settings.base_model, settings.seed)
    : loadModel(settings.base_model)
  const parts = makeParts(model, settings, begin, run)
  try {
    const trainable = parts.policy.learner.parameters.reduce((count, { values }) => count + values.length, 0)
    const seconds = world.seconds() - started
    yield { type: 'model-loaded', parameters: parameterCount(model.weights), trainable, seconds }
    const data = yield* encodeText(run, text, parts)
    yield* trainOn(run, parts, data)
  } finally {
    await parts.dispose()
  }
}

/** Rows of token ids need no tokenizer; all others do. */
function encodeText({ settings, begin }: Run, text: TrainText, { model }: TrainParts) {
  const isIds = text.loaded.every(({ format }) => format === 'pretokenised')
  const tokenizer = isIds ? undefined : loadTokenizer(settings.base_model, new Date(begin.started))
  return encodeTrainText(text, tokenizer, settings, model.config.vocabularySize)
}

async function* trainOn(run: Run, parts: TrainParts, data: TrainData): AsyncGenerator<RunEvent> {
  const { settings, checkpoint, begin, world } = run
  const plan = planRun(settings, data.train)
  const { updates } = plan.loop
  const problems = new Set(data.train.map(({ problem }) => problem)).size
  const counts = { groups: data.train.length, pairs: pairCount(data.train), problems, evalGroups: data.heldOut.length }
  yield { type: 'data-loaded', ...counts, updates }
  const identity = identityOf(settings, plan, begin, parts.fingerprint)
  const facts = { updates, updatesPerEpoch: plan.updatesPerEpoch, seed: settings.seed, identity, begin }
  const { learner } = parts.policy
  const weights = settings.use_lora ? ADAPTER_WEIGHTS : MODEL_WEIGHTS
  const state =
    checkpoint === undefined
      ? freshState(learner)
      : restoreState(checkpoint.path, weights, learner, settings.resume_changed ? undefined : identity)
  if (settings.precompute_ref_log_probs) yield* precompute(run, parts, plan, data)
  const questions = await loadEvalQuestions(settings)
  const isEvaluated = data.heldOut.length + questions.length > 0
  const started = world.seconds()
  const outcome = yield* trainLoop({
    learner,
    accumulate: accumulatorOf(settings, parts, plan),
    groups: data.train,
    state,
    options: plan.loop,
    hooks: {
      ...(isEvaluated && { evaluate: (update) => evaluateAt(run, parts, { plan, data, questions, update }) }),
      save: (current) => save(run, parts, current, facts),
      seconds: world.seconds,
      signal: world.signal,
    },
  })
  if (outcome === 'finished') yield* finish(run, parts, { state, facts, seconds: world.seconds() - started })
  else if (state.update === 0) yield { type: 'run-interrupted', update: 0, folder: '' }
}

function accumulatorOf(settings: TrainSettings, { policy }: TrainParts, { objective }: Plan): Training['accumulate'] {
  if (settings.objective === 'sft') {
    return (batches, label) => accumulateDemonstrations(policy, objective.packing.maxRowTokens, batches, label)
  }
  return (batches, label) => accumulateGradient(policy, objective, batches, label)
}

/** Everything the reference says of the data, before the first update. */
async function* precompute(
  { world }: Run,
  { policy }: TrainParts,
  { loop, objective }: Plan,
  data: TrainData,
): AsyncGenerator<RunEvent> {
  const { reference, cache } = policy
  const perEpoch = Math.ceil(data.train.length / (loop.order.batchSize * loop.order.accumulation))
  const batches = Array.from({ length: perEpoch }, (_, update) => updateBatches(data.train, update, loop.order)).flat()
  const rows = [...batches.map((batch) => batch.map((at) => data.train[at])), data.heldOut].flatMap((groups) =>
    packGroups(groups, objective.packing),
  )
  const total = pairCount(rows)
  let done = 0
  for (const row of rows) {
    if (world.signal.aborted) break
    await referenceLogps(reference, row, cache)
    done += pairCount([row])
    yield { type: 'reference-progress', done, total, cached: 0 }
  }
  cache.sync()
}

interface Measured {
  readonly plan: Plan
  readonly data: TrainData
  readonly questions: readonly Question[]
  readonly update: number
}

/** Held-out pairs, then problems to solve. */
async function* evaluateAt(run: Run, parts: TrainParts, measured: Measured): AsyncGenerator<RunEvent, Metrics> {
  const { data, questions, update } = measured
  const metrics = data.heldOut.length > 0 ? yield* evaluateHeldOut(run, parts, measured) : {}
  if (questions.length === 0 || run.world.signal.aborted) return metrics
  return { ...metrics, ...(yield* evaluateByGenerating(parts, questions, update, run)) }
}

async function* evaluateHeldOut(
  { settings, world }: Run,
  { policy, evaluated }: TrainParts,
  { plan, data, update }: Measured,
): AsyncGenerator<RunEvent, Metrics> {
  const { objective } = plan
  const steps =
    settings.objective === 'sft'
      ? evaluateDemonstrations(policy.machine, evaluated, data.heldOut, objective.packing.maxRowTokens)
      : evaluatePreferences(policy, evaluated, data.heldOut, objective)
  for (let begun = false; ; begun = true) {
    const step = await steps.next()
    if (step.done) return step.value
    if (!begun) yield { type: 'evaluation-begin', update, total: step.value.total }
    yield { type: 'evaluation-progress', ...step.value }
    if (world.signal.aborted) return {}
  }
}

function save(run: Run, parts: TrainParts, state: TrainState, facts: RunFacts): CheckpointFolder {
  const { folder, recorder, settings } = run
  try {
    recorder.sync()
    parts.policy.cache.sync()
    const files = new Map([...learnedFiles(parts.model, parts.adapter), ...stateFiles(state, facts)])
    const written = writeCheckpoint(folder.path, state.update, files)
    pruneCheckpoints(folder.path, written, { limit: settings.save_total_limit, kept: state.best?.update })
    return written
  } catch (error) {
    throw new UserError(
      `checkpoint-${state.update} could not be saved: ${messageOf(error)}. Those before it are as they were`,
      { cause: error },
    )
  }
}

async function* finish(
  { settings, folder }: Run,
  parts: TrainParts,
  { state, facts, seconds }: { readonly state: TrainState; readonly facts: RunFacts; readonly seconds: number },
): AsyncGenerator<RunEvent> {
  const logged = state.log.filter((entry) => 'loss' in entry)
  const train = {
    train_loss: logged.reduce((total, entry) => total + entry['loss'], 0) / logged.length,
    train_runtime: seconds,
    train_steps_per_second: state.update / seconds,
    epoch: state.update / facts.updatesPerEpoch,
  }
  const { step: _, ...evaluation } = state.log.findLast((entry) => isEvaluation(entry)) ?? {}
  writeResults(folder.path, parts.model, parts.adapter, {
    settings,
    train,
    evaluation,
    updates: state.update,
    state: trainerState(state, facts),
  })
  yield { type: 'run-end', update: state.update, seconds, metrics: { ...train, ...evaluation }, folder: folder.path }
}
