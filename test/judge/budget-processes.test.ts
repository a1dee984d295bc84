/** One cap, several processes that share it, and some that are killed: never a nano-dollar too much. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, expect, test } from 'vitest'
import { random } from '../../src/base/random.ts'
import { openLedger, readLedger } from '../../src/judge/ledger.ts'
import { folderMaker } from '../folders.ts'
import { program } from '../programs.ts'
import { isSlow } from '../slow.ts'
import { capOf } from './caps.ts'

/** Admissions for each cap that each process asks for. */
const EACH = isSlow ? 5000 : 300

const freshFolder = folderMaker()
const script = program('test/judge/spender.ts')
const children = new Set<ChildProcess>()
afterAll(() => {
  for (const child of children) child.kill('SIGKILL')
})

function startSpender(folder: string, ...numbers: readonly number[]) {
  const child = spawn(process.execPath, [script, folder, ...numbers.map(String)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  children.add(child)
  let output = ''
  child.stdout.on('data', (chunk) => {
    output += chunk
  })
  const ended = once(child, 'close').then(([code]) => {
    children.delete(child)
    return { output, code }
  })
  return { child, ended, ready: once(child.stdout, 'data') }
}

/** What the provider was sent, as the spenders told it before they noted an outcome. */
function readSent(folder: string, seeds: readonly number[]): { id: string; run: string; cost: number }[] {
  return seeds.flatMap((seed) => {
    const path = join(folder, `sent-${seed}`)
    if (!existsSync(path)) return []
    return readFileSync(path, 'utf8')
      .split('\n')
      .filter((line) => line.endsWith('}'))
      .map((line) => JSON.parse(line))
  })
}

/** The most that was ever spent or reserved in a run, by the lines of the ledger, counting only what was sent. */
async function readPeaks(folder: string, sent: ReadonlySet<string>): Promise<Map<string, number>> {
  const totals = new Map<string, number>()
  const peaks = new Map<string, number>()
  const held = new Map<string, number>()
  for await (const record of readLedger(join(folder, 'ledger.jsonl'))) {
    if (!sent.has(record.id)) continue
    const before = (totals.get(record.run) ?? 0) - (held.get(record.id) ?? 0)
    const money = (record.type === 'intent' ? record.reserved : record.cost) ?? Number.NaN
    held.set(record.id, money)
    totals.set(record.run, before + money)
    peaks.set(record.run, Math.max(peaks.get(record.run) ?? 0, before + money))
  }
  return peaks
}

test(`100 caps, ${2 * EACH} admissions for each, in 2 processes: 0 overshoot, and what is left would not have paid for more`, async () => {
  const folder = freshFolder()
  const spenders = [1, 2].map((seed) => startSpender(folder, seed, 100, EACH))
  const ends = await Promise.all(spenders.map(({ ended }) => ended))
  const sent = readSent(folder, [1, 2])
  expect(ends.map(({ code }) => code)).toEqual([0, 0])
  expect(ends.reduce((sum, { output }) => sum + Number(output.split('\n')[1]), 0)).toBe(sent.length)
  const peaks = await readPeaks(folder, new Set(sent.map(({ id }) => id)))
  const ledger = await openLedger(join(folder, 'ledger.jsonl'), { now: () => new Date() })
  for (let run = 0; run < 100; run++) {
    const name = `run-${run}`
    const charged = sent.reduce((sum, request) => sum + (request.run === name ? request.cost : 0), 0)
    expect(peaks.get(name) ?? 0).toBeLessThanOrEqual(capOf(run))
    expect(ledger.account(name)).toEqual({ settled: charged, reserved: 0 })
    // Reservations are drawn from 0 to 999: among so many asks some would have fitted into as little as this.
    expect(capOf(run) - charged).toBeLessThan(1000)
  }
  expect(ledger.damagedCount()).toBe(0)
  await ledger.close()
})

test('processes that are killed while they spend: all that was sent is in the ledger, and counts with all that it may cost', async () => {
  const folder = freshFolder()
  const source = random(4, 'kills')
  const seeds = Array.from({ length: isSlow ? 6 : 2 }, (_, index) => index + 10)
  for (let at = 0; at < seeds.length; at += 2) {
    const pair = seeds.slice(at, at + 2).map((seed) => startSpender(folder, seed, 100, 400, 50))
    await Promise.all(pair.map(({ ready }) => ready))
    for (const { child } of pair) {
      await delay(100 + source.below(200)) // replies take 50 ms: some are always on their way
      child.kill('SIGKILL')
    }
    await Promise.all(pair.map(({ ended }) => ended))
  }
  const sent = readSent(folder, seeds)
  expect(sent.length).toBeGreaterThan(10)
  const ids = new Set(sent.map(({ id }) => id))
  const peaks = await readPeaks(folder, ids)
  const ledger = await openLedger(join(folder, 'ledger.jsonl'), { now: () => new Date() })
  let unknown = 0
  for (let run = 0; run < 100; run++) {
    const name = `run-${run}`
    const { settled, reserved } = ledger.account(name)
    const charged = sent.reduce((sum, request) => sum + (request.run === name ? request.cost : 0), 0)
    expect(charged).toBeLessThanOrEqual(settled + reserved)
    expect(settled + reserved).toBeLessThanOrEqual(capOf(run))
    expect(peaks.get(name) ?? 0).toBeLessThanOrEqual(capOf(run))
    if (reserved > 0) unknown++
  }
  expect(unknown).toBeGreaterThan(0)
  await ledger.close()
  const intents = new Set<string>()
  for await (const { type, id } of readLedger(join(folder, 'ledger.jsonl'))) if (type === 'intent') intents.add(id)
  expect(sent.filter(({ id }) => !intents.has(id))).toEqual([])
})
