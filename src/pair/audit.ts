/** @file What a loaded data set holds, and what its pairs would teach. Pure numbers: printing is the caller's. */
import type { FormatName } from '../data/formats.ts'
import type { Group, Segment } from '../data/records.ts'
import type { LoadCounts, LoadedData } from './groups.ts'
import { type GroupPairs, groupPairs } from './pairs.ts'

/** Nearest-rank percentiles. */
export interface Spread {
  readonly min: number
  readonly median: number
  readonly p95: number
  readonly max: number
}

/** The pairs under one policy; each counts as often as its weight. */
export interface PairAudit {
  readonly pairs: number
  readonly chosenTerminal: number
  readonly rejectedTerminal: number
  readonly neitherTerminal: number
  /**
   * Pairs with a side that does not end the solution: an end-of-turn token after every completion, as TRL appends to
   * plain text, would teach the policy to stop after a chosen one and not to stop after a rejected one.
   */
  readonly stoppedEarly: number
}

export interface LengthAudit {
  readonly prefix: Spread
  readonly member: Spread
}

export interface DataAudit {
  readonly format: FormatName
  readonly counts: LoadCounts
  readonly problems: number
  readonly groups: number
  readonly membersPerGroup: Spread
  /** How many labelled completions have a rating, from the lowest rating. */
  readonly ratings: ReadonlyMap<number, number>
  /** Steps before a group's members. */
  readonly prefixSteps: Spread
  /** In UTF-16 units, or token ids where the rows bring them. */
  readonly lengths: LengthAudit
  /** Null without a tokenizer. */
  readonly tokens: LengthAudit | null
  readonly pairs: { readonly [P in GroupPairs]: PairAudit }
}

/** `countTokens` gives the length of one segment in tokens. */
export function auditData(data: LoadedData, countTokens?: (segment: Segment) => number): DataAudit {
  const { format, counts, groups } = data
  return {
    format,
    counts,
    problems: new Set(groups.map(({ problem }) => problem)).size,
    groups: groups.length,
    membersPerGroup: spread(groups.map(({ members }) => members.length)),
    ratings: countRatings(groups),
    prefixSteps: spread(groups.map(({ prefix }) => prefix.length)),
    lengths: auditLengths(groups, (segment) => segment.length),
    tokens: countTokens ? auditLengths(groups, countTokens) : null,
    pairs: {
      all: auditPairs(groups, 'all'),
      best_worst: auditPairs(groups, 'best_worst'),
      first: auditPairs(groups, 'first'),
    },
  }
}

function countRatings(groups: readonly Group[]): Map<number, number> {
  const counts = new Map<number, number>()
  for (const { rating, count } of groups.flatMap(({ members }) => members)) {
    counts.set(rating, (counts.get(rating) ?? 0) + count)
  }
  return new Map([...counts].sort(([a], [b]) => a - b))
}

function auditLengths(groups: readonly Group[], lengthOf: (segment: Segment) => number): LengthAudit {
  return {
    prefix: spread(groups.map(({ prefix }) => prefix.reduce((sum, step) => sum + lengthOf(step), 0))),
    member: spread(groups.flatMap(({ members }) => members.map(({ content }) => lengthOf(content)))),
  }
}

function auditPairs(groups: readonly Group[], policy: GroupPairs): PairAudit {
  const audit = { pairs: 0, chosenTerminal: 0, rejectedTerminal: 0, neitherTerminal: 0, stoppedEarly: 0 }
  for (const group of groups) {
    for (const { chosen, rejected, weight } of groupPairs(group, policy)) {
      const isChosenTerminal = group.members[chosen].terminal
      const isRejectedTerminal = group.members[rejected].terminal
      audit.pairs += weight
      if (isChosenTerminal) audit.chosenTerminal += weight
      if (isRejectedTerminal) audit.rejectedTerminal += weight
      if (!isChosenTerminal && !isRejectedTerminal) audit.neitherTerminal += weight
      if (!isChosenTerminal || !isRejectedTerminal) audit.stoppedEarly += weight
    }
  }
  return audit
}

export function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (share: number) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]
  return { min: at(0), median: at(0.5), p95: at(0.95), max: at(1) }
}
