/**
 * @file Durable files: after a crash a reader finds the old content or the new one, never a mix, and what was
 * acknowledged is there. Write to a temporary name, fsync, rename, fsync the folder.
 */
import * as nodeFs from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { codeOf } from './errors.ts'

/** The part of node:fs that durable writing needs; tests stand in a disk that fails. */
export type FileSystem = Pick<
  typeof nodeFs,
  | 'openSync'
  | 'writeSync'
  | 'fsyncSync'
  | 'closeSync'
  | 'renameSync'
  | 'unlinkSync'
  | 'mkdirSync'
  | 'rmSync'
  | 'ftruncateSync'
>

export type Bytes = string | Uint8Array

let temporaryCount = 0

/** A name beside `path` that nobody else uses. */
function temporaryName(path: string): string {
  temporaryCount++
  return join(dirname(path), `.tmp-${basename(path)}-${process.pid}-${temporaryCount}`)
}

/** Writes all bytes: `writeSync` may write fewer than it was given. */
function writeFully(fd: number, content: Bytes, fs: FileSystem): void {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content
  let done = 0
  while (done < bytes.byteLength) done += fs.writeSync(fd, bytes, done, bytes.byteLength - done)
}

/** Makes the names in a folder durable. Windows cannot open folders and needs no such step. */
export function syncFolder(folder: string, fs: FileSystem = nodeFs): void {
  if (process.platform === 'win32') return
  const fd = fs.openSync(folder, 'r')
  try {
    fs.fsyncSync(fd)
  } finally {
    fs.closeSync(fd)
  }
}

/** Creates `path` with all the parts, fsynced; throws where it exists. */
export function writeNew(path: string, parts: Iterable<Bytes>, fs: FileSystem = nodeFs): void {
  const fd = fs.openSync(path, 'wx')
  try {
    for (const part of parts) writeFully(fd, part, fs)
    fs.fsyncSync(fd)
  } finally {
    fs.closeSync(fd)
  }
}

/**
 * Replaces the content of `path`, whole or not at all. On an error the old content stands (the new one where only its
 * name could not be synced), and no temporary is left.
 */
export function writeDurably(path: string, content: Bytes | Iterable<Bytes>, fs: FileSystem = nodeFs): void {
  const parts = typeof content === 'string' || content instanceof Uint8Array ? [content] : content
  const temporary = temporaryName(path)
  try {
    writeNew(temporary, parts, fs)
    fs.renameSync(temporary, path)
  } catch (error) {
    fs.rmSync(temporary, { force: true })
    throw error
  }
  syncFolder(dirname(path), fs)
}

/**
 * Makes the folder `path` appear whole or not at all: `fill` writes into a temporary folder beside it, which is then
 * synced and placed.
 */
export function writeFolderDurably(path: string, fill: (folder: string) => void, fs: FileSystem = nodeFs): void {
  const temporary = temporaryName(path)
  try {
    fs.mkdirSync(temporary)
    fill(temporary)
    syncFolder(temporary, fs)
    placeFolderDurably(temporary, path, fs)
  } catch (error) {
    fs.rmSync(temporary, { recursive: true, force: true })
    throw error
  }
}

/**
 * Gives a folder whose content is durable the name `path`, on the same file system. A folder that stands at `path` is
 * moved away first, moved back on an error, and removed at the end. A death between the two renames leaves neither.
 */
export function placeFolderDurably(folder: string, path: string, fs: FileSystem = nodeFs): void {
  const trash = moveAway(path, fs)
  try {
    fs.renameSync(folder, path)
  } catch (error) {
    if (trash !== undefined) fs.renameSync(trash, path)
    throw error
  }
  syncFolder(dirname(path), fs)
  if (trash !== undefined) fs.rmSync(trash, { recursive: true, force: true })
}

/** Removes a folder so that it is never seen half-empty under its own name: renames it, then deletes. */
export function removeFolderDurably(path: string, fs: FileSystem = nodeFs): void {
  const trash = moveAway(path, fs)
  if (trash === undefined) return
  syncFolder(dirname(path), fs) // before the deletions, which could become durable first
  fs.rmSync(trash, { recursive: true, force: true })
}

/** Whether this process may write into a folder. */
export function isWritable(folder: string): boolean {
  try {
    nodeFs.accessSync(folder, nodeFs.constants.W_OK)
    return true
  } catch {
    return false
  }
}

/** Gives what stands at `path` a temporary name, and says which; undefined where nothing stands there. */
function moveAway(path: string, fs: FileSystem): string | undefined {
  const trash = temporaryName(path)
  try {
    fs.renameSync(path, trash)
    return trash
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

/** Deletes the temporary files and folders that a killed process left in `folder`. Call it holding the folder's lock. */
export function removeTemporaries(folder: string, fs: FileSystem = nodeFs): void {
  for (const name of nodeFs.readdirSync(folder)) {
    if (name.startsWith('.tmp-')) fs.rmSync(join(folder, name), { recursive: true, force: true })
  }
}

/** An append-only file of lines. */
export interface LineLog {
  /** Adds lines; they are durable after the next `sync`. */
  append(...lines: readonly string[]): void
  sync(): void
  close(): void
}

/**
 * Opens a log of lines for appending. A last line without its line end was cut by a crash or a full disk: it is
 * removed, so that nothing is ever glued to it.
 */
export function openLineLog(path: string, fs: FileSystem = nodeFs): LineLog {
  const fd = fs.openSync(path, 'a+')
  try {
    cutUnfinishedLine(fd, fs)
    syncFolder(dirname(path), fs)
  } catch (error) {
    fs.closeSync(fd)
    throw error
  }
  return {
    append: (...lines) => {
      try {
        writeFully(fd, lines.map((line) => line + '\n').join(''), fs)
      } catch (error) {
        cutUnfinishedLine(fd, fs)
        throw error
      }
    },
    sync: () => fs.fsyncSync(fd),
    close: () => fs.closeSync(fd),
  }
}

/** Removes what stands after the last line end. */
function cutUnfinishedLine(fd: number, fs: FileSystem): void {
  const { size } = nodeFs.fstatSync(fd)
  const chunk = Buffer.alloc(65536)
  let end = size
  while (end > 0) {
    const start = Math.max(0, end - chunk.length)
    const count = nodeFs.readSync(fd, chunk, 0, end - start, start)
    const newline = chunk.subarray(0, count).lastIndexOf(10)
    end = newline < 0 ? start : start + newline + 1
    if (newline >= 0) break
  }
  if (end < size) fs.ftruncateSync(fd, end)
}
