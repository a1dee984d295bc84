/** @file Members of groups, one by one, as the rows of trainers that compare none. */
import type { Group, Member } from '../data/records.ts'
import {
  assistant,
  BEGUN,
  begunMessages,
  type ExportRow,
  flawOfMessages,
  NO_QUESTION,
  questionOf,
  showSide,
  type UnfinishedPolicy,
} from './export-pairs.ts'

export const memberExportNames = ['trl-unpaired', 'trl-stepwise'] as const
export type MemberExportName = (typeof memberExportNames)[number]

type Made = { readonly row: ExportRow } | { readonly dropped: string }

/** The most steps of a solution that are read. */
const MAX_STEPS = 1000

const GOES_ON = 'a completion goes on, and the trainer ends every completion'

/** The member as a row that its trainer and our reader understand alike, or why there is none. */
export function exportMember(group: Group, member: Member, to: MemberExportName, unfinished: UnfinishedPolicy): Made {
  const { prompt, prefix } = group
  const pieces = [...prefix, member.content, 'raw' in prompt ? prompt.raw : '']
  if (pieces.some((piece) => typeof piece !== 'string')) return { dropped: 'token ids, not text' }
  if (`${member.content}`.trim() === '') return { dropped: 'a completion without text' }
  return to === 'trl-stepwise' ? stepwiseRow(group, member) : unpairedRow(group, member, unfinished)
}

/** A rating above 0 is desirable. */
function unpairedRow({ prompt, prefix, separator }: Group, member: Member, unfinished: UnfinishedPolicy): Made {
  const { text, terminal } = showSide(member, separator)
  const begun = { prompt, prefix: prefix.map((step) => `${step}${separator}`).join('') }
  const flaw = 'raw' in prompt ? undefined : flawOfMessages(begun)
  if (flaw !== undefined) return { dropped: flaw }
  const isMark = unfinished === 'mark'
  if (!isMark && !terminal) return { dropped: GOES_ON }
  if (!isMark && 'messages' in prompt && begun.prefix !== '') return { dropped: BEGUN }
  const texts =
    'raw' in prompt
      ? { prompt: `${prompt.raw}${begun.prefix}`, completion: text }
      : { prompt: begunMessages(begun), completion: [assistant(text)] }
  return { row: { ...texts, label: member.rating > 0, ...(isMark && { completion_terminal: terminal }) } }
}

/** The steps before are right, or nothing would go on after them. */
function stepwiseRow({ prompt, prefix }: Group, { content, rating, score }: Member): Made {
  const question = questionOf(prompt)
  if (question === undefined) return { dropped: NO_QUESTION }
  if (prefix.includes('')) return { dropped: 'a step without text' }
  if (prefix.length >= MAX_STEPS) return { dropped: `more than ${MAX_STEPS} steps` }
  const isRight = score === undefined ? rating > 0 : score > 0.5
  return { row: { prompt: question, completions: [...prefix, content], labels: [...prefix.map(() => true), isRight] } }
}
