/** @file The content of one file of the Hub: goes on where an earlier try stopped, and counts only if it is whole. */
import { createHash } from 'node:crypto'
import {
  closeSync,
  createReadStream,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { UserError } from '../base/errors.ts'
import { syncFolder } from '../base/files.ts'
import type { Hub } from './hub-access.ts'
import { askOnce, bodyOf, PassingError, persistently } from './hub-http.ts'
import type { RemoteFile } from './hub-repo.ts'

export interface FetchPlace {
  /** Holds what has come so far, and stays where the download ends early. */
  readonly partial: string
  readonly path: string
}

/** Hears how many bytes of a file are there, and how many of them came just now. */
export type OnBytes = (count: number, added: number) => void

/**
 * Brings a file to `path`.
 * @throws UserError where it is not what its hash and size say, or the server or the connection fails for good.
 */
export async function fetchFile(
  hub: Hub,
  file: RemoteFile,
  { partial, path }: FetchPlace,
  onBytes: OnBytes,
): Promise<void> {
  mkdirSync(dirname(partial), { recursive: true })
  mkdirSync(dirname(path), { recursive: true })
  const begun = sizeOf(partial)
  await receive(hub, file, partial, onBytes)
  if (!(await isContent(partial, file))) {
    rmSync(partial)
    if (begun === 0)
      throw new UserError(`${file.path}: what ${hub.endpoint} sent is not what its hash ${file.etag} says`)
    // What an earlier try left may be what is wrong.
    await fetchFile(hub, file, { partial, path }, onBytes)
    return
  }
  sync(partial)
  renameSync(partial, path)
  syncFolder(dirname(path))
}

/** Whether a file is there with the size and, as far as the etag is a hash, the content that the Hub tells of. */
export async function isContent(path: string, { etag, size }: RemoteFile): Promise<boolean> {
  if (!existsSync(path) || sizeOf(path) !== size) return false
  if (/^[0-9a-f]{64}$/.test(etag)) return (await hashOf(path, 'sha256')) === etag
  // https://git-scm.com/book/en/v2/Git-Internals-Git-Objects
  if (/^[0-9a-f]{40}$/.test(etag)) return (await hashOf(path, 'sha1', `blob ${size}\0`)) === etag
  return true
}

/** Read without holding up what else is to be done. */
export async function hashOf(path: string, algorithm: 'sha1' | 'sha256', head = ''): Promise<string> {
  const hash = createHash(algorithm).update(head)
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk)
  return hash.digest('hex')
}

export function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}

function sync(path: string): void {
  const fd = openSync(path, 'r+')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

/** Fills `partial` until it has the file's size, over as many connections as it takes. */
async function receive(hub: Hub, file: RemoteFile, partial: string, onBytes: OnBytes): Promise<void> {
  if (sizeOf(partial) > file.size) truncateSync(partial)
  const fd = openSync(partial, 'a')
  try {
    await persistently(
      hub,
      async () => {
        if (sizeOf(partial) < file.size) await receiveSome(hub, file, { fd, partial }, onBytes)
      },
      () => sizeOf(partial),
    )
  } finally {
    closeSync(fd)
  }
}

/** One connection. @throws PassingError where it ends early. */
async function receiveSome(
  hub: Hub,
  file: RemoteFile,
  { fd, partial }: { readonly fd: number; readonly partial: string },
  onBytes: OnBytes,
): Promise<void> {
  const from = sizeOf(partial)
  const headers: Record<string, string> = from > 0 ? { range: `bytes=${from}-` } : {}
  const response = await askOnce(hub, { url: file.url, headers, subject: file.path, accepts: [416], isContent: true })
  const isContinued = response.status === 206 && startOf(response) === from
  let size = isContinued ? from : 0
  if (!isContinued && from > 0) truncateSync(partial)
  if (response.status === 416 || (response.status === 206 && !isContinued)) {
    await response.body?.cancel()
    throw new PassingError(`${file.path}: ${hub.endpoint} does not go on at byte ${from}`)
  }
  for await (const chunk of bodyOf(hub, response, file.path)) {
    if (size + chunk.length > file.size) {
      throw new UserError(`${file.path}: expected ${file.size} bytes from ${hub.endpoint}, found more`)
    }
    for (let done = 0; done < chunk.length; ) done += writeSync(fd, chunk, done)
    size += chunk.length
    onBytes(size, chunk.length)
  }
  if (size < file.size) throw new PassingError(`${file.path}: the connection ended at byte ${size} of ${file.size}`)
}

function startOf(response: Response): number {
  return Number(/^bytes (\d+)-/.exec(response.headers.get('content-range') ?? '')?.[1] ?? Number.NaN)
}
