import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, expect, test } from 'vitest'
import { writeDurably } from '../base/files.ts'
import { openSafetensors } from './safetensors.ts'
import { safetensorsParts, type WritableTensor } from './safetensors-write.ts'

const folder = mkdtempSync(join(tmpdir(), 'safetensors-write-'))
afterAll(() => rmSync(folder, { recursive: true }))

test('the bytes are those of the Python library, whatever the names and the order given', () => {
  const tensors = new Map<string, WritableTensor>([
    ['9', { shape: [1], data: Float32Array.of(9) }],
    ['10', { shape: [1], data: Float32Array.of(10) }],
    ['b', { shape: [1, 2], data: Float32Array.of(1.5, -2.25) }],
    ['a é 🦙', { shape: [1], data: Float32Array.of(3) }],
    ['__proto__', { shape: [1], data: Float32Array.of(1) }],
    ['\ue000', { shape: [1], data: Float32Array.of(1) }],
    ['"q\\\n\x7f', { shape: [1], data: Float32Array.of(2) }],
    ['none', { shape: [0, 4], data: new Float32Array(0) }],
    ['byte', { shape: [3], data: Uint8Array.of(0, 255, 7) }],
    ['int', { shape: [2, 3], data: Int32Array.of(0, 1, 2, 3, 4, 5) }],
    ['double', { shape: [], data: Float64Array.of(0.1) }],
    ['long', { shape: [2], data: BigInt64Array.of(2n ** 62n, -1n) }],
  ])
  const written = Buffer.concat([...safetensorsParts(tensors, new Map([['format', 'pt']]))])
  const fixture = join(import.meta.dirname, '../../test/fixtures/safetensors/written.safetensors')
  expect(written.equals(readFileSync(fixture))).toBe(true)
})

test('what is written is read back, bit for bit, also over a file that is open', () => {
  const path = join(folder, 'round.safetensors')
  const tensor = fc.uint8Array({ maxLength: 40 }).map((bytes): WritableTensor => {
    const data = new Float32Array(bytes.slice(0, bytes.length - (bytes.length % 4)).buffer)
    return { shape: [1, data.length], data }
  })
  const names = fc.string({ unit: 'binary' }).filter((name) => name !== '__metadata__')
  const contents = fc.record({
    tensors: fc.uniqueArray(fc.tuple(names, tensor), { selector: ([name]) => name, maxLength: 5 }),
    metadata: fc.uniqueArray(fc.tuple(fc.string(), fc.string()), { selector: ([key]) => key, maxLength: 3 }),
  })
  fc.assert(
    fc.property(contents, contents, (before, after) => {
      writeDurably(path, safetensorsParts(new Map(before.tensors), new Map(before.metadata)))
      const file = openSafetensors(path)
      writeDurably(path, safetensorsParts(new Map(after.tensors), new Map(after.metadata)))
      expect(file.metadata).toEqual(new Map(before.metadata))
      expect([...file.tensors.keys()].sort()).toEqual(before.tensors.map(([name]) => name).sort())
      for (const [name, { shape, data }] of before.tensors) {
        expect(file.tensors.get(name)?.shape).toEqual(shape)
        expect(Buffer.from(file.read(name).buffer).equals(Buffer.from(data.buffer))).toBe(true)
      }
      file.close()
    }),
    { numRuns: 50 },
  )
})

test('a part of a larger buffer is written alone, and not copied', () => {
  const buffer = Float32Array.of(1, 2, 3, 4)
  const [, part] = safetensorsParts(new Map([['a', { shape: [2], data: buffer.subarray(1, 3) }]]))
  expect(part.buffer).toBe(buffer.buffer)
  expect([...new Float32Array(part.slice().buffer)]).toEqual([2, 3])
})

test('the numbers begin at a multiple of 8', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const [header] = safetensorsParts(new Map(), new Map([['text', text]]))
      expect(header.length % 8).toBe(0)
    }),
  )
})

test('a shape that does not hold the numbers is our bug, and said', () => {
  const parts = safetensorsParts(new Map([['a', { shape: [3], data: new Float32Array(2) }]]))
  expect(() => [...parts]).toThrow("tensor 'a': shape [3] does not hold 2 numbers")
})
