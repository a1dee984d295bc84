/** @file What a loss is a mean over: pairs, single members, or whole lists of siblings. Knows how, not of what. */
import type { EncodedGroup } from '../batch/encode.ts'
import type { PackedRow } from '../batch/pack.ts'
import type { RewardMean } from './reward-loss.ts'
import type { ScoredRow } from './scored.ts'

/** What a loss says of one row. */
export interface RowSlopes {
  /** The loss of each pair, member or list, and how often it counts. */
  readonly losses: readonly { readonly value: number; readonly weight: number }[]
  /** d mean loss / d log-probability of each scored token of the row [S]. */
  readonly dLogps: Float64Array
  /** The same by the KL divergences of the scored tokens [S]. */
  readonly dKl?: Float64Array
}

/** The rows of an update, and what can be asked about them before any is learned from. */
export interface UnitPlace {
  /** In the order in which the update was given them, however they are packed. */
  readonly groups: readonly EncodedGroup[]
  readonly rows: readonly PackedRow[]
  /** Scores a row of `rows` under policy and reference, without gradients. */
  score(at: number): Promise<ScoredRow>
  /** The same of a row that is not among them; `name` tells what dropout draws for it. */
  scoreOther(row: PackedRow, name: string): Promise<ScoredRow>
}

/** A loss that has looked at all rows of an update. */
export interface BegunLoss {
  /** What it says of the row at a place; rows come once each, in any order. */
  slopes(scored: ScoredRow, at: number): RowSlopes
  /** What only this loss measures, when all rows have come. They go before those of pairs of one name. */
  metrics(): Readonly<Record<string, number>>
  /** BCO's running reward with this update in it. */
  readonly rewardMean?: RewardMean
}

export interface UnitLoss<Objective> {
  begin(objective: Objective, place: UnitPlace): Promise<BegunLoss>
}
