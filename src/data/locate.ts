/** @file From what a user calls a data set to the file that holds it. */
import { readdirSync, type Stats, statSync } from 'node:fs'
import { join } from 'node:path'
import { messageOf, UserError } from '../base/errors.ts'
import { LABELS } from './labels.ts'
import { PAIRS_REVIEW } from './pair-review.ts'

const DATA_FILE = /\.(jsonl|ndjson|json|parquet)(\.gz)?$/i
/** What people say of data stands beside it. */
const REMARKS: readonly string[] = [LABELS, PAIRS_REVIEW]

function statOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false })
  } catch (error) {
    throw new UserError(`cannot read ${path}: ${messageOf(error)}`, { cause: error })
  }
}

function isDataFile(name: string): boolean {
  return DATA_FILE.test(name) && !name.startsWith('.') && !REMARKS.includes(name)
}

/**
 * The data file at `path`: the file itself, or the only one in a folder.
 * @throws UserError where there is none, or more than one.
 */
export function findDataFile(path: string): string {
  const stat = statOf(path)
  if (stat === undefined) {
    const hub = /^[\w.-]+\/[\w.-]+$/.test(path) ? ` If it is a data set of the Hub, say hf://datasets/${path}.` : ''
    throw new UserError(`there is no file or folder ${path}.${hub}`)
  }
  if (!stat.isDirectory()) return path
  const names = readdirSync(path).filter(isDataFile)
  if (names.length === 1) return join(path, names[0])
  const found = names.length === 0 ? 'none' : `${names.length}: ${names.sort().slice(0, 5).join(', ')}`
  throw new UserError(
    `${path}: expected one .jsonl, .json or .parquet file in this folder, found ${found}. Name the file`,
  )
}
