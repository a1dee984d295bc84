/** @file Files of a repository of the Hub brought into the cache, or into a folder. */
import { basename, join } from 'node:path'
import { UserError } from '../base/errors.ts'
import { InUseError, type Lock, lockFolder } from '../base/lock.ts'
import type { Hub } from '../interop/hub-access.ts'
import { keepAbsence, keepRef, lockPlace, placeBlob, repoFolder, snapshotAt } from '../interop/hub-cache.ts'
import { diskError, isReadOnly, makeFolder, refuseFullDisk } from '../interop/hub-disk.ts'
import { fetchFile, isContent, type OnBytes, sizeOf } from '../interop/hub-fetch.ts'
import { isPlaceable, type Repo } from '../interop/hub-name.ts'
import { describeFile, type Listing, listRepo, type RemoteFile, subjectOf } from '../interop/hub-repo.ts'

/** What is told while files come; sizes in bytes. */
export type HubEvent =
  /** What a person should know: somebody is waited for, something is tried again, the cache stands in. */
  | { readonly type: 'hub-notice'; readonly message: string }
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
  /** Of the revision, where it was asked for already. */
  readonly listing?: Listing
}

const LOCK_WAIT_MS = 500
/** A lock of another host that was not touched for so long is that of a container or machine that is gone. */
const LOCK_FRESH_MS = 120_000
/** Headers that are asked for at once. */
const AT_ONCE = 8

/**
 * Brings what `choose` names of a revision's files; what is there already is not sent again. A second process waits.
 * @throws UserError for whatever the Hub, the network or the disk refuses; what has come so far is kept.
 */
export async function fetchFiles(hub: Hub, wanted: FilesWanted, show: Show): Promise<Fetched> {
  const { repo, localDir } = wanted
  if (hub.isOffline) throw new UserError(`${subjectOf(repo)}: HF_HUB_OFFLINE is set, nothing is downloaded; unset it`)
  const listing = wanted.listing ?? (await listRepo(hub, repo))
  const paths = wanted.choose(listing)
  const odd = paths.find((path) => !isPlaceable(path))
  if (odd !== undefined) throw new UserError(`${subjectOf(repo, odd)}: this system has no files with such a name`)
  const place = localDir === undefined ? cachePlace(hub, repo, listing.commit) : folderPlace(hub, localDir)
  const sizes = place.sizesOf(paths)
  if (sizes !== undefined) return giveCached(hub, wanted, { listing, paths, place, sizes }, show)
  const lock = await waitForLock(hub, localDir === undefined ? lockPlace(hub.cache, repo) : workFolder(localDir), show)
  try {
    const files = await describeAll(hub, repo, listing.commit, paths)
    refuseFullDisk(localDir ?? hub.cache, sum(files.map(place.lacking)))
    const bytes = sum(files.map(({ size }) => size))
    const { commit } = listing
    show({ type: 'hub-begin', repo, commit, files: files.length, total: bytes })
    const came = await bringAll(place, files, show)
    if (localDir === undefined) noteFacts(hub, wanted, listing)
    show({ type: 'hub-end', repo, commit, folder: place.folder, came })
    return { commit, folder: place.folder, files: paths, bytes }
  } catch (error) {
    throw diskError(localDir ?? hub.cache, error)
  } finally {
    lock.release()
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}

/** How many bytes came. */
async function bringAll(place: Place, files: readonly RemoteFile[], show: Show): Promise<number> {
  const total = sum(files.map(({ size }) => size))
  let done = 0
  let came = 0
  for (const file of files) {
    const onBytes: OnBytes = (count, added) => {
      came += added
      show({ type: 'hub-progress', file: file.path, done: done + count, total, came })
    }
    await place.bring(file, onBytes).catch((error: unknown) => {
      throw diskError(`${file.path}, in ${place.folder}`, error)
    })
    done += file.size
  }
  return came
}

interface Found {
  readonly listing: Listing
  readonly paths: readonly string[]
  readonly place: Place
  readonly sizes: readonly number[]
}

/** All is there: nobody has to be kept from writing, and where nothing can be written it works, too. */
function giveCached(hub: Hub, wanted: FilesWanted, { listing, paths, place, sizes }: Found, show: Show): Fetched {
  const { repo } = wanted
  const { commit } = listing
  try {
    noteFacts(hub, wanted, listing)
  } catch (error) {
    if (!isReadOnly(error)) throw diskError(hub.cache, error)
  }
  const bytes = sum(sizes)
  if (paths.length > 0) {
    show({ type: 'hub-begin', repo, commit, files: paths.length, total: bytes })
    show({ type: 'hub-end', repo, commit, folder: place.folder, came: 0 })
  }
  return { commit, folder: place.folder, files: paths, bytes }
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
  /** The sizes of files that are surely there with what they are to hold; undefined where one is not. */
  sizesOf(paths: readonly string[]): readonly number[] | undefined
  /** How many bytes of a file are to come. */
  lacking(file: RemoteFile): number
  bring(file: RemoteFile, onBytes: OnBytes): Promise<void>
}

function cachePlace(hub: Hub, repo: Repo, commit: string): Place {
  const folder = repoFolder(hub.cache, repo)
  const snapshot = snapshotAt(folder, commit)
  const blobOf = ({ etag }: RemoteFile): string => join(folder, 'blobs', etag)
  return {
    folder: snapshot.folder,
    // By its commit, what is there cannot have changed.
    sizesOf: (paths) =>
      paths.every(snapshot.has) ? paths.map((path) => sizeOf(join(snapshot.folder, path))) : undefined,
    lacking: (file) => (snapshot.has(file.path) ? 0 : lackingBytes(file, blobOf(file), `${blobOf(file)}.incomplete`)),
    bring: async (file, onBytes) => {
      if (snapshot.has(file.path)) return
      const blob = blobOf(file)
      if (!(await isContent(blob, file)))
        await fetchFile(hub, file, { partial: `${blob}.incomplete`, path: blob }, onBytes)
      placeBlob(hub, blob, join(snapshot.folder, file.path))
    },
  }
}

function folderPlace(hub: Hub, folder: string): Place {
  const partialOf = ({ path, etag }: RemoteFile): string =>
    join(workFolder(folder), `${basename(path)}.${etag}.incomplete`)
  return {
    folder,
    sizesOf: () => undefined, // anybody may have changed them
    lacking: (file) => lackingBytes(file, join(folder, file.path), partialOf(file)),
    bring: async (file, onBytes) => {
      const path = join(folder, file.path)
      if (await isContent(path, file)) return
      await fetchFile(hub, file, { partial: partialOf(file), path }, onBytes)
    },
  }
}

function lackingBytes({ size }: RemoteFile, path: string, partial: string): number {
  return sizeOf(path) === size ? 0 : Math.max(0, size - sizeOf(partial))
}

/** Where unfinished files of a plain folder are, as huggingface_hub has it. */
function workFolder(folder: string): string {
  return join(folder, '.cache', 'huggingface', 'download')
}

async function waitForLock(hub: Hub, folder: string, show: Show): Promise<Lock> {
  makeFolder(folder)
  for (let told = ''; ; ) {
    try {
      return lockFolder(folder, { freshMs: LOCK_FRESH_MS })
    } catch (error) {
      if (!(error instanceof InUseError)) throw lockProblem(folder, error)
      const message = `${error.owner} is downloading this; waiting for it. If it is gone, remove ${error.path}`
      if (message !== told) show({ type: 'hub-notice', message })
      told = message
      await hub.clock.sleep(LOCK_WAIT_MS, hub.signal)
    }
  }
}

/** What keeps a lock from being taken is a problem of the disk, or else as it is said. */
function lockProblem(folder: string, error: unknown): unknown {
  const problem = diskError(folder, error instanceof Error ? error.cause : undefined)
  return problem instanceof UserError ? problem : error
}
