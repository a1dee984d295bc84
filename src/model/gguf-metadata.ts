/** @file The metadata of a GGUF file: named numbers, strings, booleans and arrays of them. */
import type { Cursor } from './gguf-cursor.ts'

/** 64-bit integers from 2^53 on are bigints. */
export type GgufScalar = string | number | bigint | boolean
export type GgufValue = GgufScalar | readonly GgufScalar[]

export const ALIGNMENT_KEY = 'general.alignment'

const UINT32 = 4
const ARRAY = 9
/** Vocabularies and their merges stay below a million. */
const MAX_ARRAY_LENGTH = 1 << 22

/** How a value of each type is read; an array has its own way. */
const scalarReaders: ReadonlyMap<number, (cursor: Cursor) => GgufScalar> = new Map([
  [0, (cursor: Cursor): GgufScalar => cursor.take(1).readUInt8()],
  [1, (cursor) => cursor.take(1).readInt8()],
  [2, (cursor) => cursor.take(2).readUInt16LE()],
  [3, (cursor) => cursor.take(2).readInt16LE()],
  [UINT32, (cursor) => cursor.take(4).readUInt32LE()],
  [5, (cursor) => cursor.take(4).readInt32LE()],
  [6, (cursor) => cursor.take(4).readFloatLE()],
  [7, readBoolean],
  [8, (cursor) => cursor.text()],
  [10, (cursor) => numberWhereExact(cursor.take(8).readBigUInt64LE())],
  [11, (cursor) => numberWhereExact(cursor.take(8).readBigInt64LE())],
  [12, (cursor) => cursor.take(8).readDoubleLE()],
])

/** Reads `count` keys with their values. @throws InputError for what the format forbids. */
export function readMetadata(cursor: Cursor, count: number): ReadonlyMap<string, GgufValue> {
  const metadata = new Map<string, GgufValue>()
  for (let index = 0; index < count; index++) {
    const key = cursor.text()
    if (metadata.has(key)) throw cursor.problem(Buffer.byteLength(key), 'each key once', `'${key}' again`)
    const type = cursor.take(4).readUInt32LE()
    if (key === ALIGNMENT_KEY && type !== UINT32) throw cursor.problem(4, `'${key}' as uint32`, `value type ${type}`)
    metadata.set(key, type === ARRAY ? readArray(cursor) : scalarReader(cursor, type)(cursor))
  }
  return metadata
}

/** An array of scalars. Arrays of arrays, which the format allows, are refused: ggml refuses them and nobody has any. */
function readArray(cursor: Cursor): readonly GgufScalar[] {
  const readItem = scalarReader(cursor, cursor.take(4).readUInt32LE())
  const length = cursor.length()
  if (length > MAX_ARRAY_LENGTH) throw cursor.problem(8, `an array of at most ${MAX_ARRAY_LENGTH} values`, `${length}`)
  const items: GgufScalar[] = []
  while (items.length < length) items.push(readItem(cursor))
  return items
}

function scalarReader(cursor: Cursor, type: number): (cursor: Cursor) => GgufScalar {
  const reader = scalarReaders.get(type)
  if (reader === undefined) throw cursor.problem(4, 'a value type of GGUF', `${type}`)
  return reader
}

function readBoolean(cursor: Cursor): boolean {
  const byte = cursor.take(1).readUInt8()
  if (byte > 1) throw cursor.problem(1, 'a boolean of 0 or 1', `${byte}`)
  return byte === 1
}

function numberWhereExact(value: bigint): number | bigint {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}
