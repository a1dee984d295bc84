/** @file Losses of pairs: what the rows of an update say of each pair, and the gradient of its loss by every token. */
import { type PackedRow, pairCount } from '../batch/pack.ts'
import type { WeightedPair } from './batch-loss.ts'
import type { PairLoss } from './loss.ts'
import { lossesHeeding } from './loss-table.ts'
import { comparesPairs, lossesOf, type Objective } from './objective.ts'
import { NO_REWARDS, nextRewardShift, type RewardMean } from './reward-loss.ts'
import { pairWeights, type ScoredRow, spread, tokensOf, type Weights, weigh } from './scored.ts'
import type { RowSlopes, UnitLoss, UnitPlace } from './unit.ts'

/** What is done to pairs before their loss is taken. */
export interface PairTreatment {
  /** LD-DPO's factor of the tokens behind the shorter side; null: they count as all others. */
  readonly ldAlpha?: number | null
  /** Whether scores say how likely a label is the wrong way round. */
  readonly softLabels?: boolean
  /** BCO's running reward before this update. */
  readonly rewardMean?: RewardMean
}

/** What the losses of a row's pairs follow from, in their order. */
export function pairLogps(
  scored: ScoredRow,
  meanChosenTokens: number,
  { ldAlpha = null, softLabels = false }: PairTreatment,
): WeightedPair[] {
  const { packed, policy, reference, kl } = scored
  return packed.pairs.map((pair) => {
    const { chosen, rejected, weight, scoreGap = 0, doubt } = pair
    const weights = pairWeights(packed, pair, ldAlpha)
    return {
      weight,
      chosen: weigh(policy[chosen], weights.chosen),
      rejected: weigh(policy[rejected], weights.rejected),
      referenceChosen: weigh(reference[chosen], weights.chosen),
      referenceRejected: weigh(reference[rejected], weights.rejected),
      chosenTokens: tokensOf(packed, chosen, 'chosen'),
      rejectedTokens: tokensOf(packed, rejected, 'rejected'),
      meanChosenTokens,
      chosenKl: kl === undefined ? 0 : weigh(kl[chosen], weights.chosen),
      rejectedKl: kl === undefined ? 0 : weigh(kl[rejected], weights.rejected),
      scoreGap,
      ...(softLabels && doubt !== undefined && { doubt }),
      policyWeight: policyWeight(scored, chosen) * policyWeight(scored, rejected),
    }
  })
}

/** WPO's weight of a side (Zhou et al. 2024): exp of the mean over its tokens of log π(y_t) − log Σ_v π(v)². */
function policyWeight({ policy, collision }: ScoredRow, continuation: number): number {
  if (collision === undefined) return 1
  const [own, spread] = [policy[continuation], collision[continuation]]
  let total = 0
  for (let at = 0; at < own.length; at++) total += own[at] - spread[at]
  return Math.exp(total / own.length)
}

/** The tokens of a chosen side, in the mean over all pairs of some rows. */
export function meanChosenTokens(rows: readonly PackedRow[]): number {
  let total = 0
  for (const row of rows) for (const { chosen, weight } of row.pairs) total += weight * tokensOf(row, chosen, 'chosen')
  return total / pairCount(rows)
}

export type PairObjective = Objective & PairTreatment

/** The losses of the pairs of each row, where they follow from those of other rows too. */
async function compareRows(objective: PairObjective, { rows, score }: UnitPlace, meanTokens: number) {
  const pairs: WeightedPair[][] = []
  for (const at of rows.keys()) pairs.push(pairLogps(await score(at), meanTokens, objective))
  const all = pairs.flat()
  const types = objective.terms.map(({ type }) => type)
  const rewardMean =
    lossesHeeding('rewardShift', types).length === 0
      ? undefined
      : nextRewardShift(objective.rewardMean ?? NO_REWARDS, all, objective.beta)
  const losses = lossesOf(all, rewardMean === undefined ? objective : { ...objective, rewardShift: rewardMean.mean })
  let start = 0
  const byRow = pairs.map((own): readonly PairLoss[] => {
    start += own.length
    return losses.slice(start - own.length, start)
  })
  return { losses: byRow, rewardMean }
}

/** The mean loss over the pairs of all rows. */
export const pairUnit: UnitLoss<PairObjective> = {
  begin: async (objective, place) => {
    const { rows } = place
    const total = pairCount(rows)
    const meanTokens = meanChosenTokens(rows)
    const compared = comparesPairs(objective.terms.map(({ type }) => type))
      ? await compareRows(objective, place, meanTokens)
      : undefined
    return {
      slopes: (scored, at) => {
        const losses = compared?.losses[at] ?? lossesOf(pairLogps(scored, meanTokens, objective), objective)
        return slopesOf(scored, losses, total, objective.ldAlpha ?? null)
      },
      metrics: () => ({}),
      ...(compared?.rewardMean !== undefined && { rewardMean: compared.rewardMean }),
    }
  },
}

function slopesOf(scored: ScoredRow, losses: readonly PairLoss[], total: number, ldAlpha: number | null): RowSlopes {
  const { packed, kl } = scored
  const { length } = packed.row.scored
  const dLogps = new Float64Array(length)
  const dKl = kl === undefined ? undefined : new Float64Array(length)
  for (const [at, pair] of packed.pairs.entries()) {
    const loss = losses[at]
    const part = pair.weight / total
    const add = (slope: number, continuation: number, weights: Weights, into: Float64Array): void =>
      spread(part * slope, packed.continuations[continuation], weights, into)
    const weights = pairWeights(packed, pair, ldAlpha)
    add(loss.dChosen, pair.chosen, weights.chosen, dLogps)
    add(loss.dRejected, pair.rejected, weights.rejected, dLogps)
    if (dKl === undefined) continue
    add(loss.dChosenKl, pair.chosen, weights.chosen, dKl)
    add(loss.dRejectedKl, pair.rejected, weights.rejected, dKl)
  }
  const parts = losses.map(({ value }, at) => ({ value, weight: packed.pairs[at].weight }))
  return { losses: parts, dLogps, ...(dKl !== undefined && { dKl }) }
}
