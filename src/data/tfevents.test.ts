import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { crc32c, openTfEvents } from './tfevents.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tfevents-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

/** Number and value of a protobuf field, counted bytes as they are. */
type Field = [number, bigint | number | Buffer]

function fields(message: Buffer): Field[] {
  const out: Field[] = []
  let at = 0
  const varint = (): bigint => {
    let value = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = message.readUInt8(at++)
      value |= BigInt(byte & 127) << shift
      if (byte < 128) return value
    }
  }
  const take = (count: number): Buffer => {
    at += count
    return message.subarray(at - count, at)
  }
  while (at < message.length) {
    const key = Number(varint())
    const readers = [varint, () => take(8).readDoubleLE(), () => take(Number(varint())), undefined, undefined]
    const read = key % 8 === 5 ? () => take(4).readFloatLE() : readers[key % 8]
    if (read === undefined) throw new Error(`wire type ${key % 8}`)
    out.push([key >> 3, read()])
  }
  return out
}

/** The messages of a TFRecord file, its checksums compared with ones computed bit by bit. */
function records(path: string): Buffer[] {
  const slowCrc = (bytes: Buffer): number => {
    let crc = 0xffffffffn
    for (const byte of bytes) {
      crc ^= BigInt(byte)
      for (let bit = 0; bit < 8; bit++) crc = (crc >> 1n) ^ (crc & 1n ? 0x82f63b78n : 0n)
    }
    crc ^= 0xffffffffn
    return Number((((crc >> 15n) | (crc << 17n)) + 0xa282ead8n) & 0xffffffffn)
  }
  const file = readFileSync(path)
  const out: Buffer[] = []
  for (let at = 0; at < file.length; ) {
    const length = Number(file.readBigUInt64LE(at))
    expect(file.readUInt32LE(at + 8)).toBe(slowCrc(file.subarray(at, at + 8)))
    const data = file.subarray(at + 12, at + 12 + length)
    expect(file.readUInt32LE(at + 12 + length)).toBe(slowCrc(data))
    out.push(data)
    at += length + 16
  }
  return out
}

const options = { host: 'box.example', pid: 77, firstStep: 1 }

test('crc32c has the known value', () => {
  expect(crc32c(Buffer.from('123456789')).toString(16)).toBe('e3069283')
})

test('the file holds its version, a session start, then every scalar with its time and step', () => {
  let ms = 1_700_000_000_250
  const writer = openTfEvents(join(folder, 'runs'), { ...options, now: () => ms })
  ms += 1000
  writer.scalar('train/loss', 0.6875, 1)
  writer.scalar('train/δ', Number.NaN, 3_000_000_000)
  writer.close()
  const name = 'events.out.tfevents.1700000000.box.example.77.0'
  expect(readdirSync(join(folder, 'runs'))).toEqual([name])
  const [version, start, first, second] = records(join(folder, 'runs', name)).map(fields)
  expect(version).toEqual([
    [1, 1_700_000_000.25],
    [3, Buffer.from('brain.Event:2')],
  ])
  expect(start).toEqual([
    [1, 1_700_000_000.25],
    [2, 1n],
    [7, Buffer.from([8, 1])],
  ])
  const inner = (value: Field[1]): Field[] => (Buffer.isBuffer(value) ? fields(value) : [])
  const point = ([time, step, [, summary]]: Field[]): unknown[] => {
    const [[number, value]] = inner(summary)
    return [time, step, number, inner(value)]
  }
  const tag = (text: string) => [1, Buffer.from(text)]
  expect(point(first)).toEqual([[1, 1_700_000_001.25], [2, 1n], 1, [tag('train/loss'), [2, 0.6875]]])
  expect(point(second)).toEqual([[1, 1_700_000_001.25], [2, 3_000_000_000n], 1, [tag('train/δ'), [2, Number.NaN]]])
})

test('a scalar is in the file after flush, and a resumed run adds a file even within the same second', () => {
  const now = () => 5000
  const writer = openTfEvents(folder, { ...options, now })
  const path = join(folder, 'events.out.tfevents.5.box.example.77.0')
  writer.scalar('loss', 1, 1)
  writer.flush()
  expect(records(path)).toHaveLength(3)
  writer.close()
  const before = readFileSync(path)
  openTfEvents(folder, { ...options, now, firstStep: 2 }).close()
  expect(readdirSync(folder).sort()).toEqual([0, 1].map((count) => `events.out.tfevents.5.box.example.77.${count}`))
  expect(readFileSync(path)).toEqual(before)
})

test('a host name cannot lead out of the folder', () => {
  openTfEvents(folder, { ...options, host: '../../etc\u0000', now: () => 0 }).close()
  expect(readdirSync(folder)).toEqual(['events.out.tfevents.0..._.._etc_.77.0'])
})
