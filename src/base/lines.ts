/** @file Lines and JSON rows of a file, read as a stream: gzip by content, byte order mark, CRLF, a missing last line end. */
import { closeSync, createReadStream, openSync, readSync } from 'node:fs'
import { createGunzip } from 'node:zlib'
import { codeOf, InputError, messageOf, UserError } from './errors.ts'

export interface Line {
  /** From 1. */
  readonly number: number
  readonly bytes: Uint8Array
}

/** A row that was read, or why it could not be. */
export type Row =
  | { readonly line: number; readonly value: unknown }
  | { readonly line: number; readonly problem: string }

const MAX_LINE_BYTES = 64 << 20
const GZIP_MAGIC = 0x1f8b

/** The first bytes of a file, to tell its kind by content. */
export function readHead(path: string, byteCount: number): Buffer {
  const head = Buffer.alloc(byteCount)
  const fd = openForReading(path)
  try {
    return head.subarray(0, readSync(fd, head, 0, byteCount, 0))
  } catch (error) {
    throw codeOf(error) === 'EISDIR' ? new UserError(`${path} is a folder, expected a file`) : error
  } finally {
    closeSync(fd)
  }
}

function openForReading(path: string): number {
  try {
    return openSync(path, 'r')
  } catch (error) {
    throw new UserError(`cannot read ${path}: ${messageOf(error)}`, { cause: error })
  }
}

/** The content of a file in chunks, unpacked where it is gzip. */
export async function* readChunks(path: string): AsyncGenerator<Buffer> {
  const head = readHead(path, 2)
  const file = createReadStream(path, { highWaterMark: 1 << 18 })
  if (head.length < 2 || head.readUInt16BE(0) !== GZIP_MAGIC) {
    yield* file
    return
  }
  const unpacked = createGunzip()
  file.on('error', (error) => unpacked.destroy(error))
  try {
    yield* file.pipe(unpacked)
  } catch (error) {
    throw new InputError({ file: path }, 'whole gzip data', messageOf(error), { cause: error })
  } finally {
    file.destroy()
  }
}

/**
 * Every line of a file that is not blank, without its line end.
 * @throws InputError for a line over 64 MiB, which no row of a data set has.
 */
export async function* readLines(path: string): AsyncGenerator<Line> {
  let number = 0
  let rest: Buffer[] = []
  let restBytes = 0
  const refuseLong = (byteCount: number): void => {
    if (byteCount <= MAX_LINE_BYTES) return
    throw new InputError({ file: path, line: number + 1 }, 'a line of at most 64 MiB', 'a longer one')
  }
  const finish = (tail: Buffer): Line => {
    refuseLong(restBytes + tail.length)
    const joined = restBytes === 0 ? tail : Buffer.concat([...rest, tail])
    rest = []
    restBytes = 0
    number++
    const start = number === 1 && joined.length >= 3 && joined.readUIntBE(0, 3) === 0xefbbbf ? 3 : 0
    const end = joined.at(-1) === 13 ? joined.length - 1 : joined.length
    return { number, bytes: joined.subarray(start, Math.max(start, end)) }
  }
  for await (const chunk of readChunks(path)) {
    let from = 0
    for (;;) {
      const newline = chunk.indexOf(10, from)
      if (newline < 0) break
      const line = finish(chunk.subarray(from, newline))
      from = newline + 1
      if (!isBlank(line.bytes)) yield line
    }
    if (from === chunk.length) continue
    rest.push(chunk.subarray(from))
    restBytes += chunk.length - from
    refuseLong(restBytes)
  }
  if (restBytes === 0) return
  const line = finish(Buffer.alloc(0))
  if (!isBlank(line.bytes)) yield line
}

function isBlank(bytes: Uint8Array): boolean {
  for (const byte of bytes) if (byte !== 32 && byte !== 9 && byte !== 13) return false
  return true
}

/** Parses JSON bytes. A problem is returned, not thrown: one bad row does not end a file. */
export function parseJson(bytes: Uint8Array): { value: unknown } | { problem: string } {
  try {
    return { value: JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)) }
  } catch (error) {
    return { problem: error instanceof SyntaxError ? `not JSON: ${error.message}` : 'not UTF-8' }
  }
}

/** Every row of a JSON-lines file, bad ones as problems. */
export async function* readJsonLines(path: string): AsyncGenerator<Row> {
  for await (const line of readLines(path)) yield { line: line.number, ...parseJson(line.bytes) }
}

/**
 * The rows of an append-only log of ours. A last line that does not parse was cut by a crash and is left out.
 * @throws InputError for any other line that does not parse.
 */
export async function* readLog(path: string): AsyncGenerator<unknown> {
  let cut: InputError | undefined
  for await (const row of readJsonLines(path)) {
    if (cut !== undefined) throw cut
    if ('value' in row) yield row.value
    else cut = new InputError({ file: path, line: row.line }, 'a JSON record', row.problem)
  }
}
