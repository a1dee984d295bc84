/** @file Reads the parts of a GGUF header one after the other. Nothing is made room for before its bytes are there. */
import { InputError } from '../base/errors.ts'
import type { ByteFile } from './byte-file.ts'

/** As much as is read at once; longer strings are read whole. */
const WINDOW_BYTES = 1 << 20

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export interface Cursor {
  /** In bytes, from the start of the file. */
  offset(): number
  /** The next bytes. @throws InputError where the file ends before. */
  take(byteLength: number): Buffer
  /** A 64-bit length. @throws InputError from 2^53 on. */
  length(): number
  /** A length, and as many bytes of UTF-8. @throws InputError where it is not UTF-8. */
  text(): string
  /** The error that something `byteLength` bytes before the cursor is wrong. */
  problem(byteLength: number, expected: string, found: string): InputError
}

export function openCursor(file: ByteFile): Cursor {
  let window = Buffer.alloc(0)
  let windowStart = 0
  let offset = 0
  const problem = (byteLength: number, expected: string, found: string): InputError =>
    new InputError({ file: file.path, offset: offset - byteLength }, expected, found)
  const take = (byteLength: number): Buffer => {
    if (offset + byteLength > windowStart + window.length) {
      const wanted = Math.max(byteLength, Math.min(WINDOW_BYTES, file.size - offset))
      window = Buffer.from(file.read(offset, wanted))
      windowStart = offset
    }
    offset += byteLength
    return window.subarray(offset - byteLength - windowStart, offset - windowStart)
  }
  const length = (): number => {
    const value = take(8).readBigUInt64LE()
    if (value > Number.MAX_SAFE_INTEGER) throw problem(8, 'a length below 2^53', `${value}`)
    return Number(value)
  }
  const text = (): string => {
    const bytes = take(length())
    try {
      return utf8.decode(bytes)
    } catch (error) {
      throw new InputError({ file: file.path, offset: offset - bytes.length }, 'UTF-8', 'other bytes', { cause: error })
    }
  }
  return { offset: () => offset, take, length, text, problem }
}
