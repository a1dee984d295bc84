/** @file Files of the Hub as a user asks for them: the `download` command. */
import { join } from 'node:path'
import { UsageError, UserError } from '../base/errors.ts'
import type { Hub } from '../interop/hub-access.ts'
import { findSnapshot } from '../interop/hub-cache.ts'
import { sizeOf } from '../interop/hub-fetch.ts'
import { isRevision, parseHubName, type Repo } from '../interop/hub-name.ts'
import { type Listing, listFiles, subjectOf } from '../interop/hub-repo.ts'
import { type Fetched, fetchFiles, type Show } from './hub-files.ts'
import { COMPANIONS, INDEX } from './hub-model.ts'
import { missingModelFiles, offlineError } from './hub-places.ts'
import type { DownloadSettings } from './hub-settings.ts'

/** @throws UsageError for a name that is none, UserError where nothing fits or the download fails. */
export async function download(settings: DownloadSettings, hub: Hub, show: Show): Promise<Fetched> {
  const name = parseHubName(settings.repo, settings.repo_type)
  if (name === undefined) throw new UsageError(`'${settings.repo}': expected org/name`)
  const { type, id, file } = name
  if (name.revision !== 'main' && settings.revision !== 'main') {
    throw new UsageError(`say the revision once: @${name.revision} or --revision ${settings.revision}`)
  }
  const revision = name.revision === 'main' ? settings.revision : name.revision
  if (!isRevision(revision)) throw new UsageError(`--revision ${revision}: expected a branch, tag or commit`)
  const files = file === undefined ? settings.files : [file, ...settings.files]
  const repo = { type, id, revision }
  const wanted = { ...settings, files }
  if (hub.isOffline && settings.local_dir === undefined) return cachedFiles(hub, repo, wanted, show)
  const choose = (listing: Listing) => chooseFiles(listing.files, wanted, subjectOf(repo))
  const optional = type === 'model' ? COMPANIONS : []
  return fetchFiles(hub, { repo, choose, optional, localDir: settings.local_dir }, show)
}

const CONFIGURATION = /^(adapter_)?config\.json$/
/** Weights that other programs run: whoever has them need not have ours. */
const OTHER_WEIGHTS = /\.(gguf|bin)$/i

/** What the cache has of what is asked for, offline. @throws UserError naming what is missing, as far as that is known. */
function cachedFiles(hub: Hub, repo: Repo, wanted: Wanted, show: Show): Fetched {
  const cached = findSnapshot(hub.cache, repo)
  if (cached === undefined) throw offlineError(repo, wanted.files)
  const all = cached.files()
  const missing = wanted.files.filter((file) => !all.includes(file))
  if (missing.length > 0) throw offlineError(repo, wanted.files, missing)
  const isAll = [wanted.files, wanted.include, wanted.exclude].every(({ length }) => length === 0)
  const isOurs = all.some((file) => CONFIGURATION.test(file)) && !all.some((file) => OTHER_WEIGHTS.test(file))
  if (isAll && repo.type === 'model' && (isOurs || cached.has(INDEX))) {
    const parts = missingModelFiles(repo, cached)
    if (parts.length > 0) throw offlineError(repo, [], parts)
  }
  const files = chooseFiles(all, wanted, subjectOf(repo))
  const { commit, folder } = cached
  const unknown = wanted.files.length > 0 ? '' : '; whether the repository has more is not known'
  const message = `HF_HUB_OFFLINE is set: ${files.length} files are in the cache${unknown}`
  show({ type: 'hub-notice', message: `${subjectOf(repo)}, commit ${commit}: ${message}` })
  return { commit, folder, files, bytes: files.reduce((sum, file) => sum + sizeOf(join(folder, file)), 0) }
}

type Wanted = Pick<DownloadSettings, 'files' | 'include' | 'exclude'>

function chooseFiles(all: readonly string[], { files, include, exclude }: Wanted, subject: string): readonly string[] {
  const missing = files.filter((file) => !all.includes(file))
  if (missing.length > 0) throw new UserError(`${subject}: there is no file ${missing.join(', ')}. ${listFiles(all)}`)
  const named = files.length > 0 ? [...new Set(files)] : all
  const chosen = named.filter((file) => matches(file, include, include.length === 0) && !matches(file, exclude, false))
  if (chosen.length > 0) return chosen
  throw new UserError(`${subject}: no file is left by --include and --exclude. ${listFiles(all)}`)
}

/** As Python's fnmatch: a star stands for any text, also across folders; a folder's name with a slash for all in it. */
function matches(file: string, patterns: readonly string[], otherwise: boolean): boolean {
  return otherwise || patterns.some((pattern) => globMatches(file, pattern.endsWith('/') ? `${pattern}*` : pattern))
}

/** Linear in the text for each star: a pattern cannot make it slow. */
function globMatches(text: string, pattern: string): boolean {
  let [at, star, mark] = [0, -1, 0]
  let index = 0
  while (index < text.length) {
    if (pattern[at] === '*') {
      star = at++
      mark = index
    } else if (pattern[at] === '?' || pattern[at] === text[index]) {
      at++
      index++
    } else if (star >= 0) {
      at = star + 1
      index = ++mark
    } else return false
  }
  return /^\**$/.test(pattern.slice(at))
}
