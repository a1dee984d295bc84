import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { InputError } from '../base/errors.ts'
import { type GgufFile, openGguf } from './gguf.ts'

const fixtures = join(import.meta.dirname, '../../test/fixtures/gguf')
const shared = join(import.meta.dirname, '../../../shared')
const folder = mkdtempSync(join(tmpdir(), 'gguf-'))
afterAll(() => rmSync(folder, { recursive: true }))

const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}
const u64 = (value: bigint | number): Buffer => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(BigInt(value))
  return bytes
}
const text = (value: string | Buffer): Buffer => Buffer.concat([u64(Buffer.from(value).length), Buffer.from(value)])

/** A key, the number of its type, and its value. */
const pair = (key: string, type: number, value: Buffer): Buffer => Buffer.concat([text(key), u32(type), value])

interface Info {
  readonly name?: string
  readonly dimensions?: readonly (number | bigint)[]
  readonly type?: number
  readonly offset?: number | bigint
}
const info = ({ name = 'a', dimensions = [2], type = 0, offset = 0 }: Info): Buffer =>
  Buffer.concat([text(name), u32(dimensions.length), ...dimensions.map(u64), u32(type), u64(offset)])

interface Content {
  readonly version?: number
  readonly pairs?: readonly Buffer[]
  readonly infos?: readonly Buffer[]
  readonly counts?: readonly [number | bigint, number | bigint]
  readonly alignment?: number
  readonly data?: Buffer
}

/** A file of these parts; counts that do not match them only where given. */
function write(content: Content): string {
  const { version = 3, pairs = [], infos = [], alignment = 32, data = Buffer.alloc(0) } = content
  const [infoCount, pairCount] = content.counts ?? [infos.length, pairs.length]
  const header = Buffer.concat([Buffer.from('GGUF'), u32(version), u64(infoCount), u64(pairCount), ...pairs, ...infos])
  const padding = Buffer.alloc(infos.length === 0 ? 0 : -header.length & (alignment - 1))
  const path = join(folder, 'a.gguf')
  writeFileSync(path, Buffer.concat([header, padding, data]))
  return path
}

function open(content: Content): GgufFile {
  const file = openGguf(write(content))
  file.close()
  return file
}

test('every kind of metadata that gguf-py wrote is read as it was', () => {
  const file = openGguf(join(fixtures, 'small.gguf'))
  file.close()
  const expected: readonly (readonly [string, unknown])[] = [
    ['general.architecture', 'llama'],
    ['general.alignment', 64],
    ['t.u8', 255],
    ['t.i8', -128],
    ['t.u16', 65535],
    ['t.i16', -32768],
    ['t.u32', 2 ** 32 - 1],
    ['t.i32', -(2 ** 31)],
    ['t.f32', Math.fround(0.1)],
    ['t.f64', 0.1],
    ['t.yes', true],
    ['t.no', false],
    ['t.text', 'Größe 🦙 \0 end'],
    ['t.u64.exact', 2 ** 53 - 1],
    ['t.u64.large', 2n ** 64n - 1n],
    ['t.i64.exact', -(2 ** 53) + 1],
    ['t.i64.large', -(2n ** 63n)],
    ['t.texts', ['<s>', 'é', '▁a', '']],
    ['t.ints', [3, -4, 5]],
    ['t.floats', [0.5, -1.25]],
    ['t.bools', [true, false]],
    ['t.longs', [1, 2n ** 60n]],
    ['__proto__', 'polluted'],
  ]
  for (const [key, value] of expected) expect(file.metadata.get(key), key).toEqual(value)
  expect(file.tensors.get('blk.1.ffn_down.weight')).toMatchObject({
    type: 'Q5_1',
    shape: [64, 96],
    byteLength: 64 * 72,
  })
  expect(Object.keys(Object.prototype)).toEqual([])
})

test('two tensors stand one after the other, each from a multiple of the alignment on', () => {
  const data = Buffer.alloc(32 + 8)
  data.writeFloatLE(1.5, 0)
  data.writeFloatLE(-2, 36)
  const infos = [info({ name: 'a', dimensions: [1] }), info({ name: 'b', dimensions: [2, 1], offset: 32 })]
  const file = openGguf(write({ version: 2, infos, data }))
  expect(file.readFloat32('a')).toEqual(Float32Array.of(1.5))
  expect(file.readFloat32('b')).toEqual(Float32Array.of(0, -2))
  expect(file.tensors.get('b')?.shape).toEqual([1, 2])
  expect(() => file.readFloat32('c')).toThrow("expected a tensor 'c', found none")
  file.close()
})

const name64 = 'n'.repeat(64)
const alignment = (value: number, type = 4): Buffer => pair('general.alignment', type, u32(value))
const eight = Buffer.alloc(8)

test.each<[string, Content, string]>([
  ['version 1', { version: 1 }, 'expected little-endian GGUF of version 2 or 3, found version 1'],
  ['version 4', { version: 4 }, 'found version 4'],
  ['big-endian numbers', { version: 0x03000000 }, 'found a big-endian file'],
  ['a count of tensors over the file', { counts: [1, 0] }, 'expected 8 bytes, found 0 before the end of the file'],
  ['a count of 2^60 keys', { counts: [0, 2n ** 60n] }, 'a length below 2^53'],
  ['a count of 2^52 keys', { counts: [0, 2n ** 52n] }, 'expected 8 bytes, found 0 before the end of the file'],
  [
    'a text longer than the file',
    { pairs: [pair('a', 8, u64(100))] },
    'expected 100 bytes, found 0 before the end of the file',
  ],
  ['a text of 2^64 - 1 bytes', { pairs: [pair('a', 8, u64(2n ** 64n - 1n))] }, 'a length below 2^53'],
  ['bytes that are no UTF-8', { pairs: [pair('a', 8, text(Buffer.from([0xc3, 0x28])))] }, 'expected UTF-8'],
  ['an unknown type of value', { pairs: [pair('a', 13, eight)] }, 'a value type of GGUF, found 13'],
  ['a boolean of 2', { pairs: [pair('a', 7, Buffer.of(2))] }, 'a boolean of 0 or 1, found 2'],
  ['a key twice', { pairs: [pair('a', 0, Buffer.of(1)), pair('a', 0, Buffer.of(1))] }, "found 'a' again"],
  ['an array of 2^63', { pairs: [pair('a', 9, Buffer.concat([u32(0), u64(2n ** 63n)]))] }, 'a length below 2^53'],
  ['an array of 2^52', { pairs: [pair('a', 9, Buffer.concat([u32(0), u64(2n ** 52n)]))] }, 'at most 4194304 values'],
  ['an array over the file', { pairs: [pair('a', 9, Buffer.concat([u32(5), u64(9), eight]))] }, 'expected 4 bytes'],
  [
    'an array of arrays',
    { pairs: [pair('a', 9, Buffer.concat([u32(9), u64(1), eight]))] },
    'a value type of GGUF, found 9',
  ],
  ['an alignment of 0', { pairs: [alignment(0)] }, "a power of two as 'general.alignment', found 0"],
  ['an alignment of 48', { pairs: [alignment(48)] }, "a power of two as 'general.alignment', found 48"],
  ['an alignment that is signed', { pairs: [alignment(32, 5)] }, "'general.alignment' as uint32"],
  ['a tensor twice', { infos: [info({}), info({})] }, "found 'a' again"],
  ['a name of 64 bytes', { infos: [info({ name: name64 })], data: eight }, 'at most 63 bytes'],
  ['five dimensions', { infos: [info({ dimensions: [1, 1, 1, 1, 1] })] }, 'at most 4 dimensions, found 5'],
  ['a dimension of 0', { infos: [info({ dimensions: [0, 2] })] }, 'positive dimensions'],
  ['a dimension of -1', { infos: [info({ dimensions: [2n ** 64n - 1n] })] }, 'a length below 2^53'],
  ['a product that wraps', { infos: [info({ dimensions: [2 ** 32, 2 ** 32] })] }, 'fewer than 2^53 values'],
  [
    'rows of half a block',
    { infos: [info({ dimensions: [16, 2], type: 2 })] },
    'rows of whole blocks of 32, found [16,2]',
  ],
  ['a type that is not read', { infos: [info({ type: 16 })] }, 'found IQ2_XXS (16)'],
  ['a withdrawn type', { infos: [info({ type: 4 })] }, "expected tensor 'a' of type F32, F16"],
  ['an unknown type', { infos: [info({ type: 2 ** 31 })] }, 'found unknown (2147483648)'],
  [
    'a first offset that is not 0',
    { infos: [info({ offset: 32 })], data: Buffer.alloc(40) },
    "'a' at 0 of the data, found 32",
  ],
  [
    'tensors that overlap',
    { infos: [info({}), info({ name: 'b' })], data: Buffer.alloc(40) },
    "'b' at 32 of the data, found 0",
  ],
  ['data that is cut', { infos: [info({})], data: Buffer.alloc(7) }, "8 bytes of tensor 'a'"],
])('%s is refused', (_, content, message) => {
  const path = write(content)
  expect(() => openGguf(path)).toThrow(InputError)
  expect(() => openGguf(path)).toThrow(message)
})

test('another alignment moves the data', () => {
  const file = open({ pairs: [alignment(256)], infos: [info({})], alignment: 256, data: eight })
  expect((file.tensors.get('a')?.offset ?? 1) % 256).toBe(0)
})

test('what is not GGUF is named for what it is', () => {
  const path = join(folder, 'b.gguf')
  writeFileSync(path, 'PK\x03\x04 data.pkl')
  expect(() => openGguf(path)).toThrow("expected the letters 'GGUF', found a zip archive, as PyTorch packs pickles")
  writeFileSync(path, '')
  expect(() => openGguf(path)).toThrow('found ""')
})

const model = join(shared, 'models/SmolLM2-135M-Instruct/SmolLM2-135M-Instruct.Q4_1.gguf')

describe.skipIf(!existsSync(model))('SmolLM2-135M', () => {
  interface Reference {
    readonly first_64: Readonly<Record<string, { readonly type: string; readonly values: readonly number[] }>>
    readonly tensors: readonly {
      readonly name: string
      readonly type: string
      readonly shape: readonly number[]
      readonly sum: number
      readonly sum_of_squares: number
    }[]
  }

  test('every tensor has the values that gguf-py gives it, all 134,515,008 of them', () => {
    const reference: Reference = JSON.parse(readFileSync(join(shared, 'fixtures/smollm2/gguf.json'), 'utf8'))
    const file = openGguf(model)
    for (const expected of reference.tensors) {
      const values = file.readFloat32(expected.name)
      let sum = 0
      let squares = 0
      for (const value of values) {
        sum += value
        squares += value * value
      }
      const { type, shape } = file.tensors.get(expected.name) ?? {}
      expect([type, shape]).toEqual([expected.type, expected.shape])
      // both sums are float64; only the order of summation differs
      expect(Math.abs(squares / expected.sum_of_squares - 1)).toBeLessThan(1e-9)
      expect(Math.abs(sum - expected.sum)).toBeLessThan(1e-9 * Math.sqrt(values.length * squares))
      const first = reference.first_64[expected.name]
      if (first !== undefined) expect([...values.subarray(0, 64)]).toEqual(first.values)
    }
    expect(file.tensors.size).toBe(reference.tensors.length)
    file.close()
  })

  test('its vocabulary is whole', () => {
    const file = openGguf(model)
    file.close()
    const tokens = file.metadata.get('tokenizer.ggml.tokens')
    expect(tokens).toHaveLength(49152)
    expect(file.metadata.get('tokenizer.ggml.pre')).toBe('smollm')
  })
})
