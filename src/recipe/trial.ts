/**
 * @file How fast this machine trains a model: a trial with some of its rows, through a few layers with invented weights.
 * The passes are those of training; nothing of the model is loaded.
 */
import type { Backend, FloatArray } from '../engine/backend.ts'
import type { ModelConfig } from '../model/config.ts'
import { excerptOf } from '../model/excerpt.ts'
import type { FedLayers } from '../model/forward.ts'
import { adapterLearner, fullLearner, type Parameter } from '../model/learner.ts'
import { createAdapter, type LoraSettings } from '../model/lora.ts'
import { makeMachine } from '../model/machine.ts'
import { backwardRow, forwardRow, type Gradients, scoreRow, weightLayers } from '../model/pass.ts'
import type { Row } from '../model/row.ts'
import { openWeights } from '../model/tensor-source.ts'
import { linearCount, type RowSize, totalWork, type Work, type WorkOptions } from '../model/work.ts'
import { adamStep, globalNorm, zeroMoments } from '../train/adamw.ts'
import type { TrainSettings } from './config.ts'
import { keepOf } from './train-parts.ts'

/** What training takes, in seconds. */
export interface Pace {
  /** For an operation in the layers, and in the head. */
  readonly work: Work
  /** For each parameter that learns, with every update. */
  readonly parameter: number
  /** Once: until programs are compiled. */
  readonly start: number
}

/** Layers whose weights together are larger than this do not stay in a processor's cache, as those of a model do not. */
const CACHE_BYTES = 48e6
/** Operations of one pass of the trial. */
const MOST_WORK = 1e12
/** The time of the head goes with the vocabulary. */
const MOST_VOCABULARY = 1 << 15
const TRIAL_SECONDS = 3
const LEAST_ROUNDS = 3

/** The work of a pass over some rows, forward, backward and under the reference. */
interface Rehearsal {
  readonly config: ModelConfig
  readonly parameters: readonly Parameter[]
  run(): Promise<void>
  dispose(): Promise<void>
}

/** The sizes of a row. */
export function sizeOf({ ids, scored }: Row): RowSize {
  return { tokens: ids.length, scored: scored.length }
}

/** The first part of a row, which is one, since tokens follow their parents; as large a share of it is scored, at its end. */
function cutRow({ ids, parents, scored }: Row, share: number, vocabularySize: number): Row {
  const tokens = Math.ceil(ids.length * share)
  const count = Math.ceil(scored.length * share)
  const places = Int32Array.from({ length: tokens }, (_, token) => token)
  return {
    ids: ids.subarray(0, tokens).map((id) => id % vocabularySize),
    parents: parents.subarray(0, tokens),
    scored: share < 1 ? places.filter((token) => parents[token] >= 0).slice(-count) : scored,
  }
}

/** Rows at the quarters of all tokens, so that long ones weigh as they do in training. */
function typicalRows(rows: readonly Row[]): Row[] {
  const byLength = rows.toSorted((a, b) => a.ids.length - b.ids.length)
  const total = rows.reduce((sum, { ids }) => sum + ids.length, 0)
  const chosen = new Set<Row>()
  let passed = 0
  let quarter = 1
  for (const row of byLength) {
    passed += row.ids.length
    for (; quarter < 4 && passed >= (total * quarter) / 4; quarter++) chosen.add(row)
  }
  return [...chosen]
}

function layerCount(config: ModelConfig): number {
  const bytes = 4 * linearCount({ ...config, layers: 1 })
  return Math.min(config.layers, Math.ceil(CACHE_BYTES / bytes))
}

/** Targets may name modules of layers that are not among the first: by their last names there are some in each. */
function onEveryLayer(lora: LoraSettings): LoraSettings {
  const { targets } = lora
  if (targets === 'all-linear') return lora
  return { ...lora, targets: targets.map((target) => target.slice(target.lastIndexOf('.') + 1)) }
}

interface TrialOptions extends WorkOptions {
  readonly settings: TrainSettings
  readonly backend: Backend
}

function rehearse(
  whole: ModelConfig,
  rows: readonly Row[],
  layers: number,
  { settings, backend, lora, recomputes, hasReference }: TrialOptions,
): Rehearsal {
  const source = settings.from_scratch ? undefined : openWeights(settings.base_model)
  try {
    const vocabularySize = Math.min(whole.vocabularySize, MOST_VOCABULARY)
    const { config, weights } = excerptOf(whole, source, keepOf(settings), { layers, vocabularySize })
    const machine = makeMachine(backend, config, weights)
    const reference = weightLayers(machine)
    const learner =
      lora === null
        ? fullLearner(machine)
        : layers > 0
          ? adapterLearner(machine, createAdapter(config, lora, settings.seed), settings.seed)
          : { layers: (): FedLayers => reference, gradients: { layers: [] } satisfies Gradients, parameters: [] }
    const keeping = recomputes ? 'inputs' : 'products'
    const slopes = (row: Row): FloatArray => backend.allocate(row.scored.length).fill(1)
    return {
      config,
      parameters: learner.parameters,
      run: async () => {
        for (const [at, row] of rows.entries()) {
          if (hasReference) await scoreRow(machine, row, reference)
          const pass = await forwardRow(machine, row, learner.layers(`trial ${at}`), keeping)
          await backwardRow(machine, pass, slopes(row), learner.gradients)
        }
      },
      dispose: () => machine.dispose(),
    }
  } finally {
    source?.close()
  }
}

async function secondsOf(run: () => Promise<void> | void): Promise<number> {
  const started = performance.now()
  await run()
  return (performance.now() - started) / 1000
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]
}

/** Clears the gradients, takes their norm and moves the parameters by nothing. */
function optimizer({ parameters }: Rehearsal, settings: TrainSettings): () => void {
  const moments = parameters.map(({ values }) => zeroMoments(values.length))
  const options = {
    beta1: settings.adam_beta1,
    beta2: settings.adam_beta2,
    epsilon: settings.adam_epsilon,
    weightDecay: 0,
  }
  return () => {
    const norm = globalNorm(parameters.map(({ gradient }) => gradient))
    parameters.forEach((parameter, at) => {
      adamStep(parameter, moments[at], options, { time: 1, rate: 0, factor: 1 / (1 + norm) })
      parameter.gradient.fill(0)
    })
  }
}

/**
 * Takes some seconds, for models of billions of parameters some more.
 * @param rows some of those that will be trained on, at least one.
 */
export async function trialPace(config: ModelConfig, rows: readonly Row[], options: TrialOptions): Promise<Pace> {
  const layers = layerCount(config)
  const vocabularySize = Math.min(config.vocabularySize, MOST_VOCABULARY)
  const typical = typicalRows(rows)
  const own = { ...options, lora: options.lora && onEveryLayer(options.lora) }
  const asked = totalWork({ ...config, layers, vocabularySize }, typical.map(sizeOf), own)
  const share = Math.min(1, MOST_WORK / (asked.layers + asked.head))
  const cut = typical.map((row) => cutRow(row, share, vocabularySize))
  const empty = rehearse(config, cut, 0, own)
  const filled = rehearse(config, cut, layers, own)
  try {
    const first = await secondsOf(filled.run)
    await empty.run()
    const step = optimizer(filled, options.settings)
    const times: { empty: number; filled: number; step: number }[] = []
    // In turns, so that a slow second of the machine falls on both.
    for (let spent = 0; spent < TRIAL_SECONDS || times.length < LEAST_ROUNDS; ) {
      const time = {
        empty: await secondsOf(empty.run),
        filled: await secondsOf(filled.run),
        step: await secondsOf(step),
      }
      times.push(time)
      spent += time.empty + time.filled + time.step
    }
    const typicalTime = (of: keyof (typeof times)[number]) => median(times.map((time) => time[of]))
    const [emptySeconds, filledSeconds] = [typicalTime('empty'), typicalTime('filled')]
    const work = totalWork(filled.config, cut.map(sizeOf), own)
    const parameters = filled.parameters.reduce((sum, { values }) => sum + values.length, 0)
    return {
      work: { layers: Math.max(0, filledSeconds - emptySeconds) / work.layers, head: emptySeconds / work.head },
      parameter: typicalTime('step') / parameters,
      start: Math.max(0, first - filledSeconds),
    }
  } finally {
    await empty.dispose()
    await filled.dispose()
  }
}
