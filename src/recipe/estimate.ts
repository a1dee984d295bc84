/** @file What a run of `train` would take, before anything is loaded but text: the `estimate` command. */
import { availableParallelism } from 'node:os'
import { updateBatches } from '../batch/order.ts'
import { packMembers } from '../batch/pack.ts'
import type { RunEvent } from '../data/events.ts'
import { measureSpeed, type Speed } from '../engine/speed.ts'
import type { ModelConfig } from '../model/config.ts'
import { learningCount } from '../model/footprint.ts'
import { loadConfig } from '../model/load.ts'
import { linearCount, type RowSize, rowFlops, rowPasses, type WorkOptions } from '../model/work.ts'
import { packFor } from '../train/update.ts'
import { chooseWays } from './choose-ways.ts'
import type { TrainSettings } from './config.ts'
import { adviceFor, type FitSettings, gpuBytes, loraOf, type Need, needOf, peakOf } from './fit.ts'
import { lessonOf } from './objectives.ts'
import { encodeTrainText, loadTrainText, type TrainData } from './train-data.ts'
import { encodingOf } from './train-encoding.ts'
import { keepOf } from './train-parts.ts'
import { type Plan, planRun } from './train-plan.ts'
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
  readonly seconds_per_update: number
  readonly seconds: number
  readonly checkpoint_bytes: number
  readonly fits: boolean
  /** What would make it fit, or when another engine pays. */
  readonly advice: readonly string[]
}

/** Updates whose rows are looked at: packing takes some milliseconds for each. */
const SAMPLED_UPDATES = 1000
/** What the engine reaches of the rate of its products (bench:engine). */
const EFFICIENCY = 0.85
/** Of one program of one layer, beside its products. */
const SECONDS_PER_PROGRAM = 0.4e-3
/** Programs that a layer runs in a pass. */
const PROGRAMS = 3
/** From here on a GPU is worth the trouble. */
const LONG_SECONDS = 24 * 3600

interface Sampled {
  readonly rows: readonly RowSize[]
  readonly updates: number
}

/** The rows of the first updates. */
function sampleRows(data: TrainData, plan: Plan, settings: TrainSettings): Sampled {
  const updates = Math.min(plan.loop.updates, SAMPLED_UPDATES)
  const isPreference = lessonOf(settings) === 'preferences'
  const rows = Array.from({ length: updates }, (_, update) => updateBatches(data.train, update, plan.loop.order))
    .flat()
    .map((batch) => batch.map((at) => data.train[at]))
    .flatMap((groups) =>
      isPreference ? packFor(groups, plan.objective) : packMembers(groups, settings.max_row_tokens),
    )
    .map(({ row }) => ({ tokens: row.ids.length, scored: row.scored.length }))
  return { rows, updates }
}

function largestOf(rows: readonly RowSize[]): RowSize {
  return rows.reduce((most, { tokens, scored }) => ({
    tokens: Math.max(most.tokens, tokens),
    scored: Math.max(most.scored, scored),
  }))
}

/** Seconds of one update, on average. */
function secondsOf(
  config: ModelConfig,
  { rows, updates }: Sampled,
  options: WorkOptions,
  speed: Speed & { stored: boolean },
) {
  const passes = rowPasses(options)
  const flops = rows.reduce((sum, row) => sum + rowFlops(config, row, options), 0)
  const decoded = speed.stored ? rows.length * passes * linearCount(config) : 0
  const programs = rows.length * passes * PROGRAMS * config.layers
  const seconds = flops / (speed.flops * EFFICIENCY) + decoded / speed.decoded + programs * SECONDS_PER_PROGRAM
  return seconds / updates
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
export async function estimate(settings: TrainSettings, now = new Date()): Promise<Estimate> {
  const { config } = loadConfig(settings.base_model)
  const text = await ended(loadTrainText(settings))
  const data = await ended(encodeTrainText(text, encodingOf(settings, text, now), settings, config.vocabularySize))
  const plan = planRun(settings, data.train)
  const sampled = sampleRows(data, plan, settings)
  const largest = largestOf(sampled.rows)
  const { gradient_checkpointing } = chooseWays(settings, config)
  const fitted: FitSettings = { ...settings, gradient_checkpointing }
  const memory = needOf(fitted, config, largest)
  const peak = peakOf(memory)
  const lora = settings.use_lora ? loraOf(settings, config) : null
  const isCompared = lessonOf(settings) === 'preferences' && !settings.reference_free
  const options = { lora, recomputes: gradient_checkpointing, hasReference: isCompared }
  const threads = settings.threads ?? availableParallelism()
  const speed = await measureSpeed(threads, config.hiddenSize, config.intermediateSize)
  const stored = keepOf(settings) !== 'float32' && memory.decoded > 0
  const perUpdate = secondsOf(config, sampled, options, { ...speed, stored })
  const seconds = perUpdate * plan.loop.updates
  const { free, limit } = usableMemory()
  const trained = learningCount(config, lora)
  const fits = peak <= free
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
    updates: plan.loop.updates,
    rows_per_update: sampled.rows.length / sampled.updates,
    tokens_per_update: sampled.rows.reduce((sum, { tokens }) => sum + tokens, 0) / sampled.updates,
    largest_row: largest.tokens,
    seconds_per_update: perUpdate,
    seconds,
    checkpoint_bytes: 12 * trained, // the weights that learn, and two moments
    fits,
    advice: [
      ...(fits ? [] : [adviceFor(fitted, config, largest, free)]),
      ...(seconds > LONG_SECONDS ? [longAdvice(seconds, gpuBytes(fitted, config))] : []),
    ],
  }
}

function longAdvice(seconds: number, bytes: number): string {
  return (
    `it takes ${(seconds / 86_400).toFixed(1)} days on this machine: --engine torch hands it to GPUs with about ` +
    `${(bytes / 1e9).toFixed(0)} GB of memory, with the same groups and settings`
  )
}
