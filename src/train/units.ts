/** @file The units of losses by name. */
import { listUnit } from './list-unit.ts'
import type { LossUnit } from './loss-table.ts'
import { type MemberObjective, memberUnit } from './member-unit.ts'
import { type PairObjective, pairUnit } from './pair-unit.ts'
import type { UnitLoss } from './unit.ts'

export const units: { readonly [U in LossUnit]: UnitLoss<PairObjective & MemberObjective> } = {
  pair: pairUnit,
  member: memberUnit,
  list: listUnit,
}
