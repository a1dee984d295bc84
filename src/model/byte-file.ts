/** @file Reads by position from a regular file whose content nobody vouches for. Knows no format. */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import { InputError, messageOf, UserError } from '../base/errors.ts'

/** One call of `readSync` takes less than 2³¹ bytes. */
const READ_BYTES = 1 << 30

export interface ByteFile {
  readonly path: string
  /** In bytes, when the file was opened. */
  readonly size: number
  /**
   * A new buffer with the bytes from `offset` on.
   * @throws InputError where the file ends before, or the range does not fit in memory.
   */
  read(offset: number, byteLength: number): ArrayBuffer
  close(): void
}

/**
 * Opens a regular file for reading; a FIFO or a device is refused without waiting for it.
 * @throws UserError where it cannot be opened or is something else.
 */
export function openByteFile(path: string): ByteFile {
  const fd = openDescriptor(path)
  try {
    const stats = fstatSync(fd)
    if (!stats.isFile()) throw new UserError(`${path} is not a regular file`)
    const { size } = stats
    return {
      path,
      size,
      read: (offset, byteLength) => readRange(fd, { path, size }, offset, byteLength),
      close: () => closeSync(fd),
    }
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

function openDescriptor(path: string): number {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (error) {
    throw new UserError(`cannot read ${path}: ${messageOf(error)}`, { cause: error })
  }
}

function readRange(fd: number, file: { path: string; size: number }, offset: number, byteLength: number): ArrayBuffer {
  const place = { file: file.path, offset }
  if (byteLength > file.size - offset) {
    throw new InputError(place, `${byteLength} bytes`, `${Math.max(0, file.size - offset)} before the end of the file`)
  }
  const bytes = allocate(place, byteLength)
  for (let done = 0; done < byteLength; ) {
    const count = readSync(fd, bytes, done, Math.min(READ_BYTES, byteLength - done), offset + done)
    if (count === 0) throw new InputError(place, `${byteLength} bytes`, `${done}: the file was cut while it was read`)
    done += count
  }
  return bytes.buffer
}

function allocate(place: { file: string; offset: number }, byteLength: number): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(byteLength)
  } catch (error) {
    throw new InputError(place, 'a range that fits in memory', `${byteLength} bytes`, { cause: error })
  }
}
