/**
 * @file The JSON of a binary header, where JSON.parse is too lenient: a key stands once in its object, and a number
 * is whole, not negative and exact. Objects become maps, so that no key means anything to JavaScript.
 */
import { InputError } from '../base/errors.ts'

export type HeaderValue = string | number | boolean | null | readonly HeaderValue[] | HeaderObject
export type HeaderObject = ReadonlyMap<string, HeaderValue>

/** As deep as serde_json, the reference's parser, goes. */
const MAX_DEPTH = 128

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const COLON = 0x3a
const OPEN_LIST = 0x5b
const CLOSE_LIST = 0x5d
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d

const words: ReadonlyMap<string, HeaderValue> = new Map([
  ['true', true],
  ['false', false],
  ['null', null],
])

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

interface Reader {
  readonly bytes: Uint8Array
  readonly file: string
  /** Where the JSON begins in the file. */
  readonly start: number
  at: number
}

/**
 * Parses UTF-8 JSON that stands `start` bytes into `file`.
 * @throws InputError for anything else, for a key that stands twice, and for numbers that are not whole, negative, or
 * from 2⁵³ on.
 */
export function parseHeaderJson(bytes: Uint8Array, file: string, start: number): HeaderValue {
  const reader: Reader = { bytes, file, start, at: 0 }
  const value = readValue(reader, 0)
  if (skipSpace(reader) !== undefined) throw problem(reader, 'the end of the header')
  return value
}

function readValue(reader: Reader, depth: number): HeaderValue {
  const byte = skipSpace(reader)
  if (depth > MAX_DEPTH) throw problem(reader, `at most ${MAX_DEPTH} levels`)
  if (byte === QUOTE) return readString(reader)
  if (byte === OPEN_OBJECT) return readObject(reader, depth)
  if (byte === OPEN_LIST) return readList(reader, depth)
  return readWord(reader)
}

function readObject(reader: Reader, depth: number): HeaderObject {
  const object = new Map<string, HeaderValue>()
  readItems(reader, CLOSE_OBJECT, () => {
    const keyAt = reader.at
    if (skipSpace(reader) !== QUOTE) throw problem(reader, 'a key in double quotes')
    const key = readString(reader)
    if (object.has(key)) throw problem({ ...reader, at: keyAt }, 'each key once', JSON.stringify(key) + ' again')
    if (skipSpace(reader) !== COLON) throw problem(reader, "':'")
    reader.at++
    object.set(key, readValue(reader, depth + 1))
  })
  return object
}

function readList(reader: Reader, depth: number): readonly HeaderValue[] {
  const list: HeaderValue[] = []
  readItems(reader, CLOSE_LIST, () => list.push(readValue(reader, depth + 1)))
  return list
}

/** The items between a bracket, where the reader stands, and the one that closes it. */
function readItems(reader: Reader, close: number, readItem: () => void): void {
  reader.at++
  if (skipSpace(reader) === close) {
    reader.at++
    return
  }
  for (;;) {
    readItem()
    const byte = skipSpace(reader)
    if (byte !== close && byte !== COMMA) throw problem(reader, `',' or '${String.fromCharCode(close)}'`)
    reader.at++
    if (byte === close) return
  }
}

function readString(reader: Reader): string {
  const from = reader.at
  let end = from + 1
  while (end < reader.bytes.length && reader.bytes[end] !== QUOTE) end += reader.bytes[end] === BACKSLASH ? 2 : 1
  try {
    const value: unknown = JSON.parse(utf8.decode(reader.bytes.subarray(from, end + 1)))
    if (typeof value === 'string' && !/\p{Surrogate}/u.test(value)) {
      reader.at = end + 1
      return value
    }
  } catch {}
  throw problem(reader, 'a whole JSON string in UTF-8')
}

/** A number, true, false or null. */
function readWord(reader: Reader): HeaderValue {
  const text = wordAt(reader)
  const value = /^(0|[1-9]\d{0,15})$/.test(text) ? Number(text) : words.get(text)
  if (value === undefined || (typeof value === 'number' && !Number.isSafeInteger(value))) {
    throw problem(reader, 'a string, list, object, true, false, null or whole number below 2^53')
  }
  reader.at += text.length
  return value
}

/** The letters, digits and signs at the reader, as far as a word can go. */
function wordAt(reader: Reader): string {
  const text = Buffer.from(reader.bytes.subarray(reader.at, reader.at + 24)).toString('latin1')
  return text.slice(0, text.search(/[^\w.+-]|$/))
}

/** Steps over white space; the byte there, or undefined at the end. */
function skipSpace(reader: Reader): number | undefined {
  while (isSpace(reader.bytes[reader.at])) reader.at++
  return reader.bytes[reader.at]
}

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09
}

function problem(reader: Reader, expected: string, found?: string): InputError {
  const rest = Buffer.from(reader.bytes.subarray(reader.at, reader.at + 24)).toString('latin1')
  const seen = found ?? (rest === '' ? 'the end' : JSON.stringify(rest))
  return new InputError({ file: reader.file, offset: reader.start + reader.at }, expected, seen)
}
