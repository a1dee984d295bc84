/** @file The rows of a parquet file, as plain JSON values. */
import {
  type AsyncBuffer,
  asyncBufferFromFile,
  type ColumnChunk,
  type FileMetaData,
  parquetMetadataAsync,
  parquetReadObjects,
  parquetSchema,
  type SchemaTree,
} from 'hyparquet'
import { compressors } from 'hyparquet-compressors'
import { InputError, messageOf } from '../base/errors.ts'
import type { Row } from '../base/lines.ts'

/** Row groups are unpacked whole; Arrow writes at most 2²⁰ rows into one. */
const MAX_GROUP_ROWS = 1 << 22

/**
 * Every row, in file order; `line` is the row's number from 1. Integers of 64 bits become numbers, or text where a
 * number would not be exact; dates become ISO text.
 * @throws InputError for a file that is not whole parquet, or whose footer claims what the file cannot hold.
 */
export async function* readParquet(path: string): AsyncGenerator<Row> {
  const file = await orInputError(path, () => asyncBufferFromFile(path))
  const metadata = await orInputError(path, () => readFooter(path, file))
  let rowStart = 0
  for (const group of metadata.row_groups) {
    const rowEnd = rowStart + Number(group.num_rows)
    const range = { file, metadata, compressors, rowStart, rowEnd, geoparquet: false }
    const values = await orInputError(path, async () => (await parquetReadObjects(range)).map(toPlain))
    for (const [index, value] of values.entries()) yield { line: rowStart + index + 1, value }
    rowStart = rowEnd
  }
}

/** A corrupt file can lead the parser to throw anything. */
async function orInputError<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof InputError) throw error
    throw new InputError({ file: path }, 'whole parquet data', messageOf(error), { cause: error })
  }
}

async function readFooter(path: string, file: AsyncBuffer): Promise<FileMetaData> {
  const metadata = await parquetMetadataAsync(file, { geoparquet: false })
  const leaves = leafPaths(parquetSchema(metadata)).join()
  let rowCount = 0n
  for (const { num_rows, columns } of metadata.row_groups) {
    rowCount += num_rows
    if (num_rows < 0n || num_rows > MAX_GROUP_ROWS) {
      throw new InputError({ file: path }, `row groups of at most ${MAX_GROUP_ROWS} rows`, `one of ${num_rows}`)
    }
    // The parser drops what it began to read where a column is not in the schema, and its errors then end the process.
    if (columns.map(({ meta_data: chunk }) => JSON.stringify(chunk?.path_in_schema)).join() !== leaves) {
      throw new InputError({ file: path }, 'the columns of the schema in every row group', 'others')
    }
    if (!columns.every((column) => isInside(column, file.byteLength))) {
      throw new InputError({ file: path }, 'columns inside the file', 'one outside it')
    }
  }
  if (rowCount === metadata.num_rows) return metadata
  throw new InputError({ file: path }, `${metadata.num_rows} rows in the row groups`, String(rowCount))
}

function leafPaths({ children, path }: SchemaTree): string[] {
  return children.length === 0 ? [JSON.stringify(path)] : children.flatMap(leafPaths)
}

function isInside({ meta_data: chunk }: ColumnChunk, sizeBytes: number): boolean {
  if (chunk === undefined) return false
  const start = chunk.dictionary_page_offset || chunk.data_page_offset
  return start >= 0n && chunk.total_compressed_size >= 0n && start + chunk.total_compressed_size <= sizeBytes
}

function toPlain(value: unknown): unknown {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : String(value)
  if (typeof value !== 'object' || value === null) return value ?? null
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString()
  if (Array.isArray(value)) return value.map(toPlain)
  if (value instanceof Uint8Array) return [...value]
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, toPlain(member)]))
}
