/** @file Learning rates over a run, as transformers' get_scheduler gives them. */

export interface ScheduleOptions {
  readonly rate: number
  readonly warmupUpdates: number
  readonly updates: number
}

/** The part of the peak rate after warm-up, at `progress` from 0 to 1 of the rest, or by updates where it counts them. */
type Decay = (progress: number, after: number, options: ScheduleOptions) => number

/** The rate at which polynomial decay ends, as in transformers. */
const LAST_RATE = 1e-7

const halfCosine: Decay = (progress) => Math.max(0, 0.5 * (1 + Math.cos(Math.PI * progress)))

const decays = {
  linear: (progress) => Math.max(0, 1 - progress),
  cosine: halfCosine,
  // With its default of one cycle it differs at the end only.
  cosine_with_restarts: (progress, after, options) => (progress >= 1 ? 0 : halfCosine(progress % 1, after, options)),
  polynomial: (progress, _, { rate }) =>
    (progress >= 1 ? LAST_RATE : (rate - LAST_RATE) * (1 - progress) + LAST_RATE) / rate,
  constant: () => 1,
  constant_with_warmup: () => 1,
  inverse_sqrt: (_, after, { warmupUpdates }) => {
    const scale = warmupUpdates === 0 ? 10_000 : warmupUpdates
    return 1 / Math.sqrt((after + scale) / scale)
  },
} satisfies Readonly<Record<string, Decay>>

export type ScheduleType = keyof typeof decays

export const scheduleTypes = Object.keys(decays) as readonly ScheduleType[]

/** The learning rate of update `update` (from 0). With warm-up the first one has rate 0. */
export function rateAt(type: ScheduleType, update: number, options: ScheduleOptions): number {
  const { rate, warmupUpdates, updates } = options
  const warms = type !== 'constant'
  if (warms && update < warmupUpdates) return (rate * update) / Math.max(1, warmupUpdates)
  const after = warms ? update - warmupUpdates : update
  const decay: Decay = decays[type]
  return rate * decay(after / Math.max(1, updates - warmupUpdates), after, options)
}
