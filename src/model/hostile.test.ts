import {
  closeSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import { InputError } from '../base/errors.ts'
import { blockTypes } from './blocks.ts'
import { openGguf } from './gguf.ts'
import { openSafetensors } from './safetensors.ts'
import { safetensorsParts } from './safetensors-write.ts'

const folder = mkdtempSync(join(tmpdir(), 'hostile-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** Peak memory of this process so far, in bytes. */
const peakBytes = (): number => process.resourceUsage().maxRSS * 1024
const peakBefore = peakBytes()

/** A valid file that is damaged in place and mended again, and how it is opened and checked. */
interface Target {
  readonly seed: Buffer
  readonly headerBytes: number
  /** Opens the damaged file; where it opens, what it says must hold. */
  openChecked(path: string): void
}

const numbers = new Map([
  ['a', { shape: [2, 3], data: Float32Array.of(1, 2, 3, 4, 5, 6) }],
  ['model.layers.0.weight', { shape: [4], data: Int32Array.of(1, 2, 3, 4) }],
  ['empty', { shape: [0, 7], data: new Float64Array(0) }],
  ['"quoted" \u20ac', { shape: [], data: BigInt64Array.of(5n) }],
])
const safetensors = Buffer.concat([...safetensorsParts(numbers, new Map([['format', 'pt']]))])

function checkSafetensors(path: string): void {
  const file = openSafetensors(path)
  const lengths = [...file.tensors].map(([name, entry]) => [file.read(name).byteLength, entry.byteLength])
  expect(lengths.every(([read, stated]) => read === stated)).toBe(true)
  expect(lengths.reduce((sum, [read]) => sum + read, 0)).toBeLessThan(safetensors.length)
  file.close()
}

const gguf = readFileSync(join(import.meta.dirname, '../../test/fixtures/gguf/small.gguf'))

function checkGguf(path: string): void {
  const file = openGguf(path)
  const tensors = [...file.tensors.values()].map(({ type, shape, offset, byteLength }) => {
    const count = shape.reduce((product, length) => product * length, 1)
    return {
      offset,
      end: offset + byteLength,
      expectedEnd: offset + (count / blockTypes[type].values) * blockTypes[type].bytes,
    }
  })
  const fits = tensors.every(({ end, expectedEnd }) => end === expectedEnd && end <= gguf.length)
  const disjoint = tensors.every(({ offset }, index) => index === 0 || offset >= tensors[index - 1].end)
  expect([fits, disjoint]).toEqual([true, true])
  const [name] = file.tensors.keys()
  if (name !== undefined) expect(file.readFloat32(name).length).toBeGreaterThan(0)
  file.close()
}

const ggufFile = join(folder, 'seed.gguf')
writeFileSync(ggufFile, gguf)
const seedFile = openGguf(ggufFile)
seedFile.close()

const targets: Readonly<Record<string, Target>> = {
  safetensors: {
    seed: safetensors,
    headerBytes: 8 + Number(safetensors.readBigUInt64LE()),
    openChecked: checkSafetensors,
  },
  GGUF: {
    seed: gguf,
    headerBytes: Math.min(...[...seedFile.tensors.values()].map(({ offset }) => offset)),
    openChecked: checkGguf,
  },
}

describe.each(Object.entries(targets))('a damaged %s file', (kind, { seed, headerBytes, openChecked }) => {
  const path = join(folder, kind)
  writeFileSync(path, seed)
  const fd = openSync(path, 'r+')
  afterAll(() => closeSync(fd))

  /** Writes `bytes` at `at`, looks, and mends. Whatever is thrown but an InputError fails the test. */
  const damage = (at: number, bytes: Uint8Array): 'opened' | 'refused' => {
    const length = Math.min(bytes.length, seed.length - at)
    writeSync(fd, bytes, 0, length, at)
    try {
      openChecked(path)
      return 'opened'
    } catch (error) {
      if (error instanceof InputError) return 'refused'
      throw error
    } finally {
      writeSync(fd, seed, at, length, at)
    }
  }

  test('opens when nothing is damaged', () => {
    expect(damage(0, seed.subarray(0, 1))).toBe('opened')
  })

  test('opens as something valid or is refused, whichever byte of the header is changed', () => {
    const outcomes = { opened: 0, refused: 0 }
    for (let at = 0; at < headerBytes; at++) {
      for (const bit of [1, 128]) outcomes[damage(at, Uint8Array.of(seed[at] ^ bit))]++
    }
    expect(outcomes.opened).toBeGreaterThan(headerBytes / 20) // letters of names
    expect(outcomes.refused).toBeGreaterThan(headerBytes / 20)
  })

  test('opens as something valid or is refused, wherever extreme numbers stand in the header', () => {
    const longs = [0n, 1n, 9n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 53n, 2n ** 62n, 2n ** 63n, 2n ** 64n - 1n]
    const long = fc.constantFrom(...longs).map((value) => {
      const bytes = Buffer.alloc(8)
      bytes.writeBigUInt64LE(value)
      return bytes
    })
    const words = ['-1', '1e9', '99999999', '9007199254740993', '"":{},', '[[[[', '}}}}', '\\ud800', 'null']
    const word = fc.constantFrom(...words).map((text) => Buffer.from(text))
    const change = fc.oneof(
      long,
      long.map((bytes) => bytes.subarray(0, 4)),
      word,
      fc.uint8Array({ maxLength: 12 }),
    )
    fc.assert(
      fc.property(fc.nat(headerBytes - 1), change, (at, bytes) => {
        damage(at, bytes)
      }),
      { numRuns: 1500 },
    )
  })

  test('is refused wherever it is cut', () => {
    const cuts = [...Array(40).keys(), ...Array.from({ length: 300 }, (_, at) => Math.floor((at * seed.length) / 300))]
    for (const length of cuts) {
      ftruncateSync(fd, length)
      expect(() => openChecked(path), `cut at ${length}`).toThrow(InputError)
    }
    writeSync(fd, seed, 0, seed.length, 0)
  })
})

test('none of this took 64 MiB', () => {
  expect(peakBytes() - peakBefore).toBeLessThan(64 << 20)
})
