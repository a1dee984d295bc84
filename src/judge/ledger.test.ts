/** The ledger: what was noted is there, what was edited or cut is not, and nothing is acknowledged that is not on the disk. */
import { appendFileSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { folderMaker } from '../../test/folders.ts'
import { UserError } from '../base/errors.ts'
import { random } from '../base/random.ts'
import type { ChatReply } from './chat.ts'
import { type Ledger, openLedger, readLedger } from './ledger.ts'
import { type LedgerFile, openPrivately } from './ledger-file.ts'

const freshFolder = folderMaker()
const now = (): Date => new Date('2026-01-02T03:04:05Z')
const replyOf = (text: string): ChatReply => ({
  text,
  form: 'text',
  model: 'm',
  promptTokens: 3,
  completionTokens: 2,
  logprobs: null,
})

interface Given {
  readonly run?: string
  readonly reserved?: number | null
  readonly cap?: number | null
}
const begin = (
  ledger: Ledger,
  key: string,
  { run = 'run', reserved = 10, cap = null }: Given = {},
): Promise<string | null> =>
  ledger.begin({ key, run, reserved, cap, model: 'fake:m', purpose: 'test', promptVersion: 'p@1', attempt: 1 })

/** Notes an intent and a whole reply to it. */
async function noteReply(ledger: Ledger, key: string, text = `reply to ${key}`, cost = 4): Promise<void> {
  const id = await begin(ledger, key)
  await ledger.settle({ type: 'reply', id: id!, key, run: 'run', cost, reply: replyOf(text) })
}

async function noteFailure(ledger: Ledger, key: string, cost: number): Promise<void> {
  const id = await begin(ledger, key)
  const outcome = { type: 'failure', id: id!, key, run: 'run', cost, maybePaid: cost > 0, usage: null } as const
  await ledger.settle({ ...outcome, kind: 'truncated', why: 'cut' })
}

const freshPath = (): string => join(freshFolder(), 'judge', 'ledger.jsonl')

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

test('a reply is found by its key, by this process and the next, and never by another key', async () => {
  const path = freshPath()
  const ledger = await openLedger(path, { now })
  const logprobs = [
    { token: ' é\ud800"', logprob: -0.5, alternatives: [{ token: 'x', logprob: Number.NEGATIVE_INFINITY }] },
  ]
  const id = await begin(ledger, 'a')
  const reply = { ...replyOf('a\n"b"\u2028'), logprobs }
  await ledger.settle({ type: 'reply', id: id!, key: 'a', run: 'run', cost: 7, reply })
  expect(await ledger.find('a')).toEqual(reply)
  expect(await ledger.find('b')).toBeNull()
  await ledger.close()
  const next = await openLedger(path, { now })
  expect(await next.find('a')).toEqual(reply)
  expect(next.hasReply('a')).toBe(true)
  expect(next.account('run')).toEqual({ settled: 7, reserved: 0 })
  expect(statSync(path).mode & 0o077).toBe(0)
  await next.close()
})

test('a failure costs what it cost and is never found', async () => {
  const path = freshPath()
  const ledger = await openLedger(path, { now })
  await noteFailure(ledger, 'a', 9)
  expect(await ledger.find('a')).toBeNull()
  expect(ledger.account('run')).toEqual({ settled: 9, reserved: 0 })
  await ledger.close()
})

test('an intent without an outcome keeps its reservation in every later process', async () => {
  const path = freshPath()
  const ledger = await openLedger(path, { now })
  await begin(ledger, 'a', { reserved: 70, cap: 100 })
  await ledger.close()
  const next = await openLedger(path, { now })
  expect(next.account('run')).toEqual({ settled: 0, reserved: 70 })
  expect(await begin(next, 'b', { reserved: 31, cap: 100 })).toBeNull()
  expect(await begin(next, 'b', { reserved: 30, cap: 100 })).not.toBeNull()
  expect(await begin(next, 'b', { run: 'another', reserved: 31, cap: 100 })).not.toBeNull()
  await next.close()
})

test('a line that a crash cut at any byte is absent, and what is written after it is whole', async () => {
  const path = freshPath()
  const ledger = await openLedger(path, { now })
  await noteReply(ledger, 'a')
  const whole = readFileSync(path)
  await noteReply(ledger, 'b')
  await ledger.close()
  const both = readFileSync(path)
  for (let length = whole.length; length < both.length; length += 7) {
    writeFileSync(path, both.subarray(0, length))
    const next = await openLedger(path, { now })
    expect(next.hasReply('b')).toBe(false)
    expect(await next.find('a')).toEqual(replyOf('reply to a'))
    await noteReply(next, 'c')
    await next.close()
    const last = await openLedger(path, { now })
    expect([last.hasReply('a'), last.hasReply('b'), last.hasReply('c')]).toEqual([true, false, true])
    await last.close()
  }
})

test('500 flipped bits: a changed line is absent, others stand, and no reply is ever another than was noted', async () => {
  const path = freshPath()
  const ledger = await openLedger(path, { now })
  const keys = Array.from({ length: 8 }, (_, index) => `key-${index}`)
  for (const key of keys) await noteReply(ledger, key)
  await ledger.close()
  const bytes = readFileSync(path)
  const source = random(3, 'flips')
  for (let flip = 0; flip < 500; flip++) {
    const at = source.below(bytes.length)
    const changed = Buffer.from(bytes)
    changed[at] ^= 1 << source.below(8)
    writeFileSync(path, changed)
    const next = await openLedger(path, { now })
    const isLine = bytes[at] !== 10
    // A flipped line end glues two lines or is followed by a blank one.
    expect(next.damagedCount()).toBeGreaterThanOrEqual(isLine ? 1 : 0)
    let absent = 0
    for (const key of keys) {
      const found = await next.find(key)
      if (found === null) absent++
      else expect(found).toEqual(replyOf(`reply to ${key}`))
    }
    expect(absent).toBeLessThanOrEqual(2)
    expect(next.account('run').settled).toBe((8 - absent) * 4)
    await next.close()
  }
})

test('a reply that is edited while the ledger is open is not served, and the next reply takes its place', async () => {
  const path = freshPath()
  const ledger = await openLedger(path, { now })
  await noteReply(ledger, 'a', 'first')
  writeFileSync(path, readFileSync(path, 'utf8').replace('first', 'worst'))
  expect(await ledger.find('a')).toBeNull()
  await noteReply(ledger, 'a', 'second')
  expect((await ledger.find('a'))?.text).toBe('second')
  await ledger.close()
})

test('a whole line of another version is refused, and the file is named', async () => {
  const path = freshPath()
  const ledger = await openLedger(path, { now })
  await noteReply(ledger, 'a')
  await ledger.close()
  const { createHash } = await import('node:crypto')
  const json = '{"type":"verse"}'
  appendFileSync(path, `{"sha256":"${createHash('sha256').update(json).digest('hex')}","record":${json}}\n`)
  await expect(openLedger(path, { now })).rejects.toThrow(path)
})

/** A file that counts its fsyncs and can be told to fail. */
function watchedFile() {
  const state = { writes: 0, syncs: 0, fail: '' }
  const openFile = async (path: string): Promise<LedgerFile> => {
    const file = await openPrivately(path)
    return {
      ...file,
      write: (bytes) => {
        state.writes++
        if (state.fail === 'write') throw new Error('ENOSPC')
        return file.write(state.fail === 'short' ? bytes.subarray(0, -5) : bytes)
      },
      datasync: async () => {
        state.syncs++
        if (state.fail === 'sync') throw new Error('EIO')
        await file.datasync()
      },
    }
  }
  return { state, openFile }
}

test('64 intents that come together are one write and one fsync, and so are their outcomes', async () => {
  const { state, openFile } = watchedFile()
  const ledger = await openLedger(freshPath(), { now, openFile })
  await Promise.all(Array.from({ length: 64 }, (_, index) => noteReply(ledger, `key-${index}`)))
  expect(state).toMatchObject({ writes: 2, syncs: 2 })
  expect(ledger.account('run')).toEqual({ settled: 64 * 4, reserved: 0 })
  await ledger.close()
})

test.each(['write', 'short', 'sync'])(
  'where the disk fails (%s), nothing is acknowledged, then or later',
  async (fail) => {
    const { state, openFile } = watchedFile()
    const path = freshPath()
    const ledger = await openLedger(path, { now, openFile })
    await noteReply(ledger, 'a')
    state.fail = fail
    await expect(noteReply(ledger, 'b')).rejects.toThrow(UserError)
    state.fail = ''
    await expect(noteReply(ledger, 'c')).rejects.toThrow(path)
    expect(ledger.hasReply('c')).toBe(false)
    expect(await ledger.find('a')).toEqual(replyOf('reply to a'))
    await ledger.close()
    const next = await openLedger(path, { now })
    await noteReply(next, 'c')
    expect(next.hasReply('a') && next.hasReply('c')).toBe(true)
    await next.close()
  },
)

test('two openings of one file find each other’s replies and agree on who was within the cap', async () => {
  const path = freshPath()
  const [first, second] = [await openLedger(path, { now }), await openLedger(path, { now })]
  await noteReply(first, 'a')
  await noteReply(second, 'b')
  expect(await second.find('a')).toEqual(replyOf('reply to a'))
  const given = { run: 'capped', reserved: 7, cap: 100 }
  const ids = await Promise.all(
    Array.from({ length: 200 }, (_, index) => begin(index % 2 === 0 ? first : second, 'k', given)),
  )
  expect(ids.filter((id) => id !== null)).toHaveLength(14) // 14 · 7 = 98
  const late = await openLedger(path, { now })
  expect(late.account('capped')).toEqual({ settled: 0, reserved: 98 })
  for (const ledger of [first, second, late]) await ledger.close()
})

test('reading a ledger gives its records in order, without damaged lines', async () => {
  const path = freshPath()
  const ledger = await openLedger(path, { now })
  await noteReply(ledger, 'a')
  await noteFailure(ledger, 'b', 0)
  await ledger.close()
  appendFileSync(path, '{"sha256":"0')
  const records = await collect(readLedger(path))
  expect(records.map(({ type, key }) => `${type} ${key}`)).toEqual(['intent a', 'reply a', 'intent b', 'failure b'])
  expect(records[0].time).toBe('2026-01-02T03:04:05.000Z')
})
