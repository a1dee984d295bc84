/** @file Losses of whole lists: all rated siblings of a prefix at once. */
import type { EncodedGroup } from '../batch/encode.ts'
import type { PackedRow } from '../batch/pack.ts'
import { listLoss } from './list-loss.ts'
import type { Objective } from './objective.ts'
import { type ScoredRow, spread, weigh, weightsOf } from './scored.ts'
import type { RowSlopes, UnitLoss } from './unit.ts'

/** The continuations of each group of a row: groups stand whole in a row (`wholeGroups` when they are encoded). */
function listsOf({ sources }: PackedRow): number[][] {
  const lists = new Map<EncodedGroup, number[]>()
  for (const [continuation, { group }] of sources.entries()) {
    lists.set(group, [...(lists.get(group) ?? []), continuation])
  }
  return [...lists.values()]
}

function slopesOf(scored: ScoredRow, { beta, terms: [{ weight }] }: Objective, total: number): RowSlopes {
  const { packed, policy, reference } = scored
  const dLogps = new Float64Array(packed.row.scored.length)
  const losses = listsOf(packed).map((list) => {
    const members = list.map((continuation) => {
      const { group, member } = packed.sources[continuation]
      const { rating = 0, count = 1 } = group.details?.[member] ?? {}
      const weights = weightsOf(packed, continuation, rating > 0 ? 'chosen' : 'rejected')
      const sums = { logp: weigh(policy[continuation], weights), reference: weigh(reference[continuation], weights) }
      return { continuation, rating, count, weights, ...sums }
    })
    const { value, dLogps: slopes } = listLoss(members, { beta })
    for (const [at, { continuation, weights }] of members.entries()) {
      spread((weight * slopes[at]) / total, packed.continuations[continuation], weights, dLogps)
    }
    return { value: weight * value, weight: 1 }
  })
  return { losses, dLogps }
}

/** The mean loss over all groups, each of which counts once. */
export const listUnit: UnitLoss<Objective> = {
  begin: (objective, { rows }) => {
    const total = rows.reduce((count, packed) => count + listsOf(packed).length, 0)
    return Promise.resolve({ slopes: (scored) => slopesOf(scored, objective, total), metrics: () => ({}) })
  },
}
