/**
 * @file What a name of the Hub stands for: what is in the cache, at the commit that is there, or else what is downloaded.
 * Only a download that is asked for brings a branch up to date.
 */
import { join } from 'node:path'
import { UserError } from '../base/errors.ts'
import { isWritable } from '../base/files.ts'
import { type Hub, hasty } from '../interop/hub-access.ts'
import { findSnapshot, repoFolder, type Snapshot, snapshotAt } from '../interop/hub-cache.ts'
import { NotFoundError, UnreachableError } from '../interop/hub-http.ts'
import type { HubName, Repo } from '../interop/hub-name.ts'
import { type Listing, listRepo, subjectOf } from '../interop/hub-repo.ts'
import { readJsonFile } from '../model/load.ts'
import { fetchFiles, type Show } from './hub-files.ts'
import {
  COMPANIONS,
  dataFiles,
  dataNames,
  INDEX,
  missingFiles,
  modelFiles,
  shardsOf,
  unknownCompanions,
} from './hub-model.ts'

/** A folder of the cache, or a file in it. */
export interface Place {
  readonly commit: string
  readonly folder: string
  readonly file?: string
}

/** @throws UserError where it cannot be had. */
export async function modelPlace(hub: Hub, name: HubName, show: Show): Promise<Place> {
  const { commit, folder } = await modelSnapshot(hub, name, show)
  return { commit, folder, file: name.file }
}

async function modelSnapshot(hub: Hub, name: HubName, show: Show): Promise<Snapshot> {
  const cached = findSnapshot(hub.cache, name)
  const missing = cached && missingModelFiles(name, cached)
  if (cached !== undefined && missing?.length === 0) {
    if (name.file === undefined && !hub.isOffline) await bringCompanions(hub, name, cached, show)
    return cached
  }
  if (hub.isOffline) throw offlineError(name, filesOf(name), missing)
  return atCommit(name, cached, (repo) => fetchModel(hub, repo, show))
}

/** Which files the model of a name lacks in a snapshot. */
export function missingModelFiles(name: HubName, snapshot: Snapshot): string[] {
  return missingFiles(name, snapshot, () => readJsonFile(join(snapshot.folder, INDEX)))
}

/**
 * What Python has fetched may lack what stands beside the weights, or what nobody asked for yet: the Hub is asked once for
 * each commit, and the cache notes what is not there. The model works without an answer.
 */
async function bringCompanions(hub: Hub, name: HubName, cached: Snapshot, show: Show): Promise<void> {
  const optional = unknownCompanions(cached)
  if (optional.length === 0 || !isWritable(repoFolder(hub.cache, name))) return
  const repo = { ...name, revision: cached.commit }
  try {
    const listing = await listRepo(hasty(hub), repo)
    const choose = ({ files }: Listing): readonly string[] => optional.filter((file) => files.includes(file))
    await fetchFiles(hub, { repo, choose, optional, listing }, show)
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    show({ type: 'hub-notice', message: `${subjectOf(name)}: used as it is in the cache; ${error.message}` })
  }
}

async function fetchModel(hub: Hub, name: HubName, show: Show): Promise<Snapshot> {
  const first = await fetchFiles(
    hub,
    {
      repo: name,
      choose: ({ files }) => modelFiles(name, files),
      ...(name.file === undefined && { optional: COMPANIONS }),
    },
    show,
  )
  if (first.files.includes(INDEX)) {
    const shards = shardsOf(readJsonFile(join(first.folder, INDEX)), name)
    const choose = (): readonly string[] => shards
    await fetchFiles(hub, { repo: { ...name, revision: first.commit }, choose }, show)
  }
  return snapshotAt(repoFolder(hub.cache, name), first.commit)
}

/**
 * Without a named file the Hub is asked, since the cache may hold one of several.
 * @throws UserError where it cannot be had.
 */
export async function dataPlace(hub: Hub, name: HubName, show: Show): Promise<Place> {
  const cached = findSnapshot(hub.cache, name)
  const isThere = name.file === undefined ? hub.isOffline : cached?.has(name.file)
  if (cached !== undefined && isThere) {
    const [file] = dataFiles(name, cached.files())
    return { commit: cached.commit, folder: cached.folder, file }
  }
  if (hub.isOffline) throw offlineError(name, filesOf(name), cached && filesOf(name))
  try {
    const choose = ({ files }: Listing): readonly string[] => dataFiles(name, files)
    const fetched = await atCommit(name, cached, (repo) => fetchFiles(hub, { repo, choose }, show))
    return { commit: fetched.commit, folder: fetched.folder, file: fetched.files[0] }
  } catch (error) {
    const [file, ...others] = name.file === undefined && cached !== undefined ? dataNames(cached.files()) : []
    if (!(error instanceof UnreachableError) || cached === undefined || file === undefined || others.length > 0) {
      throw error
    }
    show({ type: 'hub-notice', message: `${subjectOf(name)}: ${file} is used from the cache; ${error.message}` })
    return { commit: cached.commit, folder: cached.folder, file }
  }
}

/** What a name brings belongs to the commit of which the cache has a part: a branch does not move under a run. */
async function atCommit<T>(
  name: HubName,
  cached: Snapshot | undefined,
  work: (repo: HubName) => Promise<T>,
): Promise<T> {
  if (cached === undefined || cached.commit === name.revision) return work(name)
  return work({ ...name, revision: cached.commit }).catch((error: unknown) => {
    if (!(error instanceof NotFoundError)) throw error
    const advice = `the cache has ${name.revision} at this commit; to bring it up to date: ${downloadCommand(name, filesOf(name))}`
    throw new UserError(`${error.message}. ${advice}`, { cause: error })
  })
}

function filesOf({ file }: HubName): readonly string[] {
  return file === undefined ? [] : [file]
}

function downloadCommand({ type, id, revision }: Repo, files: readonly string[]): string {
  const kind = type === 'dataset' ? ' --repo_type dataset' : ''
  const at = revision === 'main' ? '' : ` --revision ${revision}`
  return `stepdpo download ${[id, ...files].join(' ')}${kind}${at}`
}

/** @param missing What a snapshot lacks; undefined where there is none. */
export function offlineError(repo: Repo, files: readonly string[], missing?: readonly string[]): UserError {
  const what = missing === undefined || missing.length === 0 ? '' : `: ${missing.join(', ')}`
  return new UserError(
    `${subjectOf(repo)} is not in the Hugging Face cache${what}, and HF_HUB_OFFLINE is set. Where there is a network: ` +
      downloadCommand(repo, files),
  )
}
