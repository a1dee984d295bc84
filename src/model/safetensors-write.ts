/** @file Tensors as the bytes of a safetensors file: the same tensors give the bytes that the Python library writes. */

/** Numbers that can be written, each under the type of its array. */
export type WritableData = BigInt64Array | Float64Array | Float32Array | Int32Array | Uint8Array

export interface WritableTensor {
  readonly shape: readonly number[]
  readonly data: WritableData
}

/** Longest type first, as the Python library sorts tensors. */
const writableTypes = [
  { dtype: 'I64', holds: (data: WritableData) => data instanceof BigInt64Array },
  { dtype: 'F64', holds: (data: WritableData) => data instanceof Float64Array },
  { dtype: 'F32', holds: (data: WritableData) => data instanceof Float32Array },
  { dtype: 'I32', holds: (data: WritableData) => data instanceof Int32Array },
  { dtype: 'U8', holds: (data: WritableData) => data instanceof Uint8Array },
]

/**
 * The parts of a file, for `writeDurably`: the header, then the numbers of each tensor, not copied. Sorted by type and
 * name; metadata by key.
 * @throws Error where a shape does not hold its numbers.
 */
export function* safetensorsParts(
  tensors: ReadonlyMap<string, WritableTensor>,
  metadata: ReadonlyMap<string, string> = new Map(),
): Generator<Uint8Array> {
  const sorted = [...tensors]
    .map(([name, tensor]) => ({ name, ...tensor, rank: writableTypes.findIndex(({ holds }) => holds(tensor.data)) }))
    .sort((a, b) => a.rank - b.rank || compareText(a.name, b.name))
  const fields: string[] = []
  if (metadata.size > 0) {
    const sortedKeys = [...metadata].sort(([a], [b]) => compareText(a, b))
    fields.push(`"__metadata__":{${sortedKeys.map(([key, text]) => field(key, text)).join()}}`)
  }
  let offset = 0
  for (const { name, shape, data, rank } of sorted) {
    const count = shape.reduce((product, length) => product * length, 1)
    if (count !== data.length)
      throw new Error(`tensor '${name}': shape [${shape}] does not hold ${data.length} numbers`)
    const { dtype } = writableTypes[rank]
    fields.push(field(name, { dtype, shape, data_offsets: [offset, offset + data.byteLength] }))
    offset += data.byteLength
  }
  yield headerBytes(`{${fields.join()}}`)
  for (const { data } of sorted) yield new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
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
