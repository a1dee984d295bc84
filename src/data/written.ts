/**
 * @file The column `stepdpo` of rows that `data convert` writes, as JSON in one text: what of a group the columns of another
 * trainer have no place for. A trainer leaves it out as it does any column that it does not know.
 */
import { z } from 'zod'
import type { Candidate, LabelledMember, LabelledRow, Reading } from './labelled.ts'
import type { Prompt, Segment } from './records.ts'
import { isColumns, list, parseRow, tokenIds, toLineFeeds } from './schema.ts'

const MAX_STEPS = 10_000
const MAX_COUNT = 10_000_000

const score = z.number().min(0).max(1)

const solutionStep = z.object({
  content: z.union([z.string(), tokenIds]),
  score: score.nullable(),
  weight: z.number().nullable(),
})

const member = z.object({
  /** Its place among the members of its group. */
  at: z.int().min(0).max(MAX_COUNT),
  rating: z.number(),
  terminal: z.boolean(),
  count: z.int().min(1).max(MAX_COUNT),
  score: score.optional(),
  solution: z.object({ steps: list(solutionStep, MAX_STEPS), terminal: z.boolean() }).optional(),
})

const schema = z.object({
  /** Names the group: all rows of it have the same. */
  group: z.string().min(1).max(64),
  separator: z.string(),
  /**
   * The lengths of the steps before, each with its separator, which end the text or the ids that stand before the members.
   * Null: the row keeps its steps apart, without separators.
   */
  prefix: list(z.int().min(0), MAX_STEPS).nullable(),
  /** In the order in which the row has them. */
  members: list(member, 2),
})

export type Written = z.output<typeof schema>
type WrittenMember = z.output<typeof member>

export const WRITTEN_COLUMN = 'stepdpo'

function columnOf(value: unknown): unknown {
  return isColumns(value) && Object.hasOwn(value, WRITTEN_COLUMN) ? value[WRITTEN_COLUMN] : undefined
}

/** What is done to the texts of a row whose format does not tell line ends apart: nothing, where we wrote it. */
export function textCleaner(value: unknown): (content: string) => string {
  return columnOf(value) == null ? toLineFeeds : (content) => content
}

/** The part of a group that a row of ours holds; the row as it was read where it is of others. */
export function restore(reading: Reading, value: unknown): Reading {
  const column = columnOf(value)
  if (column == null || !('labelled' in reading)) return reading
  const parsed = parseRow(schema, parseText(column))
  if ('bad' in parsed) return { bad: `${WRITTEN_COLUMN}: ${parsed.bad}` }
  const labelled = rebuild(reading.labelled, parsed.row)
  return labelled === undefined
    ? { bad: `${WRITTEN_COLUMN}: the text of the row is not the one it was written for` }
    : { labelled }
}

function parseText(column: unknown): unknown {
  if (typeof column !== 'string') return undefined
  try {
    return JSON.parse(column)
  } catch {
    return undefined
  }
}

function rebuild({ prompt, steps }: LabelledRow, written: Written): LabelledRow | undefined {
  const { separator, members, group } = written
  const candidates = steps.at(-1)?.candidates.map((one, at) => rebuildMember(one, members.at(at), written))
  const before = rebuildPrefix(
    prompt,
    steps.slice(0, -1).map(({ next }) => next),
    written,
  )
  if (before === undefined || candidates?.length !== members.length) return undefined
  const known = candidates.filter((one) => one !== undefined)
  if (known.length < candidates.length) return undefined
  const prefix = before.prefix.map((next) => ({ candidates: [], next }))
  return { prompt: before.prompt, separator, group, steps: [...prefix, { candidates: known, next: null }] }
}

function rebuildMember(
  read: Candidate,
  member: WrittenMember | undefined,
  { separator, prefix }: Written,
): LabelledMember | undefined {
  if (member === undefined || 'dropped' in read) return undefined
  const { at, count, ...known } = member
  const content = prefix === null || known.terminal ? read.content : withoutSeparator(read.content, separator)
  if (content === undefined) return undefined
  const { tokenWeights } = read
  return { ...known, content, ...(tokenWeights !== undefined && { tokenWeights }), written: { at, count } }
}

/** Token ids have no separator of their own. */
function withoutSeparator(content: Segment, separator: string): Segment | undefined {
  if (typeof content !== 'string') return content
  return content.endsWith(separator) ? content.slice(0, content.length - separator.length) : undefined
}

interface Before {
  readonly prompt: Prompt
  readonly prefix: readonly Segment[]
}

/** The steps before, cut where they were joined: of the assistant's message, or of a prompt that is plain text or ids. */
function rebuildPrefix(prompt: Prompt, read: readonly (Segment | null)[], written: Written): Before | undefined {
  const steps = read.filter((step) => step !== null)
  if (steps.length < read.length) return undefined
  if (written.prefix === null) return { prompt, prefix: steps }
  const total = written.prefix.reduce((sum, length) => sum + length, 0)
  if ('raw' in prompt) {
    const at = prompt.raw.length - total
    const prefix = at < 0 || steps.length > 0 ? undefined : cut(prompt.raw.slice(at), written)
    return prefix && { prompt: { raw: prompt.raw.slice(0, at) }, prefix }
  }
  const [joined = '', ...others] = steps
  const prefix = joined.length !== total || others.length > 0 ? undefined : cut(joined, written)
  return prefix && { prompt, prefix }
}

function cut(joined: Segment, { prefix, separator }: Written): readonly Segment[] | undefined {
  let at = 0
  const pieces: Segment[] = []
  for (const length of prefix ?? []) {
    const piece = withoutSeparator(joined.slice(at, at + length), separator)
    if (piece === undefined) return undefined
    pieces.push(piece)
    at += length
  }
  return pieces
}
