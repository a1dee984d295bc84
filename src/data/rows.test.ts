import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { parquetWriteBuffer } from 'hyparquet-writer'
import { afterAll, expect, test } from 'vitest'
import { InputError, UserError } from '../base/errors.ts'
import type { Row } from '../base/lines.ts'
import { findDataFile } from './locate.ts'
import { readRows } from './rows.ts'

const FIXTURES = join(import.meta.dirname, '../../test/fixtures/data')
const folder = mkdtempSync(join(tmpdir(), 'rows-'))
afterAll(() => rmSync(folder, { recursive: true }))

let fileCount = 0
function file(extension: string, content: string | Uint8Array): string {
  fileCount++
  const path = join(folder, `${fileCount}${extension}`)
  writeFileSync(path, content)
  return path
}

async function rowsOf(path: string): Promise<Row[]> {
  const rows: Row[] = []
  for await (const row of readRows(path)) rows.push(row)
  return rows
}

const ab: Row[] = [
  { line: 1, value: { a: 1 } },
  { line: 2, value: { a: 2 } },
]

test('the same rows come out of JSON lines, an array, a wrapping object, and gzip of each, whatever the name', async () => {
  const contents = ['{"a":1}\n{"a":2}', '[{"a":1},{"a":2}]', '{\n "rows": [{"a":1},\n {"a":2}],\n "count": 2\n}']
  for (const content of contents) {
    expect(await rowsOf(file('.json', content)), content).toEqual(ab)
    expect(await rowsOf(file('.txt', `\ufeff${content}\r\n`)), content).toEqual(ab)
    expect(await rowsOf(file('.json', gzipSync(content))), content).toEqual(ab)
  }
  expect(await rowsOf(file('.jsonl.gz', gzipSync(contents[0])))).toEqual(ab)
})

test('blank lines, CRLF and a byte order mark change no row and no line number', async () => {
  const rows = await rowsOf(file('.jsonl', '\ufeff\r\n{"a":1}\r\n \r\n{"a":2}'))
  expect(rows).toEqual([
    { line: 2, value: { a: 1 } },
    { line: 4, value: { a: 2 } },
  ])
})

test('one object is one row unless its only array of objects holds rows: ids and messages are content', async () => {
  const row = async (content: string) =>
    (await rowsOf(file('.json', content))).map((one) => 'value' in one && one.value)
  expect(await row('{"ids":[1,2]}')).toEqual([{ ids: [1, 2] }])
  expect(await row('{"prompt":[{"role":"user","content":"?"}]}')).toHaveLength(1)
  expect(await row('{"prompt":[{"role":"user","content":"?"}]}')).toHaveProperty('0.prompt')
  expect(await row('{"a":[{"b":1}],"c":[{"d":1}]}')).toEqual([{ a: [{ b: 1 }], c: [{ d: 1 }] }])
  expect(await row('{"data":[{"b":1},{"b":2}],"version":1}')).toEqual([{ b: 1 }, { b: 2 }])
  // Under a JSON-lines name an object is always a row.
  expect(await rowsOf(file('.jsonl', '{"data":[{"b":1}]}'))).toEqual([{ line: 1, value: { data: [{ b: 1 }] } }])
})

test('a cut last line and lines that are not JSON or not UTF-8 are problems with their lines', async () => {
  const broken = Buffer.concat([Buffer.from('{"a":1}\nnope\n"'), Buffer.from([0xff]), Buffer.from('"\n{"a":')])
  const rows = await rowsOf(file('.jsonl', broken))
  expect(rows.map((row) => [row.line, 'problem' in row])).toEqual([
    [1, false],
    [2, true],
    [3, true],
    [4, true],
  ])
})

test('parquet written by pyarrow with each codec gives the rows of the JSON lines it was made of', async () => {
  const expected = await rowsOf(join(FIXTURES, 'prm800k.jsonl'))
  expect(expected).toHaveLength(6)
  for (const codec of ['snappy', 'gzip', 'zstd']) {
    expect(await rowsOf(join(FIXTURES, `prm800k-${codec}.parquet`)), codec).toEqual(expected)
  }
})

test('parquet is known by content; 64-bit integers, dates and missing values become plain JSON values', async () => {
  const bytes = parquetWriteBuffer({
    columnData: [
      { name: 'id', data: [7n, 2n ** 62n], type: 'INT64' },
      { name: 'ids', data: [[1, 2], [3]] },
      { name: 'when', data: [new Date(0), new Date(86_400_000)], type: 'TIMESTAMP' },
      { name: '__proto__', data: ['x', null], type: 'STRING' },
    ],
  })
  const rows = await rowsOf(file('.json', new Uint8Array(bytes)))
  expect(JSON.stringify(rows)).toBe(
    JSON.stringify([
      { line: 1, value: { id: 7, ids: [1, 2], when: '1970-01-01T00:00:00.000Z' } },
      { line: 2, value: { id: String(2n ** 62n), ids: [3], when: '1970-01-02T00:00:00.000Z' } },
    ]),
  )
  expect(Object.keys(Object.prototype)).toEqual([])
})

test('every cut of a parquet file, and a footer that contradicts itself or the file, is an input error', async () => {
  const whole = readFileSync(join(FIXTURES, 'prm800k-snappy.parquet'))
  for (let size = 4; size < whole.length; size += 997) {
    await expect(rowsOf(file('.parquet', whole.subarray(0, size))), String(size)).rejects.toBeInstanceOf(InputError)
  }
  const renamed = Buffer.from(whole)
  renamed.write('f', whole.lastIndexOf('reason'))
  await expect(rowsOf(file('.parquet', renamed))).rejects.toThrow('the columns of the schema')
  // The footer of a whole file, behind fewer bytes of data than it speaks of.
  const column = { name: 'text', data: Array.from({ length: 99 }, (_, index) => String(index).repeat(100)) }
  const long = Buffer.from(parquetWriteBuffer({ columnData: [column], codec: 'UNCOMPRESSED' }))
  const footerBytes = long.readUInt32LE(long.length - 8) + 8
  const hollow = Buffer.concat([long.subarray(0, 4), long.subarray(long.length - footerBytes)])
  await expect(rowsOf(file('.parquet', hollow))).rejects.toThrow('columns inside the file')
})

test('pickles, zips, zstandard, empty files, cut gzip and documents that do not parse are refused by content', async () => {
  const refused: [string | Uint8Array, string][] = [
    [Uint8Array.of(0x80, 4, 0x95, 0, 0), 'pickle'],
    ['PK\x03\x04aaaa', 'zip archive'],
    [Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0), 'zstandard'],
    ['', 'an empty file'],
    [gzipSync(''), 'an empty file'],
    [gzipSync('{"a":1}\n').subarray(0, 12), 'gzip'],
    ['[{"a":1},', 'a JSON document'],
    ['{"a":1,\n"b":', 'a JSON document'],
  ]
  for (const [content, message] of refused) {
    const path = file('.json', content)
    const error = await rowsOf(path).catch((caught: unknown) => caught)
    expect(error).toBeInstanceOf(InputError)
    expect(String(error)).toContain(message)
    expect(String(error)).toContain(path)
  }
})

test('what is no file is a user error, and a folder stands for its only data file', async () => {
  await expect(rowsOf(folder)).rejects.toThrow(UserError)
  await expect(rowsOf(join(folder, 'absent'))).rejects.toThrow(UserError)
  if (process.platform === 'linux') await expect(rowsOf('/dev/zero')).rejects.toThrow('not a regular file')
  const inner = join(folder, 'inner')
  mkdirSync(inner)
  expect(() => findDataFile(inner)).toThrow('found none')
  writeFileSync(join(inner, 'README.md'), '')
  writeFileSync(join(inner, '.cached.jsonl'), '')
  writeFileSync(join(inner, 'train.jsonl.gz'), '')
  expect(findDataFile(inner)).toBe(join(inner, 'train.jsonl.gz'))
  writeFileSync(join(inner, 'test.parquet'), '')
  expect(() => findDataFile(inner)).toThrow('found 2: test.parquet, train.jsonl.gz')
  expect(() => findDataFile('openai/prm800k')).toThrow('Hub')
})
