/** @file Problems of one data set that stand in another: what is trained on must not be what is measured. */
import { type InputPlace, UserError } from '../base/errors.ts'
import { detectFormat } from '../data/formats.ts'
import { problemOf } from '../data/labelled.ts'
import { findDataFile } from '../data/locate.ts'
import { readPrompts } from '../data/prompts.ts'
import type { Group } from '../data/records.ts'
import { readRows } from '../data/rows.ts'

export interface Leak {
  readonly problem: string
  /** Where it stands first in the other file. */
  readonly place: InputPlace
}

export interface LeakReport {
  /** Distinct problems of the groups. */
  readonly problems: number
  /** Rows of the other file, and how many of them ask nothing that could be compared. */
  readonly rows: { readonly read: number; readonly unread: number }
  /** Each leaked problem once, in the other file's order. */
  readonly leaks: readonly Leak[]
}

/**
 * What two spellings of a problem have in common: Unicode NFKC, lower case, no white space, none of LaTeX's
 * `\,` `\!` `\:` `\;` and `$`.
 */
export function normaliseProblem(problem: string): string {
  return problem
    .normalize('NFKC')
    .toLowerCase()
    .replace(/\\[,!:;]|[$\s]/g, '')
}

/**
 * The problems of the groups that another file asks too, whatever its format; it need not be labelled.
 * @throws UserError where the other file holds no problems, or the groups have token ids for prompts.
 */
export async function findLeaks(groups: readonly Group[], otherPath: string): Promise<LeakReport> {
  const waiting = new Map<string, string>()
  for (const { problem, prompt } of groups) {
    if ('raw' in prompt && typeof prompt.raw !== 'string') {
      throw new UserError('leaks can be found in text only: these groups have token ids for prompts')
    }
    waiting.set(normaliseProblem(problem), problem)
  }
  const problems = waiting.size
  const file = findDataFile(otherPath)
  const rows = { read: 0, unread: 0 }
  const leaks: Leak[] = []
  for await (const row of readRows(file)) {
    rows.read++
    const key = 'value' in row ? problemKey(row.value) : undefined
    if (key === undefined) rows.unread++
    const problem = key === undefined ? undefined : waiting.get(key)
    if (key === undefined || problem === undefined) continue
    waiting.delete(key)
    leaks.push({ problem, place: { file, line: row.line } })
  }
  if (rows.read === rows.unread) throw new UserError(`${file}: expected rows with a problem, found none to compare`)
  return { problems, rows, leaks }
}

/** The normalised problem of a row in any format, else of its prompt, problem or question column. */
function problemKey(value: unknown): string | undefined {
  const format = detectFormat(value)
  const reading = format ? format.read(value, { neutral: 'drop', separator: '' }) : readPrompts(value)
  return 'labelled' in reading ? normaliseProblem(problemOf(reading.labelled.prompt)) : undefined
}
