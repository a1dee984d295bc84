/**
 * @file The safetensors format: an 8-byte length, a JSON header, then the numbers of every tensor, little-endian (as
 * is every machine that onnxruntime runs on). Format: https://github.com/huggingface/safetensors
 */
import { InputError } from '../base/errors.ts'
import type { Tensor } from '../engine/backend.ts'
import { fromBfloat16, fromFloat16 } from '../engine/half.ts'
import type { HalfTensor } from '../engine/stored.ts'
import { type ByteFile, openByteFile } from './byte-file.ts'
import { foreignKind } from './foreign.ts'
import { type HeaderObject, type HeaderValue, parseHeaderJson } from './header-json.ts'
import { exactElementCount } from './shape.ts'

/** The cap of the reference implementation. */
const MAX_HEADER_BYTES = 100_000_000

/**
 * How each type of number is stored and seen, in the order in which the reference writes tensors. The types of 4, 6
 * and 8 bits for floating point, and complex numbers, are not read.
 */
const dtypes = {
  U64: { bytes: 8, view: (buffer: ArrayBuffer) => new BigUint64Array(buffer) },
  I64: { bytes: 8, view: (buffer: ArrayBuffer) => new BigInt64Array(buffer) },
  F64: { bytes: 8, view: (buffer: ArrayBuffer) => new Float64Array(buffer) },
  F32: { bytes: 4, view: (buffer: ArrayBuffer) => new Float32Array(buffer) },
  U32: { bytes: 4, view: (buffer: ArrayBuffer) => new Uint32Array(buffer) },
  I32: { bytes: 4, view: (buffer: ArrayBuffer) => new Int32Array(buffer) },
  BF16: { bytes: 2, view: (buffer: ArrayBuffer) => new Uint16Array(buffer) },
  F16: { bytes: 2, view: (buffer: ArrayBuffer) => new Uint16Array(buffer) },
  U16: { bytes: 2, view: (buffer: ArrayBuffer) => new Uint16Array(buffer) },
  I16: { bytes: 2, view: (buffer: ArrayBuffer) => new Int16Array(buffer) },
  I8: { bytes: 1, view: (buffer: ArrayBuffer) => new Int8Array(buffer) },
  U8: { bytes: 1, view: (buffer: ArrayBuffer) => new Uint8Array(buffer) },
  BOOL: { bytes: 1, view: (buffer: ArrayBuffer) => new Uint8Array(buffer) },
} as const

export type Dtype = keyof typeof dtypes

/** The numbers as stored; float16 and bfloat16 as bit patterns, booleans as 0 and 1. */
export type TensorData = ReturnType<(typeof dtypes)[Dtype]['view']>

export interface TensorEntry {
  readonly dtype: Dtype
  readonly shape: readonly number[]
  /** In bytes, from the start of the file. */
  readonly offset: number
  readonly byteLength: number
}

export interface SafetensorsFile {
  readonly path: string
  readonly metadata: ReadonlyMap<string, string>
  readonly tensors: ReadonlyMap<string, TensorEntry>
  /** @throws InputError where there is no such tensor. */
  read(name: string): TensorData
  /**
   * The tensor as float32.
   * @throws InputError where there is no such tensor, or it holds no floating-point numbers.
   */
  readFloat32(name: string): Float32Array<ArrayBuffer>
  /** The form of numbers of 16 bits; null for all others. */
  form(name: string): Pick<HalfTensor, 'storage'> | null
  /** The same, but numbers of 16 bits as they are. */
  readKept(name: string): Tensor<Float32Array> | HalfTensor
  close(): void
}

/**
 * Opens a file and checks its whole header. Every file that safetensors 0.8.0 accepts is accepted, but for: keys that
 * stand twice, types of number not listed in `Dtype`, sizes from 2^53 on, an entry that is not an object, unknown
 * fields with other than whole numbers.
 * @throws InputError where the file breaks the format, UserError where it cannot be read.
 */
export function openSafetensors(path: string): SafetensorsFile {
  const file = openByteFile(path)
  try {
    const header = readHeader(file)
    const metadata = readMetadata(file, header.object.get('__metadata__') ?? new Map())
    const tensors = readEntries(file, header)
    const entryOf = (name: string): TensorEntry => {
      const entry = tensors.get(name)
      if (entry === undefined) throw new InputError({ file: path }, `a tensor '${name}'`, 'none')
      return entry
    }
    return {
      path,
      metadata,
      tensors,
      read: (name) => readNumbers(file, entryOf(name)),
      readFloat32: (name) => toFloat32(file, name, entryOf(name)),
      form: (name) => formOfDtype(entryOf(name).dtype),
      readKept: (name) => toKept(file, name, entryOf(name)),
      close: file.close,
    }
  } catch (error) {
    file.close()
    throw error
  }
}

interface Header {
  readonly object: HeaderObject
  /** Where the numbers begin, in bytes from the start of the file. */
  readonly dataStart: number
}

function readHeader(file: ByteFile): Header {
  if (file.size < 8) throw new InputError({ file: file.path }, 'a safetensors file', `${file.size} bytes`)
  const length = new DataView(file.read(0, 8)).getBigUint64(0, true)
  const limit = Math.min(MAX_HEADER_BYTES, file.size - 8)
  if (length > limit) {
    const place = { file: file.path, offset: 0 }
    throw new InputError(place, `a header length of at most ${limit}`, foreignKind(file, `${length}`))
  }
  const byteLength = Number(length)
  const object = parseHeaderJson(new Uint8Array(file.read(8, byteLength)), file.path, 8)
  if (!(object instanceof Map)) throw new InputError({ file: file.path, offset: 8 }, 'an object', 'another JSON value')
  return { object, dataStart: 8 + byteLength }
}

function readMetadata(file: ByteFile, value: HeaderValue): ReadonlyMap<string, string> {
  const expected = "an object of strings as '__metadata__'"
  if (!(value instanceof Map)) throw new InputError({ file: file.path }, expected, 'another JSON value')
  const metadata = new Map<string, string>()
  for (const [key, text] of value) {
    if (typeof text !== 'string') throw new InputError({ file: file.path }, expected, `another value of '${key}'`)
    metadata.set(key, text)
  }
  return metadata
}

/** The tensors, which must fill the file from the end of the header to its end, without holes. */
function readEntries(file: ByteFile, header: Header): ReadonlyMap<string, TensorEntry> {
  const tensors = new Map<string, TensorEntry>()
  for (const [name, value] of header.object) {
    if (name !== '__metadata__') tensors.set(name, readEntry(file, header.dataStart, name, value))
  }
  const inOrder = [...tensors].sort(([, a], [, b]) => a.offset - b.offset || a.byteLength - b.byteLength)
  let end = header.dataStart
  for (const [name, entry] of inOrder) {
    if (entry.offset !== end) throw problem(file, name, `data from byte ${end} on`, `from byte ${entry.offset} on`)
    end += entry.byteLength
  }
  if (end !== file.size) throw new InputError({ file: file.path }, `${end} bytes in all`, `${file.size}`)
  return tensors
}

function readEntry(file: ByteFile, dataStart: number, name: string, value: HeaderValue): TensorEntry {
  const fields = value instanceof Map ? value : new Map<string, HeaderValue>()
  const dtype = fields.get('dtype')
  if (!isDtype(dtype)) {
    const found = typeof dtype === 'string' ? `'${dtype}'` : 'none'
    throw problem(file, name, `a dtype of ${Object.keys(dtypes).join(', ')}`, found)
  }
  const shape = wholeNumbers(fields.get('shape'))
  const count = shape && exactElementCount(shape)
  if (shape === undefined || count === undefined) {
    throw problem(file, name, 'a shape of whole numbers with fewer than 2^53 elements', 'another')
  }
  const offsets = wholeNumbers(fields.get('data_offsets'))
  const byteLength = count * dtypes[dtype].bytes
  if (offsets?.length !== 2 || offsets[1] - offsets[0] !== byteLength) {
    throw problem(file, name, `two data_offsets ${byteLength} bytes apart`, offsets?.join(', ') ?? 'no whole numbers')
  }
  return { dtype, shape, offset: dataStart + offsets[0], byteLength }
}

function isDtype(value: HeaderValue | undefined): value is Dtype {
  return typeof value === 'string' && Object.hasOwn(dtypes, value)
}

function wholeNumbers(value: HeaderValue | undefined): readonly number[] | undefined {
  if (!Array.isArray(value)) return undefined
  return value.every((item) => typeof item === 'number') ? value : undefined
}

function problem(file: ByteFile, name: string, expected: string, found: string): InputError {
  return new InputError({ file: file.path }, `tensor '${name}' with ${expected}`, found)
}

function readNumbers(file: ByteFile, entry: TensorEntry): TensorData {
  return dtypes[entry.dtype].view(file.read(entry.offset, entry.byteLength))
}

function toFloat32(file: ByteFile, name: string, entry: TensorEntry): Float32Array<ArrayBuffer> {
  const numbers = readNumbers(file, entry)
  if (numbers instanceof Float32Array) return numbers
  if (numbers instanceof Float64Array) return new Float32Array(numbers)
  if (numbers instanceof Uint16Array && entry.dtype === 'F16') return fromFloat16(numbers)
  if (numbers instanceof Uint16Array && entry.dtype === 'BF16') return fromBfloat16(numbers)
  throw problem(file, name, 'floating-point numbers', entry.dtype)
}

const halves: ReadonlyMap<Dtype, HalfTensor['storage']> = new Map([
  ['F16', 'float16'],
  ['BF16', 'bfloat16'],
])

function formOfDtype(dtype: Dtype): Pick<HalfTensor, 'storage'> | null {
  const storage = halves.get(dtype)
  return storage === undefined ? null : { storage }
}

function toKept(file: ByteFile, name: string, entry: TensorEntry): Tensor<Float32Array> | HalfTensor {
  const storage = halves.get(entry.dtype)
  const { shape } = entry
  const numbers = storage && readNumbers(file, entry)
  return numbers instanceof Uint16Array && storage !== undefined
    ? { storage, data: numbers, shape }
    : { data: toFloat32(file, name, entry), shape }
}
