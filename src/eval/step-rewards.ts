/** @file The rewards of steps by their position over the updates of a run, as numbers and as a picture of characters. */
import { isEvaluation, type LogEntry } from '../train/log.ts'

/** Mean rewards of one side's steps at one position. */
export interface StepRow {
  readonly side: 'chosen' | 'rejected'
  /** `1` … `8`, `9+`. */
  readonly position: string
  /** One for each column; null where no such step was trained on. */
  readonly rewards: readonly (number | null)[]
}

export interface StepRewards {
  /** The update that each column ends with. */
  readonly updates: readonly number[]
  readonly rows: readonly StepRow[]
}

const COLUMNS = 48
const NAME = /^rewards\/(chosen|rejected)\/step_(\d\+?)$/

/** The rewards that were logged, averaged into at most 48 columns; undefined where none were. */
export function stepRewardsOf(log: readonly LogEntry[]): StepRewards | undefined {
  const entries = log.filter((entry) => !isEvaluation(entry))
  const names = [...new Set(entries.flatMap((entry) => Object.keys(entry)))].filter((name) => NAME.test(name)).sort()
  if (names.length === 0) return undefined
  const count = Math.min(COLUMNS, entries.length)
  const columns = Array.from({ length: count }, (_, at) =>
    entries.slice(Math.floor((at * entries.length) / count), Math.floor(((at + 1) * entries.length) / count)),
  )
  const rows = names.map((name): StepRow => {
    const [, side, position] = NAME.exec(name) ?? []
    const rewards = columns.map((column) => meanOf(column.flatMap((entry) => entry[name] ?? [])))
    return { side: side === 'chosen' ? 'chosen' : 'rejected', position, rewards }
  })
  return { updates: columns.map((column) => column[column.length - 1]['step']), rows }
}

function meanOf(values: readonly number[]): number | null {
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length
}

/** From the lowest reward to the highest. */
const SHADES = '·░▒▓█'

/** Lines of text: a row for each position, a character for each column, all shades on one scale. */
export function drawStepRewards({ updates, rows }: StepRewards): string[] {
  const known = rows.flatMap(({ rewards }) => rewards.filter((reward) => reward !== null))
  const [low, high] = [Math.min(...known), Math.max(...known)]
  const shade = (reward: number | null): string => {
    if (reward === null) return ' '
    const part = high > low ? (reward - low) / (high - low) : 0
    return SHADES[Math.min(SHADES.length - 1, Math.floor(part * SHADES.length))]
  }
  const lines = rows.map(({ side, position, rewards }, at) => {
    const label = at === 0 || rows[at - 1].side !== side ? side : ''
    const last = rewards.findLast((reward) => reward !== null) ?? 0
    return `${label.padEnd(9)}step ${position.padEnd(3)}${rewards.map(shade).join('')} ${signed(last)}`
  })
  const scale = `${SHADES[0]} ${signed(low)} … ${SHADES[SHADES.length - 1]} ${signed(high)}`
  return [`updates 1 to ${updates[updates.length - 1]}, mean reward ${scale}; at the right the last`, ...lines]
}

function signed(value: number): string {
  return `${value > 0 ? '+' : ''}${value.toFixed(3)}`
}
