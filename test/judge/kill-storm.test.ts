/** A judging process that is killed again and again pays no reply twice that it had noted. 200 kills in the slow stage. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { random } from '../../src/base/random.ts'
import { ledgerPath, readLedger } from '../../src/judge/ledger.ts'
import { folderMaker } from '../folders.ts'
import { program } from '../programs.ts'
import { isSlow } from '../slow.ts'
import type { Served } from './server.ts'

const KILLS = 200
/** Some more than are judged in all those lives: each is killed when about as many were answered as are asked at once. */
const SOLUTIONS = 1200
const CONCURRENCY = 16
const LATENCY_MS = 200

const folder = folderMaker()()

function start(script: string, argument: object, environment: Record<string, string> = {}) {
  const child = spawn(process.execPath, [program(`test/judge/${script}`), JSON.stringify(argument)], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, ...environment },
  })
  return { child, lines: createInterface({ input: child.stdout })[Symbol.asyncIterator]() }
}

function writeSolutions(): string {
  const path = join(folder, 'rows.jsonl')
  const rows = Array.from({ length: SOLUTIONS }, (_, at) =>
    JSON.stringify({ prompt: `problem ${at}`, completion: `${at} first says\n${at} second says\n${at} third says` }),
  )
  writeFileSync(path, rows.join('\n'))
  return path
}

test.skipIf(!isSlow)(
  'a reply that was noted is never asked for again, and the ledger owes no less than the server is owed',
  async () => {
    const logFile = join(folder, 'served.jsonl')
    const server = start('server.ts', { latencyMs: LATENCY_MS, logFile })
    const { value: url } = await server.lines.next()
    const prices = join(folder, 'prices.yaml')
    writeFileSync(prices, 'gpt-4: { input: 30, output: 60 }\n')
    const settings = {
      reward_model: [`openai:gpt-4@${url}/v1`],
      dataset_path: writeSolutions(),
      output_dir: join(folder, 'out'),
      judge_mode: 'step',
      few_shot: 'none',
      concurrency: CONCURRENCY,
      prices,
    }
    const draw = random(1, 'kills')
    let kills = 0
    try {
      for (let isDone = false; !isDone; ) {
        const { child, lines } = start('judging.ts', settings, { STEPDPO_CACHE: folder })
        expect((await lines.next()).value).toBe('begun')
        const end = lines.next()
        const waited = kills < KILLS ? delay(20 + draw.below(2 * LATENCY_MS), 'late' as const) : end
        isDone = (await Promise.race([end, waited])) !== 'late'
        if (isDone) await once(child, 'exit')
        else {
          kills++
          child.kill('SIGKILL')
          await once(child, 'exit')
        }
      }
    } finally {
      server.child.kill('SIGKILL')
    }
    expect(kills).toBe(KILLS)
    const served: Served[] = readFileSync(logFile, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    const questions = new Set(served.map(({ question }) => question))
    expect(questions.size).toBe(3 * SOLUTIONS)
    expect(served.length - questions.size).toBeLessThanOrEqual(kills * CONCURRENCY)

    const answered = new Set<string>()
    const open = new Map<string, number>()
    let settled = 0
    for await (const record of readLedger(ledgerPath(folder))) {
      if (record.type === 'intent') {
        expect(answered.has(record.key)).toBe(false)
        open.set(record.id, record.reserved ?? 0)
      } else {
        open.delete(record.id)
        settled += record.cost ?? 0
        if (record.type === 'reply') answered.add(record.key)
      }
    }
    expect(answered.size).toBe(3 * SOLUTIONS)
    const reserved = [...open.values()].reduce((sum, cost) => sum + cost, 0)
    const owed = served.reduce((sum, one) => sum + one.promptTokens * 30_000 + one.completionTokens * 60_000, 0)
    expect(settled + reserved).toBeGreaterThanOrEqual(owed)

    const judgements = readFileSync(join(folder, 'out', 'judgements.jsonl'), 'utf8')
      .trimEnd()
      .split('\n')
    const ids = new Set(judgements.map((line) => JSON.parse(line).id))
    expect(ids.size).toBe(SOLUTIONS)
    expect(judgements.length).toBe(SOLUTIONS)
  },
  900_000,
)
