/** @file The rows of a data file, told apart by content: JSON lines, one JSON document, gzip of these, parquet. */
import { constants } from 'node:buffer'
import { statSync } from 'node:fs'
import { InputError, UserError } from '../base/errors.ts'
import { parseJson, type Row, readChunks, readHead, readJsonLines, readLines } from '../base/lines.ts'
import { readParquet } from './parquet.ts'

const PARQUET_MAGIC = 'PAR1'

/** First bytes, in hexadecimal, of what is never read. */
const REFUSED = [
  { head: /^800[2-5]/, found: 'a Python pickle, which can run code: save the rows as JSON lines instead' },
  { head: /^504b0(304|506)/, found: 'a zip archive: unpack it first' },
  { head: /^28b52ffd/, found: 'zstandard data: unpack it first' },
]

/**
 * Every row of a data file. `line` is the line in JSON lines, and the row's number from 1 in any other kind.
 * Inside a JSON document (at most 512 MiB, V8's longest string) the rows are its array, or the one member of its
 * object that is an array of objects, or the object itself.
 * @throws UserError where there is no regular file, InputError for content that holds no rows.
 */
export async function* readRows(path: string): AsyncGenerator<Row> {
  const stat = statSync(path, { throwIfNoEntry: false })
  if (stat !== undefined && !stat.isFile() && !stat.isDirectory()) throw new UserError(`${path} is not a regular file`)
  if (readHead(path, 4).toString('latin1') === PARQUET_MAGIC) return yield* readParquet(path)
  const start = await firstChunk(path)
  const refused = REFUSED.find(({ head }) => head.test(start.toString('hex', 0, 4)))
  if (refused !== undefined) throw new InputError({ file: path }, 'JSON lines, JSON or parquet', refused.found)
  if (start.length === 0) throw new InputError({ file: path }, 'rows', 'an empty file')
  yield* (await isDocument(path, start)) ? readDocument(path) : readJsonLines(path)
}

async function firstChunk(path: string): Promise<Buffer> {
  for await (const chunk of readChunks(path)) return chunk
  return Buffer.alloc(0)
}

/** Whether the file is one JSON document: an array, or an object that is not the first of several lines. */
async function isDocument(path: string, start: Buffer): Promise<boolean> {
  if (/\.(jsonl|ndjson)(\.gz)?$/i.test(path)) return false
  const first = /^(?:\xef\xbb\xbf)?\s*(\S)/.exec(start.toString('latin1'))?.[1]
  if (first !== '{') return first === '['
  let lineCount = 0
  for await (const line of readLines(path)) {
    lineCount++
    if (lineCount === 2) return false
    if ('problem' in parseJson(line.bytes)) return true
  }
  return true
}

async function* readDocument(path: string): AsyncGenerator<Row> {
  const parsed = parseJson(await readWhole(path))
  if ('problem' in parsed) throw new InputError({ file: path }, 'a JSON document or JSON lines', parsed.problem)
  const rows = rowsOf(parsed.value)
  for (let index = 0; index < rows.length; index++) yield { line: index + 1, value: rows[index] }
}

/** The bytes of a file, unpacked, without a byte order mark. */
async function readWhole(path: string): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of readChunks(path)) {
    size += chunk.length
    if (size > constants.MAX_STRING_LENGTH) {
      throw new InputError({ file: path }, 'a JSON document of at most 512 MiB', 'a longer one: save it as JSON lines')
    }
    chunks.push(chunk)
  }
  const whole = Buffer.concat(chunks)
  return size >= 3 && whole.readUIntBE(0, 3) === 0xefbbbf ? whole.subarray(3) : whole
}

function rowsOf(document: unknown): readonly unknown[] {
  if (Array.isArray(document)) return document
  if (typeof document !== 'object' || document === null) return [document]
  const lists = Object.values(document).filter(isRowList)
  return lists.length === 1 ? lists[0] : [document]
}

/** Messages are objects too, but they are the content of a row. */
function isRowList(value: unknown): value is readonly unknown[] {
  if (!Array.isArray(value)) return false
  const first: unknown = value[0]
  return typeof first === 'object' && first !== null && !Array.isArray(first) && !('role' in first)
}
