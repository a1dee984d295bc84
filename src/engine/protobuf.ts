/** @file Writes protocol buffers: the few wire types that an ONNX model needs. */

/** A message under construction. Each call adds a field and gives the message back. */
export interface Message {
  /** A non-negative or negative whole number (varint). */
  int(field: number, value: number): Message
  /** A 32-bit float. */
  float(field: number, value: number): Message
  text(field: number, value: string): Message
  bytes(field: number, value: Uint8Array): Message
  message(field: number, value: Message): Message
  encode(): Uint8Array
}

const VARINT = 0
const LENGTH_DELIMITED = 2
const FIXED_32 = 5

function varint(value: number): Uint8Array {
  let rest = BigInt.asUintN(64, BigInt(value))
  const bytes: number[] = []
  do {
    const low = Number(rest & 127n)
    rest >>= 7n
    bytes.push(rest === 0n ? low : low | 128)
  } while (rest !== 0n)
  return Uint8Array.from(bytes)
}

export function message(): Message {
  const parts: Uint8Array[] = []
  const tag = (field: number, wire: number): void => {
    parts.push(varint((field << 3) | wire))
  }
  const self: Message = {
    int(field, value) {
      tag(field, VARINT)
      parts.push(varint(value))
      return self
    },
    float(field, value) {
      tag(field, FIXED_32)
      const bytes = new Uint8Array(4)
      new DataView(bytes.buffer).setFloat32(0, value, true)
      parts.push(bytes)
      return self
    },
    text: (field, value) => self.bytes(field, new TextEncoder().encode(value)),
    bytes(field, value) {
      tag(field, LENGTH_DELIMITED)
      parts.push(varint(value.length), value)
      return self
    },
    message: (field, value) => self.bytes(field, value.encode()),
    encode: () => new Uint8Array(Buffer.concat(parts)),
  }
  return self
}
