/** @file The grid of a sweep: what is varied, the points, and the settings of the trial at each of them. */
import { join } from 'node:path'
import type { z } from 'zod'
import { UsageError } from '../base/errors.ts'
import { sha256 } from '../base/hash.ts'
import { permutation, random } from '../base/random.ts'
import { asksReference } from '../train/objective.ts'
import { type TrainSettings, trainSchema } from './config.ts'
import { describeKinds, type Setting, valueFromText } from './settings.ts'
import { type SweepSettings, shortName, sweepFields, sweptSetting } from './sweep-settings.ts'

/** A value of a setting, and how it is written. */
export interface Value {
  readonly value: unknown
  readonly text: string
}

/** A setting that is varied. */
export interface Dimension {
  readonly key: string
  readonly values: readonly Value[]
}

/** A choice of one value for each dimension. */
export interface Point {
  /** As a folder may be called: `beta-0.4_lr-1e-5`. */
  readonly name: string
  /** By the keys of dimensions, in their order. */
  readonly values: ReadonlyMap<string, Value>
}

/** A training run at a point, with a seed. */
export interface Trial {
  readonly name: string
  readonly point: Point
  readonly settings: TrainSettings
}

/** The folder of all trials' runs, in that of the sweep. */
export const TRIALS = 'trials'
/** Points of a grid at most, of which `sweep_trials` may draw some. */
const MAX_GRID = 1_000_000
/** Trials at most: nobody reads a longer table. */
const MAX_TRIALS = 1000
const MAX_NAME = 100

/**
 * What is varied, of texts like `beta=0.1,0.4`. A list of flags comes cut at its commas: what has no `=` goes on with the
 * setting before.
 * @throws UsageError for names that cannot be swept, and for values that are missing or not of the setting's kind.
 */
export function readDimensions(items: readonly string[]): Dimension[] {
  const dimensions = new Map<string, { readonly setting: Setting; readonly values: Map<string, Value> }>()
  let current: string | undefined
  for (const item of items.flatMap((text) => text.split(','))) {
    const [, name, rest] = /^([A-Za-z][\w-]*)=(.*)$/s.exec(item) ?? []
    if (name === undefined && current === undefined) {
      throw new UsageError(`--sweep ${item}: expected NAME=v1,v2,…`)
    }
    if (name !== undefined) {
      const setting = sweptSetting(name)
      if (typeof setting === 'string') throw new UsageError(`--sweep ${name}: ${setting}`)
      current = setting.key
      if (!dimensions.has(current)) dimensions.set(current, { setting, values: new Map() })
    }
    const known = dimensions.get(current ?? '')
    if (known === undefined) continue
    const value = readValue((rest ?? item).trim(), known.setting)
    known.values.set(value.text, value)
  }
  return [...dimensions].map(([key, { values }]) => ({ key, values: [...values.values()] }))
}

const fields = new Map<string, z.ZodType>(Object.entries(trainSchema.shape))

function readValue(text: string, { key, kinds }: Setting): Value {
  const isList = kinds.some(({ name }) => name === 'array')
  const value = text === '' ? undefined : valueFromText(isList ? text.replaceAll('+', ',') : text, kinds)
  if (value === undefined || !fields.get(key)?.safeParse(value).success) {
    const found = text === '' ? 'nothing' : `'${text}'`
    throw new UsageError(`--sweep ${key}: expected ${describeKinds(kinds)}, found ${found}`)
  }
  return { value, text: showValue(value) }
}

/** Short and the same however it was typed: `1e-5` for 0.00001. */
function showValue(value: unknown): string {
  if (Array.isArray(value)) return value.map(showValue).join('+')
  if (typeof value !== 'number') return String(value)
  const [plain, exponent] = [String(value), value.toExponential().replace('+', '')]
  return exponent.length < plain.length ? exponent : plain
}

/**
 * The points of the grid, the last dimension fastest, or `wanted` of them, drawn by the seed: more of them hold the fewer.
 * @throws UsageError for a grid that nobody can train.
 */
export function pointsOf(dimensions: readonly Dimension[], wanted: number | undefined, seed: number): Point[] {
  const total = dimensions.reduce((product, { values }) => product * values.length, 1)
  if (total > MAX_GRID) throw new UsageError(`--sweep: expected a grid of ${MAX_GRID} points at most, found ${total}`)
  const drawn = Array.from(permutation(total, random(seed, 'sweep')).subarray(0, wanted))
  const places = wanted === undefined ? Array.from({ length: total }, (_, at) => at) : drawn.sort((a, b) => a - b)
  if (places.length > MAX_TRIALS) {
    throw new UsageError(`--sweep: expected ${MAX_TRIALS} points at most, found ${total}: --sweep_trials N draws some`)
  }
  return places.map((place) => pointAt(dimensions, place))
}

function pointAt(dimensions: readonly Dimension[], place: number): Point {
  let rest = place
  const chosen: [string, Value][] = []
  for (const { key, values } of [...dimensions].reverse()) {
    chosen.unshift([key, values[rest % values.length]])
    rest = Math.floor(rest / values.length)
  }
  return {
    name: nameOf(chosen.map(([key, { text }]) => `${shortName(key)}-${text}`).join('_')),
    values: new Map(chosen),
  }
}

/** A name for a folder; what no folder may be called, or is too long, is told apart by its hash. */
function nameOf(text: string): string {
  const safe = text.replaceAll(/[^\w.+-]/g, '').slice(0, MAX_NAME)
  return safe === text ? text : `${safe}_${sha256(text).slice(0, 8)}`
}

/**
 * The trials of a sweep: every point, with every seed.
 * @throws UsageError naming the point where its settings do not go together.
 */
export function trialsOf(settings: SweepSettings): Trial[] {
  const points = pointsOf(readDimensions(settings.sweep), settings.sweep_trials, settings.seed)
  const seeds = [...new Set(settings.sweep_seeds ?? [settings.seed])]
  const trials = points.flatMap((point) =>
    seeds.map((seed) => {
      const name = settings.sweep_seeds === undefined ? point.name : `${point.name}_seed-${seed}`
      return { name, point, settings: settingsAt(settings, point, { name, seed }) }
    }),
  )
  if (/rewards/.test(settings.metric)) refuseOtherRewards(trials)
  return trials
}

/** Whether rewards are differences to a reference. Without one they are log-probabilities alone. */
export function hasReference({ loss_type, reference_free }: TrainSettings): boolean {
  return asksReference(loss_type) && !reference_free
}

function refuseOtherRewards(trials: readonly Trial[]): void {
  const [some, other] = [true, false].map((has) => trials.find(({ settings }) => hasReference(settings) === has))
  if (some === undefined || other === undefined) return
  throw new UsageError(
    `--sweep: the rewards of ${showPoint(some.point)} are differences to the reference, those of ${showPoint(other.point)} ` +
      'are not, as its loss asks none: they cannot be compared. Say --metric eval_logps/accuracies',
  )
}

function settingsAt(
  settings: SweepSettings,
  point: Point,
  { name, seed }: { name: string; seed: number },
): TrainSettings {
  const shared = Object.entries(settings).filter(([key]) => !Object.hasOwn(sweepFields, key))
  const parsed = trainSchema.safeParse({
    ...Object.fromEntries(shared),
    ...Object.fromEntries([...point.values].map(([key, { value }]) => [key, value])),
    seed,
    output_dir: join(settings.output_dir, TRIALS, name),
    run_name: settings.run_name === undefined ? name : `${settings.run_name} ${name}`,
  })
  if (parsed.success) return parsed.data
  const reasons = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`)
  throw new UsageError(`--sweep: the point ${showPoint(point)} cannot be trained: ${reasons.join('; ')}`)
}

/** `beta 0.4, lr 1e-5`. */
export function showPoint({ values }: Point): string {
  return [...values].map(([key, { text }]) => `${shortName(key)} ${text}`).join(', ')
}
