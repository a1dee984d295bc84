/** @file What a run of `train` would take, before anything is loaded but text: the `estimate` command. */
import { updateBatches } from '../batch/order.ts'
import { packMembers } from '../batch/pack.ts'
import type { RunEvent } from '../data/events.ts'
import type { ModelConfig } from '../model/config.ts'
import { learningCount } from '../model/footprint.ts'
import { loadConfig } from '../model/load.ts'
import type { Row } from '../model/row.ts'
import { type RowSize, totalWork, type WorkOptions } from '../model/work.ts'
import { askedOf, packFor } from '../train/update.ts'
import { chooseWays } from './choose-ways.ts'
import type { TrainSettings } from './config.ts'
import { openBackend } from './device.ts'
import { adviceFor, type FitSettings, gpuBytes, type Need, needOf, peakOf, refuseTooLong } from './fit.ts'
import { loraSettings } from './lora-settings.ts'
import { lessonOf } from './objectives.ts'
import { settleLora } from './settle-lora.ts'
import { encodeTrainText, loadTrainText, type TrainData } from './train-data.ts'
import { encodingOf } from './train-encoding.ts'
import { type Plan, planRun } from './train-plan.ts'
import { type Pace, sizeOf, trialPace } from './trial.ts'
import { usableMemory } from './usable-memory.ts'

export interface Estimate {
  readonly base_model: string
  readonly parameters: number
  readonly trained: number
  /** Bytes, by part. */
  readonly memory: Need
  readonly peak: number
  readonly free: number
  readonly limit: number
  readonly gradient_checkpointing: boolean
  readonly groups: number
  readonly updates: number
  readonly rows_per_update: number
  readonly tokens_per_update: number
  readonly largest_row: number
  /** null where the run does not fit: then it is not tried. */
  readonly seconds_per_update: number | null
  readonly seconds: number | null
  readonly checkpoint_bytes: number
  readonly fits: boolean
  /** What would make it fit, or when another engine pays. */
  readonly advice: readonly string[]
}

/** Updates whose rows are looked at: packing takes some milliseconds for each. */
const SAMPLED_UPDATES = 1000
/** Updates of which a trial runs some rows. */
const TRIAL_UPDATES = 20
/** From here on a GPU is worth the trouble. */
const LONG_SECONDS = 24 * 3600

interface Sampled {
  /** The sizes of all rows of the first updates. */
  readonly sizes: readonly RowSize[]
  readonly updates: number
  /** The rows of the very first ones. */
  readonly rows: readonly Row[]
}

function sampleRows(data: TrainData, plan: Plan, settings: TrainSettings): Sampled {
  const updates = Math.min(plan.loop.updates, plan.updatesPerEpoch, SAMPLED_UPDATES)
  const isPreference = lessonOf(settings) === 'preferences'
  const rowsOf = (update: number): Row[] =>
    updateBatches(data.train, update, plan.loop.order)
      .map((batch) => batch.map((at) => data.train[at]))
      .flatMap((groups) =>
        isPreference ? packFor(groups, plan.objective) : packMembers(groups, settings.max_row_tokens),
      )
      .map(({ row }) => row)
  const sizes: RowSize[] = []
  const rows: Row[] = []
  for (let update = 0; update < updates; update++) {
    const own = rowsOf(update)
    sizes.push(...own.map(sizeOf))
    if (update < TRIAL_UPDATES) rows.push(...own)
  }
  return { sizes, updates, rows }
}

function largestOf(rows: readonly RowSize[]): RowSize {
  return rows.reduce((most, { tokens, scored }) => ({
    tokens: Math.max(most.tokens, tokens),
    scored: Math.max(most.scored, scored),
  }))
}

/** Seconds of one update, on average. */
function updateSeconds(
  config: ModelConfig,
  { sizes, updates }: Sampled,
  options: WorkOptions & { readonly trained: number },
  pace: Pace,
): number {
  const { layers, head } = totalWork(config, sizes, options)
  return (layers * pace.work.layers + head * pace.work.head) / updates + options.trained * pace.parameter
}

/** Of all updates. */
async function trainSeconds(
  config: ModelConfig,
  sampled: Sampled,
  plan: Plan,
  options: WorkOptions & { readonly trained: number; readonly settings: TrainSettings },
): Promise<number> {
  const { settings } = options
  const pace = await trialPace(config, sampled.rows, { ...options, backend: await openBackend(settings) })
  // What the reference says is kept for later epochs, unless it moves.
  const later = { ...options, hasReference: options.hasReference && settings.sync_ref_model }
  const { updates } = plan.loop
  const first = Math.min(updates, plan.updatesPerEpoch)
  return (
    pace.start +
    first * updateSeconds(config, sampled, options, pace) +
    (updates - first) * updateSeconds(config, sampled, later, pace)
  )
}

async function ended<T>(events: AsyncGenerator<RunEvent, T> | Generator<RunEvent, T>): Promise<T> {
  for (;;) {
    const step = await events.next()
    if (step.done) return step.value
  }
}

/**
 * @throws UserError or InputError where model or data cannot be used.
 */
export async function estimate(given: TrainSettings, now = new Date()): Promise<Estimate> {
  const settings = settleLora(given)
  const { config } = loadConfig(settings.base_model)
  refuseTooLong(settings, config)
  const text = await ended(loadTrainText(settings))
  const data = await ended(encodeTrainText(text, encodingOf(settings, text, now), settings, config.vocabularySize))
  const plan = planRun(settings, data.train)
  const sampled = sampleRows(data, plan, settings)
  const largest = largestOf(sampled.sizes)
  const { gradient_checkpointing } = chooseWays(settings, config)
  const fitted: FitSettings = { ...settings, gradient_checkpointing }
  const memory = needOf(fitted, config, largest)
  const peak = peakOf(memory)
  const lora = settings.use_lora ? loraSettings(settings) : null
  const isCompared = lessonOf(settings) === 'preferences' && askedOf(plan.objective).reference
  const trained = learningCount(config, lora)
  const options = { lora, recomputes: gradient_checkpointing, hasReference: isCompared, trained }
  const { free, limit } = usableMemory()
  const fits = peak <= free
  const seconds = fits ? await trainSeconds(config, sampled, plan, { ...options, settings }) : null
  const { updates } = plan.loop
  return {
    base_model: settings.base_model,
    parameters: learningCount(config, null),
    trained,
    memory,
    peak,
    free,
    limit,
    gradient_checkpointing,
    groups: data.train.length,
    updates,
    rows_per_update: sampled.sizes.length / sampled.updates,
    tokens_per_update: sampled.sizes.reduce((sum, { tokens }) => sum + tokens, 0) / sampled.updates,
    largest_row: largest.tokens,
    seconds_per_update: seconds === null ? null : seconds / updates,
    seconds,
    checkpoint_bytes: 12 * trained, // the weights that learn, and two moments
    fits,
    advice: [
      ...(fits ? [] : [adviceFor(fitted, config, largest, free)]),
      ...(seconds !== null && seconds > LONG_SECONDS ? [longAdvice(seconds, gpuBytes(fitted, config))] : []),
    ],
  }
}

function longAdvice(seconds: number, bytes: number): string {
  return (
    `it takes ${(seconds / 86_400).toFixed(1)} days on this machine: --engine torch hands it to GPUs with about ` +
    `${(bytes / 1e9).toFixed(0)} GB of memory, with the same groups and settings`
  )
}
