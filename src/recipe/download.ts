/** @file Files of the Hub as a user asks for them: the `download` command. */
import { UsageError, UserError } from '../base/errors.ts'
import type { Hub } from '../interop/hub-access.ts'
import { parseHubName } from '../interop/hub-name.ts'
import { type Listing, subjectOf } from '../interop/hub-repo.ts'
import { type Fetched, fetchFiles, type Show } from './hub-files.ts'
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
  if (parseHubName(`${id}@${revision}`, type) === undefined)
    throw new UsageError(`--revision ${revision}: expected a branch, tag or commit`)
  const files = file === undefined ? settings.files : [file, ...settings.files]
  const repo = { type, id, revision }
  const choose = (listing: Listing) => chooseFiles(listing.files, { ...settings, files }, subjectOf(repo))
  return fetchFiles(hub, { repo, choose, localDir: settings.local_dir }, show)
}

function chooseFiles(
  all: readonly string[],
  { files, include, exclude }: Pick<DownloadSettings, 'files' | 'include' | 'exclude'>,
  subject: string,
): readonly string[] {
  const missing = files.filter((file) => !all.includes(file))
  if (missing.length > 0) throw new UserError(`${subject}: there is no file ${missing.join(', ')}. ${listFiles(all)}`)
  const named = files.length > 0 ? [...new Set(files)] : all
  const chosen = named.filter((file) => matches(file, include, include.length === 0) && !matches(file, exclude, false))
  if (chosen.length > 0) return chosen
  throw new UserError(`${subject}: no file is left by --include and --exclude. ${listFiles(all)}`)
}

/** Some names, for a person who has to choose. */
export function listFiles(files: readonly string[]): string {
  const more = files.length > 20 ? ` and ${files.length - 20} more` : ''
  return files.length === 0 ? 'It has none' : `It has ${files.slice(0, 20).join(', ')}${more}`
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
