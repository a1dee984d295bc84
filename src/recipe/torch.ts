/** @file Training by PyTorch: the same data, updates and run folder, with TRL for our engine. */
import { existsSync, readdirSync, statSync } from 'node:fs'
import { messageOf, UserError } from '../base/errors.ts'
import type { RunEvent } from '../data/events.ts'
import { watchAlarms } from '../eval/alarms.ts'
import { estimateByProblem } from '../eval/preference.ts'
import { hubTitle } from '../interop/hub-name.ts'
import { type JobFolder, type TorchJob, writeTorchJob } from '../interop/torch-job.ts'
import { checkPython, type Launch, otherMachines, type Place, runTorchJob } from '../interop/torch-launch.ts'
import { adapterFiles, loadAdapter } from '../model/adapter-file.ts'
import type { ModelConfig } from '../model/config.ts'
import { loadConfig } from '../model/load.ts'
import { standingOf } from '../train/best.ts'
import { checkpointPath, pruneCheckpoints, takeCheckpoint } from '../train/checkpoint.ts'
import { isEvaluation } from '../train/log.ts'
import { notFiniteAt } from '../train/loop.ts'
import { NO_REWARDS } from '../train/reward-loss.ts'
import type { RunFacts, TrainState } from '../train/state.ts'
import { resumeTorchState, TORCH_STATE, writeTorchState } from '../train/torch-state.ts'
import { NO_TRENDS } from '../train/trends.ts'
import { modelFingerprint } from './fingerprint.ts'
import { refuseTooLong } from './fit.ts'
import { loraSettings } from './lora-settings.ts'
import { type TorchSettings, TRL_LOSSES } from './torch-settings.ts'
import { withAlarms } from './train-alarms.ts'
import { encodeTrainText, loadTrainText, type TrainData } from './train-data.ts'
import { encodingOf } from './train-encoding.ts'
import { dataLoaded, factsOf } from './train-facts.ts'
import { leave } from './train-finish.ts'
import { type Run, writeHeldOut } from './train-lesson.ts'
import { makeAdapter } from './train-parts.ts'
import { type Plan, planRun } from './train-plan.ts'
import type { World } from './world.ts'

function launchOf(settings: TorchSettings, { environment }: World): Launch {
  return {
    launcher: settings.torch_launcher,
    python: settings.torch_python ?? environment['STEPDPO_PYTHON'] ?? 'python3',
    processes: settings.nproc_per_node,
    nodes: settings.nnodes,
    endpoint: settings.rdzv_endpoint,
    accelerateConfig: settings.accelerate_config,
  }
}

/**
 * Looks whether the engine that is to train can be started, before anything is sampled and judged for it.
 * @throws UserError where Python lacks something, or cannot load the model.
 */
export async function tryTorch(settings: TorchSettings & BaseModel, world: World): Promise<void> {
  if (settings.engine !== 'torch') return
  refuseOtherFiles(settings)
  await checkPython(launchOf(settings, world), world.environment)
}

interface BaseModel {
  readonly base_model: string
}

/** @throws UserError for a model that PyTorch does not load, such as a GGUF file. */
function refuseOtherFiles({ base_model: base }: BaseModel): void {
  if (!existsSync(base)) return // said elsewhere, in other words
  const names = statSync(base).isDirectory() ? readdirSync(base) : []
  if (names.includes('config.json') && names.some((name) => name.endsWith('.safetensors'))) return
  throw new UserError(
    `--engine torch: ${base}: expected a folder with config.json and safetensors, which PyTorch loads: ` +
      'name such a folder, or say --engine node',
  )
}

/** How many processes there are, unless a file of accelerate's says that. */
function startedBy({ launcher, processes, nodes, accelerateConfig }: Launch): string {
  const isInFile = accelerateConfig !== undefined && processes === 1
  return isInFile ? `by ${launcher}` : `${processes * nodes} by ${launcher}`
}

/**
 * Trains as the settings say in processes of PyTorch, and yields what happens.
 * @throws UserError where Python lacks something, or the processes fail.
 */
export async function* runTorch(run: Run): AsyncGenerator<RunEvent> {
  const { settings, folder, begin, world } = run
  const launch = launchOf(settings, world)
  refuseOtherFiles(settings)
  const { config } = loadConfig(settings.base_model)
  refuseTooLong(settings, config)
  const versions = await checkPython(launch, world.environment)
  yield {
    type: 'run-begin',
    run: begin.run,
    folder: folder.path,
    model: settings.base_model,
    adapter: `LoRA r${loraSettings(settings).rank}`,
    data: settings.dataset_path,
    device: `torch ${versions.get('torch') ?? ''} (${startedBy(launch)})`,
  }
  yield* run.early
  const text = yield* loadTrainText(settings)
  const encoding = encodingOf(settings, text, new Date(begin.started))
  const data = yield* encodeTrainText(text, encoding, settings, config.vocabularySize)
  const plan = planRun(settings, data.train)
  yield dataLoaded(settings, data, plan)
  yield* trainJob(run, launch, { plan, data, config })
}

interface Lesson {
  readonly plan: Plan
  readonly data: TrainData
  readonly config: ModelConfig
}

async function* trainJob(run: Run, launch: Launch, lesson: Lesson): AsyncGenerator<RunEvent> {
  const { settings, folder, begin, world } = run
  const { base_model: base } = settings
  const facts = factsOf(settings, lesson.plan, begin, modelFingerprint(base))
  const state = stateOf(run, facts)
  const job = writeTorchJob(folder.own('torch'), jobOf(run, lesson))
  const others = otherMachines(launch, job.path)
  if (others !== undefined) yield { type: 'warning', message: others }
  const started = world.seconds()
  const watch = watchAlarms()
  const place = { environment: world.environment, signal: world.signal, log: folder.own('run.log') }
  const saved = yield* withAlarms(follow(run, { job, launch, place }, state, facts), state.log, watch)
  // Where it was asked to stop within its last update, what was trained may not be written yet.
  if (state.update < facts.updates || !existsSync(job.trained)) {
    // Slurm and systemd may ask Python alone to stop, which saves then.
    if (!world.signal.aborted && saved !== checkpointPath(folder.path, state.update))
      throw new UserError(`the torch engine ended after ${state.update} of ${facts.updates} updates`)
    yield { type: 'run-interrupted', update: state.update, folder: saved }
    return
  }
  const files = adapterFiles(loadAdapter(job.trained, lesson.config), hubTitle(base) ?? base)
  const told = { state, facts, alarms: watch.raised(), seconds: world.seconds() - started }
  yield leave(run, told, { files, base, isAdapter: true }, state.update)
}

/** The state that a run begins with, or goes on from. Moments stay with Python. */
function stateOf({ settings, checkpoint }: Run, { identity }: RunFacts): TrainState {
  const known = checkpoint && resumeTorchState(checkpoint.path, settings.resume_changed ? undefined : identity)
  return {
    update: checkpoint?.update ?? 0,
    tokens: known?.tokens ?? 0,
    log: [...(known?.log ?? [])],
    rewardMean: NO_REWARDS,
    trends: NO_TRENDS,
    moments: new Map(),
  }
}

function jobOf({ settings, checkpoint }: Run, { plan, data, config }: Lesson): TorchJob {
  const adapter = makeAdapter(settings, config)
  if (adapter === undefined) throw new Error('engine torch trains adapters only')
  return {
    baseModel: settings.base_model,
    resume: checkpoint?.path,
    adapter,
    train: data.train,
    heldOut: data.heldOut,
    updatesPerEpoch: plan.updatesPerEpoch,
    loop: plan.loop,
    losses: plan.objective.terms.map(({ type, weight }) => ({ type: TRL_LOSSES[type] ?? type, weight })),
    beta: settings.beta,
    labelSmoothing: settings.label_smoothing,
    discopopTau: settings.discopop_tau,
    precision: settings.torch_precision,
    gradientCheckpointing: settings.gradient_checkpointing ?? true,
    seed: settings.seed,
  }
}

interface Work {
  readonly job: JobFolder
  readonly launch: Launch
  readonly place: Place
}

/** Runs the job, tells what Python tells in the words of a run, and keeps its state. @returns the newest checkpoint, or nothing. */
async function* follow(
  run: Run,
  { job, launch, place }: Work,
  state: TrainState,
  facts: RunFacts,
): AsyncGenerator<RunEvent, string> {
  const { updates, updatesPerEpoch } = facts
  const evaluated: number[] = state.log.filter((entry) => isEvaluation(entry)).map(({ step }) => step)
  let saved = ''
  for await (const event of runTorchJob(launch, job, place)) {
    switch (event.type) {
      case 'waiting':
        yield { type: 'warning', message: event.message }
        break
      case 'model-loaded':
        yield event
        break
      case 'update-end': {
        const { update, tokens } = event
        state.update = update
        state.tokens += tokens
        const epoch = update / updatesPerEpoch
        const metrics = { ...event.metrics, num_tokens: state.tokens }
        const isLogged = update % run.settings.logging_steps === 0 || update === updates
        if (isLogged) state.log.push({ step: update, epoch, ...metrics })
        yield { ...event, updates, epoch, metrics }
        break
      }
      case 'evaluation-end': {
        const { problems, update } = event
        const own = Object.entries(estimateByProblem(problems)).map(([name, value]) => [`eval_${name}`, value])
        const metrics = { ...Object.fromEntries(own), ...event.metrics }
        if (!evaluated.includes(update)) state.log.push({ step: update, epoch: update / updatesPerEpoch, ...metrics })
        const lines = problems.map(({ problem, pairs, metrics: means }) => ({ problem, pairs, ...means }))
        writeHeldOut(run.folder, update, lines)
        yield { type: event.type, update, metrics, seconds: event.seconds }
        break
      }
      case 'not-finite':
        throw notFiniteAt(event.update, `${event.metric} is not finite`)
      case 'checkpoint-written':
        saved = save(run, job, state, facts)
        yield { type: 'checkpoint-saved', update: state.update, folder: saved, best: isBest(state, facts) }
    }
  }
  return saved
}

function isBest({ update, log }: TrainState, { best }: RunFacts): boolean {
  return standingOf(log, best).best?.update === update
}

/** Takes over the checkpoint that Python has written after the state's update. */
function save({ settings, folder, recorder }: Run, job: JobFolder, state: TrainState, facts: RunFacts): string {
  const { update, tokens, log } = state
  try {
    recorder.sync()
    const own = writeTorchState({ begin: facts.begin, identity: facts.identity, tokens, log })
    const written = takeCheckpoint(job.saved, folder.path, update, [TORCH_STATE, own])
    pruneCheckpoints(folder.path, written, { limit: settings.save_total_limit, kept: undefined })
    return written.path
  } catch (error) {
    throw new UserError(`checkpoint-${update} could not be saved: ${messageOf(error)}`, { cause: error })
  }
}
