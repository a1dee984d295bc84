/**
 * @file The GGUF format, versions 2 and 3, little-endian: metadata, then tensors in the block formats of ggml.
 * Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md; what is refused follows ggml's gguf.cpp.
 */
import { InputError } from '../base/errors.ts'
import type { Tensor } from '../engine/backend.ts'
import { fromBfloat16, fromFloat16 } from '../engine/half.ts'
import type { StoredTensor } from '../engine/stored.ts'
import { type BlockTypeName, blockTypes, blockValues, readBlocks } from './blocks.ts'
import { type ByteFile, openByteFile } from './byte-file.ts'
import { foreignKind } from './foreign.ts'
import { type Cursor, openCursor } from './gguf-cursor.ts'
import { ALIGNMENT_KEY, type GgufValue, readMetadata } from './gguf-metadata.ts'
import { exactElementCount } from './shape.ts'

export interface GgufTensor {
  readonly type: BlockTypeName
  /** Outermost first: the file's dimensions reversed. */
  readonly shape: readonly number[]
  /** In bytes, from the start of the file. */
  readonly offset: number
  readonly byteLength: number
}

export interface GgufFile {
  readonly path: string
  readonly metadata: ReadonlyMap<string, GgufValue>
  readonly tensors: ReadonlyMap<string, GgufTensor>
  /** @throws InputError where there is no such tensor. */
  readFloat32(name: string): Float32Array<ArrayBuffer>
  /** The same, but a matrix in blocks or of 16 bits in that form. */
  readKept(name: string): Tensor<Float32Array> | StoredTensor
  close(): void
}

const DEFAULT_ALIGNMENT = 32
const MAX_DIMENSIONS = 4
const MAX_NAME_BYTES = 63

/** The names of ggml's tensor types by number; those without one were withdrawn. */
const typeNames = `
  F32 F16 Q4_0 Q4_1 - - Q5_0 Q5_1 Q8_0 Q8_1 Q2_K Q3_K Q4_K Q5_K Q6_K Q8_K IQ2_XXS IQ2_XS IQ3_XXS IQ1_S IQ4_NL
  IQ3_S IQ2_S IQ4_XS I8 I16 I32 I64 F64 IQ1_M BF16`
  .trim()
  .split(/\s+/)

/**
 * Opens a file and checks its whole header and that every tensor lies inside the file.
 * @throws InputError where the file breaks the format or holds a tensor of a type that is not in `blockTypes`,
 * UserError where it cannot be read.
 */
export function openGguf(path: string): GgufFile {
  const file = openByteFile(path)
  try {
    const cursor = openCursor(file)
    const counts = readCounts(file, cursor)
    const metadata = readMetadata(cursor, counts.metadata)
    const tensors = readTensors(file, cursor, counts.tensors, alignmentOf(file, metadata))
    const entryOf = (name: string): GgufTensor => {
      const tensor = tensors.get(name)
      if (tensor === undefined) throw new InputError({ file: path }, `a tensor '${name}'`, 'none')
      return tensor
    }
    const bytesOf = ({ offset, byteLength }: GgufTensor): ArrayBuffer => file.read(offset, byteLength)
    return {
      path,
      metadata,
      tensors,
      readFloat32: (name) => tensorValues(entryOf(name).type, bytesOf(entryOf(name))),
      readKept: (name) => keptTensor(entryOf(name), bytesOf(entryOf(name))),
      close: file.close,
    }
  } catch (error) {
    file.close()
    throw error
  }
}

function readCounts(file: ByteFile, cursor: Cursor): { readonly tensors: number; readonly metadata: number } {
  const magic = file.size < 4 ? '' : cursor.take(4).toString('latin1')
  if (magic !== 'GGUF') {
    throw new InputError({ file: file.path, offset: 0 }, "the letters 'GGUF'", foreignKind(file, JSON.stringify(magic)))
  }
  const version = cursor.take(4).readUInt32LE()
  if (version !== 2 && version !== 3) {
    const found = (version & 0xffff) === 0 && version !== 0 ? 'a big-endian file' : `version ${version}`
    throw cursor.problem(4, 'little-endian GGUF of version 2 or 3', found)
  }
  return { tensors: cursor.length(), metadata: cursor.length() }
}

function alignmentOf(file: ByteFile, metadata: ReadonlyMap<string, GgufValue>): number {
  const alignment = metadata.get(ALIGNMENT_KEY) ?? DEFAULT_ALIGNMENT
  if (typeof alignment === 'number' && alignment > 0 && (alignment & (alignment - 1)) === 0) return alignment
  throw new InputError({ file: file.path }, `a power of two as '${ALIGNMENT_KEY}'`, `${alignment}`)
}

interface TensorInfo {
  readonly name: string
  readonly type: BlockTypeName
  readonly shape: readonly number[]
  /** From the start of the data. */
  readonly offset: number
  readonly byteLength: number
}

/** The tensors, each where the one before it ends, filled up to the alignment. */
function readTensors(
  file: ByteFile,
  cursor: Cursor,
  count: number,
  alignment: number,
): ReadonlyMap<string, GgufTensor> {
  const infos = new Map<string, TensorInfo>()
  for (let index = 0; index < count; index++) {
    const info = readTensorInfo(cursor)
    if (infos.has(info.name)) throw cursor.problem(0, 'each tensor once', `'${info.name}' again`)
    infos.set(info.name, info)
  }
  const align = (offset: number): number => Math.ceil(offset / alignment) * alignment
  const dataStart = align(cursor.offset())
  const tensors = new Map<string, GgufTensor>()
  let end = 0
  for (const { name, type, shape, offset, byteLength } of infos.values()) {
    const place = { file: file.path, offset: dataStart + offset }
    if (offset !== align(end)) throw new InputError(place, `tensor '${name}' at ${align(end)} of the data`, `${offset}`)
    end = offset + byteLength
    if (dataStart + end > file.size) {
      throw new InputError(place, `${byteLength} bytes of tensor '${name}'`, `the end of the file at ${file.size}`)
    }
    tensors.set(name, { type, shape, offset: dataStart + offset, byteLength })
  }
  return tensors
}

function readTensorInfo(cursor: Cursor): TensorInfo {
  const name = cursor.text()
  if (Buffer.byteLength(name) > MAX_NAME_BYTES) {
    throw cursor.problem(
      Buffer.byteLength(name),
      `a tensor name of at most ${MAX_NAME_BYTES} bytes`,
      `'${name.slice(0, 80)}…'`,
    )
  }
  const dimensionCount = cursor.take(4).readUInt32LE()
  if (dimensionCount > MAX_DIMENSIONS) {
    throw cursor.problem(4, `tensor '${name}' with at most ${MAX_DIMENSIONS} dimensions`, `${dimensionCount}`)
  }
  const dimensions = Array.from({ length: dimensionCount }, cursor.length)
  const type = readTensorType(cursor, name)
  const { values, bytes } = blockTypes[type]
  const count = exactElementCount(dimensions)
  // The innermost dimension holds whole blocks; a tensor without dimensions is one value.
  if (count === undefined || count === 0 || (dimensions[0] ?? 1) % values !== 0) {
    const expected = `tensor '${name}' with positive dimensions, fewer than 2^53 values, and rows of whole blocks of ${values}`
    throw cursor.problem(4, expected, `[${dimensions}]`)
  }
  return { name, type, shape: dimensions.reverse(), offset: cursor.length(), byteLength: (count / values) * bytes }
}

function readTensorType(cursor: Cursor, name: string): BlockTypeName {
  const number = cursor.take(4).readUInt32LE()
  const type = typeNames[number] ?? 'unknown'
  if (isBlockType(type)) return type
  throw cursor.problem(4, `tensor '${name}' of type ${Object.keys(blockTypes).join(', ')}`, `${type} (${number})`)
}

function isBlockType(name: string): name is BlockTypeName {
  return Object.hasOwn(blockTypes, name)
}

/** The values of the bytes of a tensor. */
export function tensorValues(typeName: BlockTypeName, bytes: ArrayBuffer): Float32Array<ArrayBuffer> {
  const type = blockTypes[typeName]
  if (type.storage === 'blocks') return blockValues(type, bytes)
  if (type.storage === 'float32') return new Float32Array(bytes)
  const bits = new Uint16Array(bytes)
  return type.storage === 'float16' ? fromFloat16(bits) : fromBfloat16(bits)
}

function keptTensor({ type: name, shape }: GgufTensor, bytes: ArrayBuffer): Tensor<Float32Array> | StoredTensor {
  const type = blockTypes[name]
  if (shape.length === 2 && type.storage === 'blocks') return readBlocks(type, bytes, shape[0], shape[1])
  if (type.storage === 'blocks' || type.storage === 'float32') return { data: tensorValues(name, bytes), shape }
  return { storage: type.storage, data: new Uint16Array(bytes), shape }
}
