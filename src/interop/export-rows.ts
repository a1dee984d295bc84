/**
 * @file Groups as the rows of other trainers, with a column of ours from which the same groups come back: `stepdpo`, see
 * data/written.ts.
 */
import { sha256 } from '../base/hash.ts'
import { encodeGroups } from '../batch/encode.ts'
import type { Encoder } from '../batch/pieces.ts'
import type { Group, Member } from '../data/records.ts'
import { WRITTEN_COLUMN, type Written } from '../data/written.ts'
import { type GroupPairs, groupPairs } from '../pair/pairs.ts'
import { type Tallies, tally } from '../pair/tally.ts'
import { exportMember, type MemberExportName, memberExportNames } from './export-members.ts'
import {
  type ExportRow,
  exportPair,
  type PairExportName,
  pairExportNames,
  textPair,
  type UnfinishedPolicy,
} from './export-pairs.ts'

export const exportNames = [...pairExportNames, 'trl-tokens', ...memberExportNames] as const
export type ExportName = (typeof exportNames)[number]

/** A row, and how often it was seen: the trainer must see it as often. */
export interface Weighted {
  readonly row: ExportRow
  readonly weight: number
}

export interface ExportOptions {
  readonly pairs: GroupPairs
  readonly unfinished: UnfinishedPolicy
  /** What is left out, by reason. */
  readonly dropped: Tallies
}

export function isMemberExport(to: ExportName): to is MemberExportName {
  return memberExportNames.some((name) => name === to)
}

/** The pairs of groups; a pair of labelled completions that was seen twice weighs two. */
export function* pairRows(groups: readonly Group[], to: PairExportName, options: ExportOptions): Generator<Weighted> {
  const { pairs, unfinished, dropped } = options
  for (const [index, group] of groups.entries()) {
    const column = columnWriter(group, index, textCuts(group))
    for (const pair of groupPairs(group, pairs)) {
      const text = textPair(group, pair)
      const made = text === undefined ? { dropped: 'token ids, not text' } : exportPair(text, to, unfinished)
      if ('dropped' in made) tally(dropped, made.dropped, group.place, pair.weight)
      else yield { row: { ...made.row, ...column(pair.chosen, pair.rejected) }, weight: pair.weight }
    }
  }
}

/** The members of groups, each for itself. */
export function* memberRows(
  groups: readonly Group[],
  to: MemberExportName,
  options: ExportOptions,
): Generator<Weighted> {
  for (const [index, group] of groups.entries()) {
    const column = columnWriter(group, index, to === 'trl-stepwise' ? null : textCuts(group))
    for (const [at, member] of group.members.entries()) {
      const made = exportMember(group, member, to, options.unfinished)
      if ('dropped' in made) tally(options.dropped, made.dropped, group.place, member.count)
      else yield { row: { ...made.row, ...column(at) }, weight: member.count }
    }
  }
}

/** Whose tokens are written. */
export interface TokenSource {
  readonly tokenizer: Encoder | undefined
  readonly vocabularySize: number
}

/** The pairs of groups in the tokens that `train` computes, nothing cut. */
export function* tokenRows(groups: readonly Group[], source: TokenSource, options: ExportOptions): Generator<Weighted> {
  const most = Number.MAX_SAFE_INTEGER
  const { vocabularySize, tokenizer } = source
  const limits = { maxLength: most, maxPromptLength: most, maxRowTokens: most, pairs: options.pairs, vocabularySize }
  for (const [index, group] of groups.entries()) {
    const encoded = encodeGroups([group], tokenizer, limits)
    for (const [reason, { count }] of encoded.dropped) tally(options.dropped, reason, group.place, count)
    for (const { prefix, members, pairs } of encoded.groups) {
      const cuts = prefix.slice(1).map((step) => step.length)
      const column = columnWriter(group, index, cuts)
      for (const { chosen, rejected, weight } of pairs) {
        const ids = { prompt_ids: prefix.flat(), chosen_ids: members[chosen], rejected_ids: members[rejected] }
        const weights = {
          chosen_weights: group.members[chosen].tokenWeights,
          rejected_weights: group.members[rejected].tokenWeights,
        }
        yield { row: { ...ids, ...weights, ...column(chosen, rejected) }, weight }
      }
    }
  }
}

/** The lengths of the steps before, as they are joined in text. */
function textCuts({ prefix, separator }: Group): readonly number[] {
  return prefix.map((step) => step.length + separator.length)
}

/** Makes the column of rows that hold members of the group at `index`. */
function columnWriter(
  { place: _, ...group }: Group,
  index: number,
  prefix: readonly number[] | null,
): (...members: number[]) => ExportRow {
  // Groups may be equal, and files of rows may be joined.
  const name = `${sha256(JSON.stringify(group)).slice(0, 16)}-${index}`
  return (...members) => {
    const written = {
      group: name,
      separator: group.separator,
      prefix,
      members: members.map((at) => writtenMember(group.members[at], at)),
    }
    return { [WRITTEN_COLUMN]: JSON.stringify(written) }
  }
}

function writtenMember({ rating, terminal, count, score, solution }: Member, at: number): Written['members'][number] {
  return {
    ...{ at, rating, terminal, count },
    ...(score !== undefined && { score }),
    ...(solution !== undefined && { solution: { ...solution, steps: [...solution.steps] } }),
  }
}
