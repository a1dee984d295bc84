/** @file Files of a repository of the Hub brought into the cache, or into a folder. */
import { mkdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import { UserError } from '../base/errors.ts'
import { InUseError, type Lock, lockFolder } from '../base/lock.ts'
import type { Hub } from '../interop/hub-access.ts'
import { keepAbsence, keepRef, lockPlace, placeBlob, repoFolder, snapshotAt } from '../interop/hub-cache.ts'
import { fetchFile, isContent, type OnBytes } from '../interop/hub-fetch.ts'
import type { Repo } from '../interop/hub-name.ts'
import { describeFile, type Listing, listRepo, type RemoteFile, subjectOf } from '../interop/hub-repo.ts'

/** What is told while files come; sizes in bytes. */
export type HubEvent =
  | { readonly type: 'hub-waiting'; readonly message: string }
  | {
      readonly type: 'hub-begin'
      readonly repo: Repo
      readonly commit: string
      readonly files: number
      readonly total: number
    }
  | {
      readonly type: 'hub-progress'
      readonly file: string
      readonly done: number
      readonly total: number
      readonly came: number
    }
  | {
      readonly type: 'hub-end'
      readonly repo: Repo
      readonly commit: string
      readonly folder: string
      readonly came: number
    }

export type Show = (event: HubEvent) => void

export interface Fetched {
  readonly commit: string
  /** Of the snapshot, or the given one. */
  readonly folder: string
  readonly files: readonly string[]
  readonly bytes: number
}

export interface FilesWanted {
  readonly repo: Repo
  /** @throws UserError where it cannot be told. */
  choose(listing: Listing): readonly string[]
  /** Names that are asked for if they are there: the cache notes which are not. */
  readonly optional?: readonly string[]
  readonly localDir?: string
}

const LOCK_WAIT_MS = 500
/** Headers that are asked for at once. */
const AT_ONCE = 8

/**
 * Brings what `choose` names of a revision's files; what is there already is not sent again. A second process waits.
 * @throws UserError for whatever the Hub, the network or the disk refuses; what has come so far is kept.
 */
export async function fetchFiles(hub: Hub, wanted: FilesWanted, show: Show): Promise<Fetched> {
  const { repo, localDir } = wanted
  if (hub.isOffline) throw new UserError(`${subjectOf(repo)}: HF_HUB_OFFLINE is set, nothing is downloaded; unset it`)
  const listing = await listRepo(hub, repo)
  const lock = await waitForLock(hub, localDir === undefined ? lockPlace(hub.cache, repo) : workFolder(localDir), show)
  try {
    const paths = wanted.choose(listing)
    const files = await describeAll(hub, repo, listing.commit, paths)
    const bytes = files.reduce((sum, { size }) => sum + size, 0)
    const { commit } = listing
    show({ type: 'hub-begin', repo, commit, files: files.length, total: bytes })
    const place = localDir === undefined ? cachePlace(hub, repo, commit) : folderPlace(hub, localDir)
    let done = 0
    let came = 0
    for (const file of files) {
      await place.bring(file, (count, added) => {
        came += added
        show({ type: 'hub-progress', file: file.path, done: done + count, total: bytes, came })
      })
      done += file.size
    }
    if (localDir === undefined) noteFacts(hub, wanted, listing)
    show({ type: 'hub-end', repo, commit, folder: place.folder, came })
    return { commit, folder: place.folder, files: paths, bytes }
  } finally {
    lock.release()
  }
}

/** What is not there is known for this commit, and where the revision is, too. */
function noteFacts(hub: Hub, { repo, optional = [] }: FilesWanted, { commit, files }: Listing): void {
  const folder = repoFolder(hub.cache, repo)
  for (const file of optional) if (!files.includes(file)) keepAbsence(folder, commit, file)
  keepRef(folder, repo.revision, commit)
}

async function describeAll(hub: Hub, repo: Repo, commit: string, paths: readonly string[]): Promise<RemoteFile[]> {
  const files: RemoteFile[] = []
  for (let at = 0; at < paths.length; at += AT_ONCE) {
    const some = paths.slice(at, at + AT_ONCE)
    files.push(...(await Promise.all(some.map((path) => describeFile(hub, repo, commit, path)))))
  }
  return files
}

interface Place {
  readonly folder: string
  bring(file: RemoteFile, onBytes: OnBytes): Promise<void>
}

function cachePlace(hub: Hub, repo: Repo, commit: string): Place {
  const folder = repoFolder(hub.cache, repo)
  const snapshot = snapshotAt(folder, commit)
  return {
    folder: snapshot.folder,
    bring: async (file, onBytes) => {
      if (snapshot.has(file.path)) return // by its commit, it cannot have changed
      const blob = join(folder, 'blobs', file.etag)
      if (!(await isContent(blob, file)))
        await fetchFile(hub, file, { partial: `${blob}.incomplete`, path: blob }, onBytes)
      placeBlob(hub, blob, join(snapshot.folder, file.path))
    },
  }
}

function folderPlace(hub: Hub, folder: string): Place {
  return {
    folder,
    bring: async (file, onBytes) => {
      const path = join(folder, file.path)
      if (await isContent(path, file)) return
      const partial = join(workFolder(folder), `${basename(file.path)}.${file.etag}.incomplete`)
      await fetchFile(hub, file, { partial, path }, onBytes)
    },
  }
}

/** Where unfinished files of a plain folder are, as huggingface_hub has it. */
function workFolder(folder: string): string {
  return join(folder, '.cache', 'huggingface', 'download')
}

async function waitForLock(hub: Hub, folder: string, show: Show): Promise<Lock> {
  mkdirSync(folder, { recursive: true })
  for (let waits = 0; ; waits++) {
    try {
      return lockFolder(folder)
    } catch (error) {
      if (!(error instanceof InUseError)) throw error
      if (waits === 0) show({ type: 'hub-waiting', message: 'another process is downloading this; waiting for it' })
      await hub.clock.sleep(LOCK_WAIT_MS, hub.signal)
    }
  }
}
