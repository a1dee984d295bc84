/** @file A growing file of lines, read on from where it was left. A last line without its end is left for the next time. */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import { parseJson } from '../base/lines.ts'

/** A row, and where its line stands in the file, in bytes. */
export interface TailRow {
  readonly value: unknown
  readonly offset: number
  readonly length: number
}

export interface TailRead {
  /** Lines that are no JSON are left out. */
  readonly rows: readonly TailRow[]
  /** The file is another one, or shorter: all that was read before is void, and these are its first rows. */
  readonly isNew: boolean
  /** More can be read at once. */
  readonly hasMore: boolean
}

export interface Tail {
  readonly path: string
  /** Where reading goes on, in which file: `INODE-OFFSET`. */
  place(): string
  /** Reads at most about `maxBytes`, or a whole line that is longer. */
  read(maxBytes: number): TailRead
}

const MAX_LINE_BYTES = 64 << 20
const NOTHING: TailRead = { rows: [], isNew: false, hasMore: false }

/** `start`: a place to go on from; a place in another file is as none. */
export function openTail(path: string, start?: string): Tail {
  const [, inode, offset] = /^(\d{1,15})-(\d{1,15})$/.exec(start ?? '') ?? []
  let position = Number(offset ?? 0)
  let file = inode === undefined ? undefined : Number(inode)
  const read = (maxBytes: number): TailRead => {
    const fd = openPlainFile(path)
    if (fd === undefined) return NOTHING
    try {
      const { ino, size } = fstatSync(fd)
      const isNew = (file !== undefined && file !== ino) || size < position
      file = ino
      if (isNew) position = 0
      const { rows, end } = readRows(fd, position, Math.min(size, position + maxBytes), size)
      position = end
      return { rows, isNew, hasMore: rows.length > 0 && end < size }
    } finally {
      closeSync(fd)
    }
  }
  return { path, place: () => `${file ?? 0}-${position}`, read }
}

/** Undefined where there is no such file, or a link. */
function openPlainFile(path: string): number | undefined {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW)
  } catch {
    return undefined
  }
}

function readRows(fd: number, start: number, wanted: number, size: number): { rows: TailRow[]; end: number } {
  let bytes = readBytes(fd, start, wanted - start)
  let last = bytes.lastIndexOf(10)
  // A line that is longer than what was asked for: on to its end, or its next gigabyte is never read.
  while (last < 0 && start + bytes.length < size && bytes.length < MAX_LINE_BYTES) {
    bytes = readBytes(fd, start, Math.min(size - start, bytes.length * 4, MAX_LINE_BYTES))
    last = bytes.lastIndexOf(10)
  }
  const isTooLong = last < 0 && bytes.length >= MAX_LINE_BYTES
  const whole = bytes.subarray(0, last + 1)
  const rows: TailRow[] = []
  for (let from = 0; from < whole.length; ) {
    const end = whole.indexOf(10, from)
    const parsed = parseJson(whole.subarray(from, end))
    if ('value' in parsed) rows.push({ value: parsed.value, offset: start + from, length: end - from })
    from = end + 1
  }
  return { rows, end: start + (isTooLong ? bytes.length : whole.length) }
}

function readBytes(fd: number, start: number, count: number): Buffer {
  const bytes = Buffer.allocUnsafe(Math.max(0, count))
  let done = 0
  while (done < bytes.length) {
    const read = readSync(fd, bytes, done, bytes.length - done, start + done)
    if (read === 0) break
    done += read
  }
  return bytes.subarray(0, done)
}

/** One line again, by its place; undefined where it is no longer there. */
export function readAgain(path: string, { offset, length }: Pick<TailRow, 'offset' | 'length'>): unknown {
  const fd = openPlainFile(path)
  if (fd === undefined) return undefined
  try {
    const parsed = parseJson(readBytes(fd, offset, length))
    return 'value' in parsed ? parsed.value : undefined
  } finally {
    closeSync(fd)
  }
}
