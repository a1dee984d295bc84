import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { InputError, UserError } from '../base/errors.ts'
import { openSafetensors } from './safetensors.ts'

const fixtures = join(import.meta.dirname, '../../test/fixtures/safetensors')
const shared = join(import.meta.dirname, '../../../shared/fixtures')
const folder = mkdtempSync(join(tmpdir(), 'safetensors-'))
afterAll(() => rmSync(folder, { recursive: true }))

function write(content: Uint8Array): string {
  const path = join(folder, 'a.safetensors')
  writeFileSync(path, content)
  return path
}

function withHeader(header: string, data: Uint8Array): Buffer {
  const text = Buffer.from(header)
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(text.length))
  return Buffer.concat([length, text, data])
}

test('every type of number that PyTorch saved is read as it was', () => {
  const file = openSafetensors(join(fixtures, 'dtypes.safetensors'))
  expect(file.metadata).toEqual(
    new Map([
      ['format', 'pt'],
      ['note', 'all dtypes'],
    ]),
  )
  const expected = {
    i64: BigInt64Array.of(2n ** 40n, -5n),
    u64: BigUint64Array.of(2n ** 63n),
    i32: Int32Array.of(7, -8),
    u32: Uint32Array.of(4000000000),
    i16: Int16Array.of(300, -300),
    u16: Uint16Array.of(60000),
    i8: Int8Array.of(100, -100),
    u8: Uint8Array.of(200),
    bool: Uint8Array.of(1, 0),
  }
  for (const [name, data] of Object.entries(expected)) expect(file.read(name), name).toEqual(data)
  // 1, −0.5, 65504, 6e-8, infinity and 3.3, each rounded to its type and then to float32
  const float32 = Float32Array.of(1, -0.5, 65504, 6e-8, Number.POSITIVE_INFINITY, 3.3)
  expect(file.read('f32')).toEqual(float32)
  expect(file.readFloat32('f32')).toEqual(float32)
  expect(file.readFloat32('f64')).toEqual(float32)
  expect(file.readFloat32('f16')).toEqual(
    Float32Array.of(1, -0.5, 65504, 2 ** -24, Number.POSITIVE_INFINITY, 1690 / 512),
  )
  // 8 significant bits: 65504 → 65536, 6e-8 → 129 · 2^-31, 3.3 → 211 / 64
  expect(file.readFloat32('bf16')).toEqual(
    Float32Array.of(1, -0.5, 65536, 129 * 2 ** -31, Number.POSITIVE_INFINITY, 211 / 64),
  )
  expect(() => file.readFloat32('i32')).toThrow("tensor 'i32' with floating-point numbers, found I32")
  expect(() => file.read('missing')).toThrow("expected a tensor 'missing', found none")
  file.close()
})

interface HeaderCase {
  readonly name: string
  readonly header: string
  readonly zeros: number
  readonly accepted: boolean
}
const { cases }: { cases: readonly HeaderCase[] } = JSON.parse(readFileSync(join(fixtures, 'headers.json'), 'utf8'))

/** What the reference accepts and we refuse, as the docstring of `openSafetensors` lists it. */
const stricter = new Map([
  ['dup tensors', 'each key once'],
  ['dupkey in metadata', 'each key once'],
  ['escaped duplicate', 'each key once'],
  ['zero big', 'whole number below 2^53'],
  ['float x', 'whole number below 2^53'],
  ['seq entry', 'a dtype of'],
  ['dtype obj', 'a dtype of'],
  ['F8', 'a dtype of'],
  ['C64', 'a dtype of'],
  ['f4', 'a dtype of'],
])

test.each(cases)('the header "$name" is judged as by the reference, or stricter for a listed reason', (given) => {
  const path = write(withHeader(given.header, new Uint8Array(given.zeros)))
  const reason = stricter.get(given.name)
  if (given.accepted && reason === undefined) {
    const file = openSafetensors(path)
    for (const [name, entry] of file.tensors) expect(file.read(name).byteLength).toBe(entry.byteLength)
    file.close()
  } else {
    expect(() => openSafetensors(path)).toThrow(InputError)
    if (reason !== undefined) expect(() => openSafetensors(path)).toThrow(reason)
  }
})

test('a tensor says where its numbers stand, and they are read from there', () => {
  const header =
    '{"b":{"dtype":"I32","shape":[2,1],"data_offsets":[4,12]},"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}'
  const data = Buffer.concat([Buffer.from(Float32Array.of(0.5).buffer), Buffer.from(Int32Array.of(-1, 7).buffer)])
  const file = openSafetensors(write(withHeader(header, data)))
  expect(file.tensors.get('b')).toEqual({ dtype: 'I32', shape: [2, 1], offset: 8 + header.length + 4, byteLength: 8 })
  expect(file.read('b')).toEqual(Int32Array.of(-1, 7))
  expect(file.readFloat32('a')).toEqual(Float32Array.of(0.5))
  file.close()
})

test('what is not safetensors is named for what it is', () => {
  const found = (content: string) => {
    const path = write(Buffer.from(content, 'latin1'))
    try {
      openSafetensors(path).close()
    } catch (error) {
      return error instanceof InputError ? error.found : error
    }
    return 'safetensors'
  }
  expect(found('PK\x03\x04\x00\x00\x08\x08 archive/data.pkl')).toMatch(/^a zip archive.*convert it with transformers/)
  expect(found('\x80\x02}q\x00X\x06\x00\x00\x00weight')).toMatch(/^a pickle.*convert it with transformers/)
  expect(found('\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00')).toMatch(/^a pickle/)
  expect(found('GGUF\x03\x00\x00\x00\x00\x00\x00\x00')).toMatch(/^a GGUF file/)
  expect(found('version https://git-lfs.github.com/spec/v1\noid sha256:0')).toMatch(/git lfs pull/)
  expect(found('<!DOCTYPE html>')).toBe(`${Buffer.from('<!DOCTYP').readBigUInt64LE()}`)
  expect(found('{}')).toBe('2 bytes')
})

test('a header over 100 MB is refused before it is read', () => {
  const path = write(Buffer.alloc(0))
  const header = Buffer.alloc(8)
  header.writeBigUInt64LE(100_000_001n)
  writeFileSync(path, header)
  truncateSync(path, 200_000_000)
  expect(() => openSafetensors(path)).toThrow('a header length of at most 100000000, found 100000001')
})

test('a tensor larger than any memory is an InputError, not a RangeError', (context) => {
  const bytes = 2 ** 43
  const path = write(
    withHeader(`{"a":{"dtype":"F32","shape":[${bytes / 4}],"data_offsets":[0,${bytes}]}}`, Buffer.alloc(0)),
  )
  try {
    truncateSync(path, readFileSync(path).length + bytes)
  } catch {
    context.skip() // no file system for sparse files of 8 TiB
  }
  const file = openSafetensors(path)
  expect(() => file.readFloat32('a')).toThrow('expected a range that fits in memory')
  file.close()
})

test('a file that shrinks while it is open is an InputError', () => {
  const path = write(withHeader('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', Buffer.alloc(4)))
  const file = openSafetensors(path)
  truncateSync(path, readFileSync(path).length - 1)
  expect(() => file.readFloat32('a')).toThrow(InputError)
  file.close()
})

test.skipIf(process.platform === 'win32')('a FIFO, a device and a folder are refused without waiting', () => {
  const fifo = join(folder, 'fifo')
  execFileSync('mkfifo', [fifo])
  for (const path of [fifo, '/dev/zero', folder]) {
    expect(() => openSafetensors(path)).toThrow(`${path} is not a regular file`)
  }
  expect(() => openSafetensors(join(folder, 'missing'))).toThrow(UserError)
  expect(() => openSafetensors('nul\0')).toThrow(UserError)
})

test.skipIf(!existsSync(shared))(
  'every file that the Python libraries wrote opens, and holds what its header says',
  () => {
    const paths = readdirSync(shared, { recursive: true, encoding: 'utf8' }).filter((path) =>
      path.endsWith('.safetensors'),
    )
    expect(paths.length).toBeGreaterThan(50)
    for (const path of paths) {
      const file = openSafetensors(join(shared, path))
      for (const [name, { shape }] of file.tensors) {
        expect(file.read(name).length).toBe(shape.reduce((product, length) => product * length, 1))
      }
      file.close()
    }
  },
)
