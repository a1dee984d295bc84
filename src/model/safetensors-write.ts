/** @file Tensors as the bytes of a safetensors file: the same tensors give the bytes that the Python library writes. */

/** Numbers that can be written, each under the type of its array. */
export type WritableData = BigInt64Array | Float64Array | Float32Array | Int32Array | Uint8Array

export interface WritableTensor {
  readonly shape: readonly number[]
  readonly data: WritableData
}

/** Longest type first, as the Python library sorts tensors. */
const TYPES = ['I64', 'F64', 'F32', 'I32', 'BF16', 'F16', 'U8'] as const
export type WrittenType = (typeof TYPES)[number]

/** A tensor whose bytes are made when their turn comes. */
export interface PendingTensor {
  readonly dtype: WrittenType
  readonly shape: readonly number[]
  readonly byteLength: number
  bytes(): Uint8Array
}

function typeOf(data: WritableData): WrittenType {
  if (data instanceof BigInt64Array) return 'I64'
  if (data instanceof Float64Array) return 'F64'
  if (data instanceof Float32Array) return 'F32'
  return data instanceof Int32Array ? 'I32' : 'U8'
}

/**
 * The parts of a file, for `writeDurably`: the header, then the numbers of each tensor, not copied. Sorted by type and
 * name; metadata by key.
 * @throws Error where a shape does not hold its numbers.
 */
export function* safetensorsParts(
  tensors: ReadonlyMap<string, WritableTensor>,
  metadata: ReadonlyMap<string, string> = new Map(),
): Generator<Uint8Array> {
  const pending = [...tensors].map(([name, { shape, data }]) => {
    const count = shape.reduce((product, length) => product * length, 1)
    if (count !== data.length)
      throw new Error(`tensor '${name}': shape [${shape}] does not hold ${data.length} numbers`)
    const bytes = () => new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    return [name, { dtype: typeOf(data), shape, byteLength: data.byteLength, bytes }] as const
  })
  yield* pendingParts(new Map(pending), metadata)
}

/** The same of tensors that are made one by one while the file is written, so that one of them is in memory. */
export function* pendingParts(
  tensors: ReadonlyMap<string, PendingTensor>,
  metadata: ReadonlyMap<string, string>,
): Generator<Uint8Array> {
  const sorted = [...tensors]
    .map(([name, tensor]) => ({ name, tensor }))
    .sort((a, b) => TYPES.indexOf(a.tensor.dtype) - TYPES.indexOf(b.tensor.dtype) || compareText(a.name, b.name))
  const fields: string[] = []
  if (metadata.size > 0) {
    const sortedKeys = [...metadata].sort(([a], [b]) => compareText(a, b))
    fields.push(`"__metadata__":{${sortedKeys.map(([key, text]) => field(key, text)).join()}}`)
  }
  let offset = 0
  for (const { name, tensor } of sorted) {
    const { dtype, shape, byteLength } = tensor
    fields.push(field(name, { dtype, shape, data_offsets: [offset, offset + byteLength] }))
    offset += byteLength
  }
  yield headerBytes(`{${fields.join()}}`)
  for (const { name, tensor } of sorted) {
    const bytes = tensor.bytes()
    if (bytes.byteLength !== tensor.byteLength) {
      throw new Error(`tensor '${name}': ${bytes.byteLength} bytes instead of ${tensor.byteLength}`)
    }
    yield bytes
  }
}

/** A key and its value as JSON. Not by way of an object, which would move keys such as "0" to the front. */
function field(key: string, value: unknown): string {
  return `${JSON.stringify(key)}:${JSON.stringify(value)}`
}

/** Compares by UTF-8 bytes, as Rust does. */
function compareText(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

/** The length and the header, filled with spaces so that the numbers begin at a multiple of 8. */
function headerBytes(json: string): Uint8Array {
  const text = Buffer.from(json)
  const length = Math.ceil(text.length / 8) * 8
  const bytes = Buffer.alloc(8 + length, ' ')
  bytes.writeBigUInt64LE(BigInt(length))
  text.copy(bytes, 8)
  return bytes
}
