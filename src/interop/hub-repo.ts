/** @file What the Hub says of a repository: its commit, its files, and the size and hash of each. */
import { z } from 'zod'
import { UserError } from '../base/errors.ts'
import type { Hub } from './hub-access.ts'
import { isCommit } from './hub-cache.ts'
import { ask, askJson } from './hub-http.ts'
import { isRepoPath, type Repo } from './hub-name.ts'

export interface Listing {
  readonly commit: string
  readonly files: readonly string[]
}

export interface RemoteFile {
  readonly path: string
  readonly url: string
  /** What the cache calls its content: SHA-256 of what Git LFS holds, Git's SHA-1 of anything else. */
  readonly etag: string
  readonly size: number
}

const MOST_FILES = 200_000

const listingSchema = z.object({
  sha: z.string().refine(isCommit),
  siblings: z.array(z.object({ rfilename: z.string() })).max(MOST_FILES),
})

export function subjectOf({ type, id, revision }: Repo, file?: string): string {
  const at = revision === 'main' ? '' : `@${revision}`
  return file === undefined ? `${type} ${id}${at}` : `${file} of ${type} ${id}${at}`
}

/** Some names, for a person who has to choose. */
export function listFiles(files: readonly string[]): string {
  const more = files.length > 20 ? ` and ${files.length - 20} more` : ''
  return files.length === 0 ? 'It has none' : `It has ${files.slice(0, 20).join(', ')}${more}`
}

/** `https://…/api/models/org/name` */
export function apiUrl(hub: Hub, { type, id }: Repo): string {
  return `${hub.endpoint}/api/${type}s/${id}`
}

/** @throws UserError for a repository that is not there or not for us, and for files that would lead out of a folder. */
export async function listRepo(hub: Hub, repo: Repo): Promise<Listing> {
  const url = `${apiUrl(hub, repo)}/revision/${encodeURIComponent(repo.revision)}`
  const parsed = listingSchema.safeParse(await askJson(hub, { url, subject: subjectOf(repo) }))
  if (!parsed.success) {
    throw new UserError(`${subjectOf(repo)}: expected its commit and files from ${hub.endpoint}, found something else`)
  }
  const files = parsed.data.siblings.map(({ rfilename }) => rfilename)
  const unsafe = files.find((file) => !isRepoPath(file))
  if (unsafe === undefined) return { commit: parsed.data.sha, files }
  throw new UserError(
    `${subjectOf(repo)}: expected names of files inside of the repository, found ${JSON.stringify(unsafe.slice(0, 200))}`,
  )
}

/** Size and hash of a file, by the headers that huggingface_hub goes by. */
export async function describeFile(hub: Hub, repo: Repo, commit: string, path: string): Promise<RemoteFile> {
  const kind = repo.type === 'dataset' ? 'datasets/' : ''
  const url = `${hub.endpoint}/${kind}${repo.id}/resolve/${commit}/${path.split('/').map(encodeURIComponent).join('/')}`
  const subject = subjectOf(repo, path)
  const { headers } = await ask(hub, { url, method: 'HEAD', subject })
  const told = headers.get('x-repo-commit')
  if (told !== null && told !== commit)
    throw new UserError(`${subject}: asked for commit ${commit}, found ${told.slice(0, 40)}`)
  const etag = (headers.get('x-linked-etag') ?? headers.get('etag') ?? '').replace(/^W\//, '').replaceAll('"', '')
  const length = headers.get('x-linked-size') ?? headers.get('content-length') ?? ''
  // The etag becomes the name of a file.
  if (!/^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$/.test(etag) || !/^\d{1,15}$/.test(length)) {
    throw new UserError(`${subject}: expected its hash and size from ${hub.endpoint}, found something else`)
  }
  return { path, url, etag, size: Number(length) }
}
