/**
 * @file The cache of huggingface_hub, file by file as Python makes it: `models--org--name` with `refs/REVISION` (a
 * commit), `blobs/ETAG` (contents), `snapshots/COMMIT/FILE` (relative links to blobs) and `.no_exist/COMMIT/FILE` (what
 * is known not to be there). https://huggingface.co/docs/huggingface_hub/guides/manage-cache
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, sep } from 'node:path'
import { codeOf } from '../base/errors.ts'
import { writeDurably } from '../base/files.ts'
import type { Hub } from './hub-access.ts'
import type { Repo } from './hub-name.ts'

const COMMIT = /^[0-9a-f]{40}$/

export function repoFolder(cache: string, { type, id }: Repo): string {
  return join(cache, `${type}s--${id.replaceAll('/', '--')}`)
}

/** Where a process says that it fills the repository's folder. */
export function lockPlace(cache: string, { type, id }: Repo): string {
  return join(cache, '.locks', `${type}s--${id.replaceAll('/', '--')}`)
}

export function isCommit(text: string): boolean {
  return COMMIT.test(text)
}

/** What the cache holds of one commit. */
export interface Snapshot {
  readonly commit: string
  readonly folder: string
  has(file: string): boolean
  /** Whether the Hub has said that there is none. */
  lacks(file: string): boolean
  /** All its files, sorted. */
  files(): string[]
}

export function snapshotAt(folder: string, commit: string): Snapshot {
  const place = join(folder, 'snapshots', commit)
  return {
    commit,
    folder: place,
    has: (file) => existsSync(join(place, file)),
    lacks: (file) => existsSync(join(folder, '.no_exist', commit, file)),
    files: () => {
      const names = existsSync(place) ? readdirSync(place, { recursive: true, encoding: 'utf8' }) : []
      const isFile = (name: string): boolean =>
        statSync(join(place, name), { throwIfNoEntry: false })?.isFile() ?? false
      return names
        .filter(isFile)
        .map((name) => name.split(sep).join('/'))
        .sort()
    },
  }
}

/** What the cache has of a revision; undefined where it knows of none. */
export function findSnapshot(cache: string, repo: Repo): Snapshot | undefined {
  const folder = repoFolder(cache, repo)
  const commit = isCommit(repo.revision) ? repo.revision : readRef(folder, repo.revision)
  return commit !== undefined && existsSync(join(folder, 'snapshots', commit)) ? snapshotAt(folder, commit) : undefined
}

function readRef(folder: string, revision: string): string | undefined {
  try {
    const commit = readFileSync(join(folder, 'refs', revision), 'utf8').trim()
    return isCommit(commit) ? commit : undefined
  } catch {
    return undefined
  }
}

/** Notes which commit a branch or tag is at. */
export function keepRef(folder: string, revision: string, commit: string): void {
  if (revision === commit || readRef(folder, revision) === commit) return
  const path = join(folder, 'refs', revision)
  mkdirSync(dirname(path), { recursive: true })
  writeDurably(path, commit)
}

export function keepAbsence(folder: string, commit: string, file: string): void {
  const path = join(folder, '.no_exist', commit, file)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, '')
}

/**
 * Makes a blob appear as a file of a snapshot. Where the system refuses links, as Windows does without developer mode, the
 * blob itself is moved there, as huggingface_hub does.
 */
export function placeBlob(hub: Hub, blob: string, file: string): void {
  mkdirSync(dirname(file), { recursive: true })
  rmSync(file, { force: true }) // a link to a blob that is gone
  try {
    hub.link(relative(dirname(file), blob), file)
  } catch (error) {
    if (!['EPERM', 'EACCES', 'ENOSYS', 'ENOTSUP', 'UNKNOWN'].includes(codeOf(error) ?? '')) throw error
    renameSync(blob, file)
  }
}
