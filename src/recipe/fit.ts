/** @file Whether a run fits into memory, and what would make it fit. */
import { UserError } from '../base/errors.ts'
import type { ModelConfig } from '../model/config.ts'
import { type Footprint, footprint, learningCount, totalBytes } from '../model/footprint.ts'
import { whyTooLong } from '../model/rope.ts'
import { openWeights } from '../model/tensor-source.ts'
import type { RowSize } from '../model/work.ts'
import type { TrainSettings } from './config.ts'
import { loraSettings } from './lora-settings.ts'
import { lessonOf } from './objectives.ts'
import { keepOf } from './train-parts.ts'
import { usableMemory } from './usable-memory.ts'

/** Node, the code, ONNX Runtime and the tokens of the data, which are little beside the rest. */
const PROGRAM_BYTES = 170e6
/** How far estimates may be off. */
const MARGIN = 1.15
const SHORTEST_ROW = 256

function showBytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(1)} GB`
}

/** The settings that decide what a run takes. */
export type FitSettings = Omit<TrainSettings, 'gradient_checkpointing'> & { readonly gradient_checkpointing: boolean }

export interface Need extends Footprint {
  readonly program: number
}

/** What a run of settled settings takes whose largest row is `row`. Nothing but headers of the model is read. */
export function needOf(settings: FitSettings, config: ModelConfig, row: RowSize): Need {
  const source = settings.from_scratch ? undefined : openWeights(settings.base_model)
  try {
    const parts = footprint(config, source, {
      keep: keepOf(settings),
      lora: settings.use_lora ? loraSettings(settings) : null,
      keeping: settings.gradient_checkpointing ? 'inputs' : 'products',
      hasCopy: !settings.use_lora && lessonOf(settings) === 'preferences',
      ...row,
    })
    return { program: PROGRAM_BYTES, ...parts }
  } finally {
    source?.close()
  }
}

export function peakOf(need: Need): number {
  return totalBytes(need) + need.program
}

/** The largest row that settings allow. */
export function largestRow({ pack, max_row_tokens, max_length }: FitSettings): RowSize {
  const tokens = pack === 'none' ? max_length : max_row_tokens
  return { tokens, scored: Math.ceil(tokens / 2) }
}

export interface Change {
  readonly flags: readonly string[]
  readonly peak: number
}

/** Of the changes of one slot, the later replaces the earlier. */
interface Step {
  readonly slot: 'products' | 'rows' | 'learning' | 'weights'
  readonly flag: string
  readonly change: Partial<FitSettings>
}

/** From the mildest on. Rows below `max_length` come last, as they leave pairs out. */
function stepsFor(settings: FitSettings): Step[] {
  const steps: Step[] = []
  if (!settings.gradient_checkpointing) {
    steps.push({ slot: 'products', flag: '--gradient_checkpointing', change: { gradient_checkpointing: true } })
  }
  const rows = rowSteps(settings)
  const isWhole = ({ change }: Step): boolean => (change.max_row_tokens ?? 0) >= settings.max_length
  return [...steps, ...rows.filter(isWhole), ...weightSteps(settings), ...rows.filter((step) => !isWhole(step))]
}

function rowSteps(settings: FitSettings): Step[] {
  const name = settings.pack === 'none' ? 'max_length' : 'max_row_tokens'
  const steps: Step[] = []
  for (let tokens = settings[name] >> 1; tokens >= SHORTEST_ROW; tokens >>= 1) {
    steps.push({ slot: 'rows', flag: `--${name} ${tokens}`, change: { [name]: tokens } })
  }
  return steps
}

/** A model that begins anew has no weights to freeze. */
function weightSteps({ from_scratch, use_lora, load_in_4bit, load_in_8bit }: FitSettings): Step[] {
  if (from_scratch || load_in_4bit) return []
  const steps: Step[] = []
  if (!use_lora) steps.push({ slot: 'learning', flag: '--use_lora', change: { use_lora: true } })
  if (!load_in_8bit) steps.push({ slot: 'weights', flag: '--load_in_8bit', change: { load_in_8bit: true } })
  const flag = load_in_8bit ? '--load_in_8bit false --load_in_4bit' : '--load_in_4bit'
  return [...steps, { slot: 'weights', flag, change: { load_in_4bit: true, load_in_8bit: false } }]
}

/** The mildest changes, none of them idle, with which a run fits into so many bytes. */
export function changesThatFit(
  settings: FitSettings,
  config: ModelConfig,
  row: RowSize,
  bytes: number,
): Change | undefined {
  const peakWith = (steps: readonly Step[]): number => {
    let changed = settings
    for (const { change } of steps) changed = { ...changed, ...change }
    const tokens = Math.min(row.tokens, largestRow(changed).tokens)
    return peakOf(needOf(changed, config, { tokens, scored: Math.min(row.scored, tokens) }))
  }
  let chosen: readonly Step[] = []
  for (const step of stepsFor(settings)) {
    chosen = [...chosen.filter(({ slot }) => slot !== step.slot), step]
    if (peakWith(chosen) > bytes) continue
    for (const one of chosen.toReversed()) {
      const fewer = chosen.filter((other) => other !== one)
      if (peakWith(fewer) <= bytes) chosen = fewer
    }
    return { flags: chosen.map(({ flag }) => flag), peak: peakWith(chosen) }
  }
  return undefined
}

/** What a run takes on GPUs with PyTorch in bfloat16: weights, what learns in float32, and some room. */
export function gpuBytes(settings: FitSettings, config: ModelConfig): number {
  const all = learningCount(config, null)
  const trained = settings.use_lora ? learningCount(config, loraSettings(settings)) : all
  return 2 * all * (settings.use_lora ? 1 : 2) + 16 * trained + 2e9
}

/** What to do where a run does not fit. */
export function adviceFor(settings: FitSettings, config: ModelConfig, row: RowSize, bytes: number): string {
  const change = changesThatFit(settings, config, row, bytes)
  if (change !== undefined) return `with ${change.flags.join(' ')} it takes ${showBytes(change.peak)}`
  return `nothing makes it fit here: --engine torch trains it on GPUs with about ${showBytes(gpuBytes(settings, config))} of memory`
}

/**
 * @throws UserError for a run that cannot fit into the memory of this machine or container even if every row were short,
 * with what would.
 */
export function refuseTooLarge(settings: FitSettings, config: ModelConfig): void {
  const least = peakOf(needOf(settings, config, { tokens: 64, scored: 16 }))
  const { limit } = usableMemory()
  if (least <= limit * MARGIN) return
  const row = largestRow(settings)
  throw new UserError(
    `training ${settings.base_model} takes ${showBytes(least)} of memory and more with long rows, and there are ` +
      `${showBytes(limit)}: ${adviceFor(settings, config, row, limit)}`,
  )
}

/** @throws UserError where rows may be longer than the positions of the model reach. */
export function refuseTooLong({ max_length }: Pick<TrainSettings, 'max_length'>, config: ModelConfig): void {
  const why = whyTooLong(config, max_length)
  if (why !== undefined) throw new UserError(`--max_length ${max_length}: ${why}`)
}

/** Says where a run may not fit into the memory that is free now. */
export function warnTight(settings: FitSettings, config: ModelConfig): string | undefined {
  const row = largestRow(settings)
  const peak = peakOf(needOf(settings, config, row))
  const { free } = usableMemory()
  if (peak <= free) return undefined
  return (
    `this run may take ${showBytes(peak)} of memory, and ${showBytes(free)} are free now: ` +
    `${adviceFor(settings, config, row, free)} (stepdpo estimate says more)`
  )
}
