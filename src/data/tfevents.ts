/**
 * @file Scalars for TensorBoard: an event file of TFRecords (tensorflow/core/lib/io/record_writer.h), each holding one
 * protobuf message `Event` (tensorboard/compat/proto/event.proto).
 */
import { closeSync, mkdirSync, openSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { codeOf } from '../base/errors.ts'

export interface TfEventsOptions {
  readonly host: string
  readonly pid: number
  /** Milliseconds since 1970. */
  readonly now: () => number
  /** The first step that will be written. What earlier files of the folder hold from it on is hidden by TensorBoard. */
  readonly firstStep: number
}

export interface TfEvents {
  /** Adds a point of the curve `tag`; it stands in the file after the next `flush`. */
  scalar(tag: string, value: number, step: number): void
  flush(): void
  close(): void
}

/** Opens a new event file in `folder`, which is made where it is missing; a resumed run thus adds a file. */
export function openTfEvents(folder: string, options: TfEventsOptions): TfEvents {
  mkdirSync(folder, { recursive: true })
  const fd = createFile(folder, options)
  let waiting: Uint8Array[] = []
  const add = (...fields: readonly Uint8Array[]): void => {
    waiting.push(record(Buffer.concat([double(1, options.now() / 1000), ...fields])))
  }
  const flush = (): void => {
    const bytes = Buffer.concat(waiting)
    waiting = []
    writeFileSync(fd, bytes)
  }
  add(bytes(3, Buffer.from('brain.Event:2')))
  // SessionLog { status: START }. From the second one on, TensorBoard drops the earlier points of its step and after.
  add(integer(2, options.firstStep), bytes(7, integer(1, 1)))
  flush()
  return {
    scalar: (tag, value, step) => {
      const point = Buffer.concat([bytes(1, Buffer.from(tag)), float(2, value)])
      add(integer(2, step), bytes(5, bytes(1, point)))
    },
    flush,
    close: () => {
      flush()
      closeSync(fd)
    },
  }
}

/** The last part of the name counts the files that one process begins in the same second. */
function createFile(folder: string, { host, pid, now }: TfEventsOptions): number {
  const stem = `events.out.tfevents.${Math.floor(now() / 1000)}.${host.replace(/[^\w.-]/g, '_')}.${pid}`
  for (let count = 0; ; count++) {
    try {
      return openSync(join(folder, `${stem}.${count}`), 'wx')
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error
    }
  }
}

/** Length, its checksum, data, its checksum. */
function record(data: Uint8Array): Uint8Array {
  const head = Buffer.alloc(12)
  head.writeBigUInt64LE(BigInt(data.length))
  head.writeUInt32LE(maskedCrc(head.subarray(0, 8)), 8)
  const tail = Buffer.alloc(4)
  tail.writeUInt32LE(maskedCrc(data))
  return Buffer.concat([head, data, tail])
}

// A protobuf field: a key of number and wire type (0 varint, 1 eight bytes, 2 counted bytes, 5 four bytes), a value.

function varint(value: number): Buffer {
  const out: number[] = []
  let rest = value
  for (; rest >= 128; rest = Math.floor(rest / 128)) out.push((rest % 128) | 128)
  return Buffer.from([...out, rest])
}

function integer(field: number, value: number): Buffer {
  return Buffer.concat([varint(field * 8), varint(value)])
}

function double(field: number, value: number): Buffer {
  const out = Buffer.alloc(9, field * 8 + 1)
  out.writeDoubleLE(value, 1)
  return out
}

function float(field: number, value: number): Buffer {
  const out = Buffer.alloc(5, field * 8 + 5)
  out.writeFloatLE(value, 1)
  return out
}

function bytes(field: number, content: Uint8Array): Buffer {
  return Buffer.concat([varint(field * 8 + 2), varint(content.length), content])
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte
  for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0)
  return crc
})

/** CRC-32C (RFC 3720, appendix B.4). */
export function crc32c(content: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of content) crc = CRC_TABLE[(crc ^ byte) & 255] ^ (crc >>> 8)
  return (crc ^ 0xffffffff) >>> 0
}

/** TFRecord stores the checksum rotated by 15 bits plus a constant, as its data often holds checksums itself. */
function maskedCrc(content: Uint8Array): number {
  const crc = crc32c(content)
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0
}
