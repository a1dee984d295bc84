/** Lines and rows, against splitting the whole content at once. */
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import { InputError, UserError } from './errors.ts'
import { parseJson, readJsonLines, readLines, readLog } from './lines.ts'

const root = mkdtempSync(join(tmpdir(), 'stepdpo-lines-'))
afterAll(() => rmSync(root, { recursive: true }))

const path = join(root, 'file')

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const item of items) found.push(item)
  return found
}

/** The lines of a file with this content, each as its number and text. */
async function linesOf(content: string | Uint8Array): Promise<[number, string][]> {
  writeFileSync(path, content)
  const lines = await collect(readLines(path))
  return lines.map(({ number, bytes }) => [number, Buffer.from(bytes).toString()])
}

/** The same by splitting: one byte order mark and one CR per line go, blank lines count but are left out. */
function splitLines(content: string): [number, string][] {
  return content
    .replace(/^\uFEFF/, '')
    .split('\n')
    .map((line, at): [number, string] => [at + 1, line.replace(/\r$/, '')])
    .filter(([, line]) => /[^ \t\r]/.test(line))
}

describe('lines', () => {
  test.each([
    ['with line ends', 'a\nb\n', [1, 'a'], [2, 'b']],
    ['without the last one', 'a\nb', [1, 'a'], [2, 'b']],
    ['with CRLF', 'a\r\nb\r\n', [1, 'a'], [2, 'b']],
    ['with a CR inside', 'a\rb\n', [1, 'a\rb']],
    ['with blank ones, which count', '\n \t\n\r\na\n\n', [4, 'a']],
    ['with spaces around, which stay', ' a \n', [1, ' a ']],
    ['after a byte order mark', '\uFEFFa\n\uFEFFb\n', [1, 'a'], [2, '\uFEFFb']],
    ['with other ends of Unicode inside', 'a\u2028b\u0085c\n', [1, 'a\u2028b\u0085c']],
  ])('%s', async (_, content, ...expected) => {
    expect(await linesOf(content)).toEqual(expected)
    expect(await linesOf(gzipSync(content))).toEqual(expected)
  })

  test.each(['', '\n', '\n\r\n \t\n', '\uFEFF', '\uFEFF\r\n', '\r'])('%j has none', async (content) => {
    expect(await linesOf(content)).toEqual([])
    expect(await linesOf(gzipSync(content))).toEqual([])
  })

  test('are those of splitting, wherever chunks end, within characters too, plain and gzip', async () => {
    const piece = fc.constantFrom('a', ' ', '\t', '\r', '\n', '\r\n', 'é', '✓', '𝒙', '\uFEFF', '"')
    const tail = fc.array(piece, { minLength: 1, maxLength: 40 }).map((pieces) => pieces.join(''))
    await fc.assert(
      // Chunks end after 2^18 bytes in files, after 2^14 in what is unpacked.
      fc.asyncProperty(tail, fc.nat(60), fc.constantFrom(0, 2 ** 14, 2 ** 18), async (text, back, boundary) => {
        const content = 'x'.repeat(Math.max(0, boundary - back)) + text
        expect(await linesOf(content)).toEqual(splitLines(content))
        expect(await linesOf(gzipSync(content, { level: 1 }))).toEqual(splitLines(content))
      }),
      { numRuns: 100 },
    )
  })

  test('a line as long as is allowed is read, and one that is a byte longer refused with its number', async () => {
    const limit = 64 << 20
    // Without bytes on the disk: holes read as zeros.
    writeFileSync(path, '')
    truncateSync(path, limit)
    const lengths = async (): Promise<number[]> => (await collect(readLines(path))).map(({ bytes }) => bytes.length)
    expect(await lengths()).toEqual([limit])
    truncateSync(path, limit + 1)
    await expect(lengths()).rejects.toThrow(/file:1: expected a line of at most 64 MiB/)
    writeFileSync(path, '\n', { flag: 'a' })
    await expect(lengths()).rejects.toThrow(/file:1: expected a line of at most 64 MiB/)
  })

  test('a small file that unpacks to a line without end is refused before it is unpacked', async () => {
    const member = gzipSync(Buffer.alloc(4 << 20), { level: 1 })
    const members = Array.from({ length: 50 }, () => member)
    // Whoever came to its end would find it cut.
    writeFileSync(path, Buffer.concat([gzipSync('a\n'), ...members, member.subarray(0, 99)]))
    const numbers = async (): Promise<number[]> => (await collect(readLines(path))).map(({ number }) => number)
    await expect(numbers()).rejects.toThrow(/file:2: expected a line of at most 64 MiB/)
  })

  test('gzip that is cut is an error, after the lines before the cut, and so is gzip that is damaged', async () => {
    const whole = gzipSync(Array.from({ length: 9000 }, (_, at) => `line ${at}\n`).join(''))
    for (const length of [2, 9, 10, whole.length >> 1, whole.length - 9, whole.length - 1]) {
      await expect(linesOf(whole.subarray(0, length)), `${length} bytes`).rejects.toThrow(InputError)
    }
    const damaged = Buffer.from(whole)
    damaged[whole.length >> 1] ^= 64
    await expect(linesOf(damaged)).rejects.toThrow(/file: expected whole gzip data, found/)
    writeFileSync(path, whole.subarray(0, whole.length - 9))
    const seen: number[] = []
    await expect(
      (async () => {
        for await (const { number } of readLines(path)) seen.push(number)
      })(),
    ).rejects.toThrow(InputError)
    expect(seen.slice(0, 3)).toEqual([1, 2, 3])
  })

  test('a reader may stop early', async () => {
    for (const content of ['a\n'.repeat(1e5), gzipSync('a\n'.repeat(1e5))]) {
      writeFileSync(path, content)
      for await (const { number } of readLines(path)) if (number === 3) break
    }
  })

  test('of a folder, or of nothing, are an error for people', async () => {
    await expect(collect(readLines(root))).rejects.toThrow(/is a folder, expected a file/)
    await expect(collect(readLines(root))).rejects.toThrow(UserError)
    await expect(collect(readLines(join(root, 'none')))).rejects.toThrow(/cannot read .*none: ENOENT/)
  })
})

describe('rows', () => {
  test('that are bad are told with their number, and do not end the file', async () => {
    const bad = Buffer.concat([Buffer.from('{"a":1}\n\n{"a":\n"'), Buffer.from([0xff]), Buffer.from('"\n[2]')])
    writeFileSync(path, bad)
    expect(await collect(readJsonLines(path))).toEqual([
      { line: 1, value: { a: 1 } },
      { line: 3, problem: expect.stringMatching(/^not JSON: /) },
      { line: 4, problem: 'not UTF-8' },
      { line: 5, value: [2] },
    ])
  })

  test('do not reach the prototype of objects', () => {
    const parsed = parseJson(Buffer.from('{"__proto__": {"polluted": 1}}'))
    expect(Object.keys('value' in parsed && parsed.value instanceof Object ? parsed.value : {})).toEqual(['__proto__'])
    expect(Reflect.get({}, 'polluted')).toBeUndefined()
  })

  test('nested too deeply are a problem or a value, not the end of the process', () => {
    const parsed = parseJson(Buffer.from('['.repeat(100_000)))
    expect(parsed).toHaveProperty('problem')
  })
})

describe('a log', () => {
  const record = (at: number): string => JSON.stringify({ at, text: 'é✓' })

  test('cut at any byte gives the records before the cut', async () => {
    const whole = Buffer.from([0, 1, 2].map((at) => `${record(at)}\n`).join(''))
    const length = Buffer.byteLength(record(0))
    for (let cut = 0; cut <= whole.length; cut++) {
      writeFileSync(path, whole.subarray(0, cut))
      // A record is whole with its last brace, also before its line end is there.
      const expected = [0, 1, 2].filter((at) => cut >= (at + 1) * (length + 1) - 1)
      expect(await collect(readLog(path))).toEqual(expected.map((at) => JSON.parse(record(at))))
    }
  })

  test('damaged before its last line is an error that names the line', async () => {
    const lines = [record(0), record(1).slice(0, -3), record(2)]
    writeFileSync(path, `${lines.join('\n')}\n`)
    await expect(collect(readLog(path))).rejects.toThrow(/file:2: expected a JSON record, found not JSON/)
    writeFileSync(path, `${lines.join('\n')}\n{"cut`)
    await expect(collect(readLog(path))).rejects.toThrow(/file:2: /)
  })
})
