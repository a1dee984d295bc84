/** @file A file of lines that several processes append to, and read while it grows. */
import { readSync, writeSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { InputError } from '../base/errors.ts'

/**
 * The part of a file that a ledger needs. `write` appends. Only making durable waits for the disk: the rest takes
 * microseconds, and waiting for it would take until all the replies that have come meanwhile are handled.
 */
export interface LedgerFile {
  /** How many of the bytes the disk took. */
  write(bytes: Buffer): number
  datasync(): Promise<void>
  /** How many bytes were read. */
  read(buffer: Buffer, offset: number, length: number, position: number): number
  close(): Promise<void>
}

/** Readable by its owner only: it holds what was judged. */
export async function openPrivately(path: string): Promise<LedgerFile> {
  const handle = await open(path, 'a+', 0o600)
  return {
    write: (bytes) => writeSync(handle.fd, bytes),
    datasync: () => handle.datasync(),
    read: (buffer, offset, length, position) => readSync(handle.fd, buffer, offset, length, position),
    close: () => handle.close(),
  }
}

const CHUNK_BYTES = 1 << 16
const MAX_LINE_BYTES = 64 << 20

/**
 * Appends bytes by one write, which no other process's write divides, and makes them durable.
 * @throws Error where the disk did not take all of them: what stands then is a cut line.
 */
export async function appendDurably(file: LedgerFile, content: string): Promise<void> {
  const bytes = Buffer.from(content)
  const taken = file.write(bytes)
  if (taken < bytes.length) throw new Error(`the disk took ${taken} of ${bytes.length} bytes`)
  await file.datasync()
}

/** `length` bytes from `start`; fewer at the end of the file. */
export function readAt(file: LedgerFile, start: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length)
  let done = 0
  while (done < length) {
    const count = file.read(bytes, done, length - done, start + done)
    if (count === 0) break
    done += count
  }
  return bytes.subarray(0, done)
}

/**
 * Gives every whole line that stands after `position` to `take`, blank ones excepted.
 * @returns the place after the last of them: a line that has no end yet is read the next time.
 * @throws InputError for a line over 64 MiB.
 */
export function readTail(
  file: LedgerFile,
  path: string,
  position: number,
  take: (line: Buffer, start: number) => void,
): number {
  let at = position
  let size = CHUNK_BYTES
  for (;;) {
    const chunk = readAt(file, at, size)
    let from = 0
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      if (end > from) take(chunk.subarray(from, end), at + from)
      from = end + 1
    }
    if (chunk.length < size) return at + from
    if (from === 0) size *= 2 // a line longer than the chunk
    if (size > MAX_LINE_BYTES)
      throw new InputError({ file: path, offset: at }, 'lines of at most 64 MiB', 'a longer one')
    at += from
  }
}
