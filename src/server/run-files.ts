/**
 * @file Which folders are runs, and which of their files are shown. Requests name runs by ids that are hashes of their
 * names; no path comes from outside. Links are not followed: what is read lies in the folder of runs.
 */
import { type Dirent, readdirSync, realpathSync, statSync } from 'node:fs'
import { basename, join, relative } from 'node:path'
import { messageOf, UserError } from '../base/errors.ts'
import { sha256 } from '../base/hash.ts'

export interface RunPlace {
  readonly id: string
  /** Below the folder of runs. */
  readonly name: string
  readonly path: string
}

export type FileKind = 'rollouts' | 'continuations' | 'judgements' | 'pairs' | 'reports' | 'usage' | 'rewards'

export interface RunFile {
  readonly kind: FileKind
  /** Below the run's folder. */
  readonly name: string
  readonly path: string
}

const KINDS: ReadonlyMap<string, FileKind> = new Map([
  ['rollouts.jsonl', 'rollouts'],
  ['greedy.jsonl', 'rollouts'],
  ['samples.jsonl', 'rollouts'],
  ['continuations.jsonl', 'continuations'],
  ['judgements.jsonl', 'judgements'],
  ['pairs.jsonl', 'pairs'],
  ['report.json', 'reports'],
  ['llm_usage.jsonl', 'usage'],
  ['step-rewards.jsonl', 'rewards'],
])

/** Folders by which a run is known: of training, and of the first stages of `stepdpo run`. */
const SIGNS: readonly string[] = ['stepdpo', 'round-1']
const MAX_RUNS = 1000
const MAX_DEPTH = 4
/** No run of ours has as many files that are shown. */
const MAX_FILES = 500

/** The short name of anything, for addresses. */
export function shortId(text: string): string {
  return sha256(text).slice(0, 16)
}

/** @throws UserError where the folder of runs cannot be read. */
export function resolveRoot(folder: string): string {
  try {
    const path = realpathSync(folder)
    if (statSync(path).isDirectory()) return path
  } catch (error) {
    throw new UserError(`--runs ${folder}: cannot read this folder: ${messageOf(error)}`, { cause: error })
  }
  throw new UserError(`--runs ${folder}: expected a folder, found a file`)
}

/** The runs in a folder, which may be one itself, in the order of their names. */
export function findRuns(root: string): RunPlace[] {
  const runs: RunPlace[] = []
  visit(root, 0, (path) => {
    if (runs.length === MAX_RUNS) return true
    if (!isRun(path)) return false
    const name = relative(root, path) || basename(root)
    runs.push({ id: shortId(name), name, path })
    return true
  })
  return runs
}

/** Goes through folders until `isDone` says that a folder holds no others of interest. */
function visit(path: string, depth: number, isDone: (path: string) => boolean): void {
  if (isDone(path) || depth === MAX_DEPTH) return
  for (const entry of entriesOf(path)) if (isFolder(entry)) visit(join(path, entry.name), depth + 1, isDone)
}

/** A sweep is none: the runs are its trials. */
function isRun(path: string): boolean {
  const entries = entriesOf(path)
  if (entries.some(({ name }) => name === 'trials')) return false
  return entries.some((entry) =>
    entry.isDirectory() ? SIGNS.includes(entry.name) : entry.isFile() && KINDS.has(entry.name),
  )
}

function isFolder(entry: Dirent): boolean {
  return entry.isDirectory() && !/^(\.|node_modules$|checkpoint-|run\.lock$)/.test(entry.name)
}

/** Nothing for a folder that has gone or may not be read. */
function entriesOf(path: string): Dirent[] {
  try {
    return readdirSync(path, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))
  } catch {
    return []
  }
}

/** The files of a run that are shown, by name. */
export function findFiles(run: string): RunFile[] {
  const files: RunFile[] = []
  visit(run, 0, (path) => {
    for (const entry of entriesOf(path)) {
      const kind = entry.isFile() ? KINDS.get(entry.name) : undefined
      const file = join(path, entry.name)
      if (kind !== undefined && files.length < MAX_FILES) files.push({ kind, name: relative(run, file), path: file })
    }
    return false
  })
  return files
}

/** The folders in which a process may be at work. */
export function workFolders(run: string): string[] {
  const own = entriesOf(run).filter((entry) => isFolder(entry) && /^(round-\d+|evaluation)$/.test(entry.name))
  return [run, ...own.map(({ name }) => join(run, name))]
}
