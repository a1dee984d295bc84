/**
 * @file A folder's files as one commit on the Hub. How a commit is made (which files go over Git LFS, in which parts) is
 * left to @huggingface/hub; its requests go through ours, which keep the token at home and are patient.
 */
import { openAsBlob } from 'node:fs'
import { join } from 'node:path'
import { messageOf, UserError } from '../base/errors.ts'
import type { Hub } from './hub-access.ts'
import { ask, cleanText } from './hub-http.ts'
import type { Repo } from './hub-name.ts'
import { apiUrl, subjectOf } from './hub-repo.ts'

export interface Upload {
  readonly repo: Repo
  readonly folder: string
  /** Below the folder, under the same names on the Hub. */
  readonly files: readonly string[]
  readonly message: string
}

/** Makes the repository and the branch where they are not there. @throws UserError where the Hub refuses. */
export async function createRepo(hub: Hub, repo: Repo, isPrivate: boolean): Promise<void> {
  const [organization, name] = repo.id.split('/')
  await create(hub, repo, `${hub.endpoint}/api/repos/create`, {
    type: repo.type,
    name,
    organization,
    private: isPrivate,
  })
  if (repo.revision !== 'main') {
    await create(hub, repo, `${apiUrl(hub, repo)}/branch/${encodeURIComponent(repo.revision)}`, {})
  }
}

async function create(hub: Hub, repo: Repo, url: string, facts: object): Promise<void> {
  const headers = { 'content-type': 'application/json' }
  const exists = [409]
  const request = { url, method: 'POST', headers, body: JSON.stringify(facts), subject: subjectOf(repo) }
  const { body } = await ask(hub, { ...request, accepts: exists })
  await body?.cancel()
}

/**
 * Uploads files and gives the commit. `onFile` hears which file is next.
 * @throws UserError where the Hub refuses, or answers what cannot be followed.
 */
export async function uploadFiles(hub: Hub, upload: Upload, onFile: (path: string) => void): Promise<string> {
  const { commitIter } = await import('@huggingface/hub')
  const { repo, folder, message } = upload
  const [title, ...description] = message.split('\n')
  const operations = await Promise.all(
    upload.files.map(async (path) => {
      return { operation: 'addOrUpdate', path, content: await openAsBlob(join(folder, path)) } as const
    }),
  )
  const named = new Set<string>()
  const events = commitIter({
    repo: { type: repo.type, name: repo.id },
    branch: repo.revision,
    title,
    description: description.join('\n').trim(),
    operations,
    hubUrl: hub.endpoint,
    fetch: patientFetch(hub, repo),
    abortSignal: hub.signal,
    useXet: false, // it is asked only of the Hub itself; Git LFS is spoken everywhere
  })
  try {
    for (;;) {
      const { value, done } = await events.next()
      if (done) return commitOf(value?.commit.oid)
      if (value.event !== 'fileProgress' || named.has(value.path)) continue
      named.add(value.path)
      onFile(value.path)
    }
  } catch (error) {
    hub.signal.throwIfAborted()
    if (error instanceof UserError || (error instanceof Error && 'syscall' in error)) throw error
    throw new UserError(`${subjectOf(repo)}: ${hub.endpoint} answers ${cleanText(hub, messageOf(error))}`)
  }
}

function commitOf(oid: unknown): string {
  if (typeof oid === 'string' && /^[0-9a-f]{40}$/.test(oid)) return oid
  throw new Error('without the commit that was made')
}

/** What the library knows of the token is nothing: it is added where a request goes to the Hub itself. */
function patientFetch(hub: Hub, repo: Repo): typeof fetch {
  return (input, { method, headers, body } = {}) => {
    const url = input instanceof Request ? input.url : `${input}`
    const pairs = Object.fromEntries(new Headers(headers))
    return ask(hub, { url, method, headers: pairs, body: body ?? undefined, subject: subjectOf(repo) })
  }
}
