/** @file A file of lines that several processes append to, and read while it grows. */
import { InputError } from '../base/errors.ts'

/** The part of a file handle that a ledger needs. `write` appends. */
export interface LedgerFile {
  write(bytes: Buffer): Promise<{ readonly bytesWritten: number }>
  datasync(): Promise<void>
  read(buffer: Buffer, offset: number, length: number, position: number): Promise<{ readonly bytesRead: number }>
  close(): Promise<void>
}

const CHUNK_BYTES = 1 << 18
const MAX_LINE_BYTES = 64 << 20

/**
 * Appends bytes by one write, which no other process's write divides, and makes them durable.
 * @throws Error where the disk did not take all of them: what stands then is a cut line.
 */
export async function appendDurably(file: LedgerFile, content: string): Promise<void> {
  const bytes = Buffer.from(content)
  const { bytesWritten } = await file.write(bytes)
  if (bytesWritten < bytes.length) throw new Error(`the disk took ${bytesWritten} of ${bytes.length} bytes`)
  await file.datasync()
}

/** `length` bytes from `start`; fewer at the end of the file. */
export async function readAt(file: LedgerFile, start: number, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(length)
  let done = 0
  while (done < length) {
    const { bytesRead } = await file.read(bytes, done, length - done, start + done)
    if (bytesRead === 0) break
    done += bytesRead
  }
  return bytes.subarray(0, done)
}

/**
 * Gives every whole line that stands after `position` to `take`, blank ones excepted.
 * @returns the place after the last of them: a line that has no end yet is read the next time.
 * @throws InputError for a line over 64 MiB.
 */
export async function readTail(
  file: LedgerFile,
  path: string,
  position: number,
  take: (line: Buffer, start: number) => void,
): Promise<number> {
  let at = position
  let size = CHUNK_BYTES
  for (;;) {
    const chunk = await readAt(file, at, size)
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
