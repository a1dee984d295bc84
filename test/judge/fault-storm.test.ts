/**
 * Steps judged through the vendor's library by a server that fails three times in ten, against the same steps judged by
 * one that does not. STEPDPO_STORM=1 judges 5,000 steps.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { createAsker } from '../../src/judge/ask.ts'
import { createBudget } from '../../src/judge/budget.ts'
import type { Clock } from '../../src/judge/clock.ts'
import { openLedger, readLedger } from '../../src/judge/ledger.ts'
import type { LedgerRecord } from '../../src/judge/ledger-record.ts'
import { createLimits } from '../../src/judge/limits.ts'
import { modelJudge } from '../../src/judge/model-judge.ts'
import { modes } from '../../src/judge/modes.ts'
import type { Solution, StepVerdict } from '../../src/judge/port.ts'
import { createChatModel, parseJudgeName } from '../../src/judge/provider.ts'
import { folderMaker } from '../folders.ts'
import { program } from '../programs.ts'
import { isSlow } from '../slow.ts'
import type { Served } from './server.ts'

const STEPS = isSlow ? 5000 : 120
const CONCURRENCY = 32
/** Waiting is this much shorter than it says. */
const HASTE = 400
/** Long enough for a busy machine: a request that is given up before the server has read it is in the ledger alone. */
const TIMEOUT_MS = 4000
const PRICE = { input: 30, cachedInput: 30, output: 60, batchShare: 1 }

const freshFolder = folderMaker()
const never = new AbortController().signal

const hasty: Clock = {
  milliseconds: () => performance.now() * HASTE,
  sleep: (delayMs, signal) => delay(delayMs / HASTE, undefined, { signal }),
}

const solutions = Array.from(
  { length: STEPS / 5 },
  (_, at): Solution => ({
    problem: `problem ${at}`,
    steps: ['a', 'b', 'c', 'd', 'e'].map((letter) => `${at} ${letter} step`),
  }),
)

async function withServer<T>(options: object, use: (url: string) => Promise<T>): Promise<T> {
  const server = spawn(process.execPath, [program('test/judge/server.ts'), JSON.stringify(options)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  try {
    const [url] = await once(createInterface({ input: server.stdout }), 'line')
    return await use(String(url))
  } finally {
    server.kill('SIGKILL')
  }
}

interface Run {
  readonly verdicts: readonly (readonly StepVerdict[])[]
  readonly records: readonly LedgerRecord[]
  readonly served: readonly Served[]
}

async function judgeAll(url: string): Promise<Run> {
  const path = join(freshFolder(), 'ledger.jsonl')
  const ledger = await openLedger(path, { now: () => new Date() })
  const name = parseJudgeName(`openai:gpt-4@${url}/v1`)
  if (name.kind !== 'chat') throw new Error('not a chat model')
  const model = createChatModel(name, { environment: { OPENAI_API_KEY: 'sk-canary-0c6d' }, timeoutMs: TIMEOUT_MS })
  const asker = createAsker({
    model,
    price: PRICE,
    ledger,
    budget: createBudget(ledger, 'storm', 1e6),
    limits: createLimits({ concurrency: CONCURRENCY, requestsPerMinute: null, tokensPerMinute: null }, hasty),
    clock: hasty,
    timeoutMs: TIMEOUT_MS * HASTE,
    purpose: 'test',
    promptVersion: modes.step.promptVersion,
  })
  const shared = { name: 'storm', asker, mode: modes.step, shots: [], votes: 1, temperature: 0, topP: null, seed: null }
  const judge = modelJudge({ ...shared, maxTokens: 200 })
  const judged = await Promise.all(solutions.map((solution) => judge.judge(solution, never)))
  await ledger.close()
  const records: LedgerRecord[] = []
  for await (const record of readLedger(path)) records.push(record)
  const log = await fetch(`${url}/log`)
  return { verdicts: judged.map(({ steps }) => steps), records, served: JSON.parse(await log.text()) }
}

test('under faults no step is lost, invented or paid twice, and the ledger knows every request of the server', async () => {
  const calm = await withServer({}, judgeAll)
  const storm = await withServer({ seed: 7, faultShare: 0.3, hangMs: 10 * TIMEOUT_MS }, judgeAll)
  const steps = storm.verdicts.flat()
  const expected = calm.verdicts.flat()
  expect(steps.length).toBe(STEPS)
  expect(expected.every(({ state }) => state === 'scored')).toBe(true)
  // A verdict is that of the calm run, or a failure that says its kind: nothing in between.
  for (const [at, step] of steps.entries()) {
    if (step.state === 'scored') expect(step).toEqual(expected[at])
    else expect(step.state).toBe('failed')
  }
  const failed = steps.filter(({ state }) => state === 'failed').length
  expect(failed).toBeLessThan(STEPS / 4)
  const faults = storm.served.filter(({ fault }) => fault !== null).length
  expect(faults / storm.served.length).toBeGreaterThan(0.2)

  const { records, served } = storm
  const intents = records.filter(({ type }) => type === 'intent')
  const replies = records.filter(({ type }) => type === 'reply')
  const outcomes = new Set(records.filter(({ type }) => type !== 'intent').map(({ id }) => id))
  expect(intents.length).toBe(served.length)
  expect(outcomes.size).toBe(intents.length)
  expect(new Set(replies.map(({ key }) => key)).size).toBe(replies.length)
  expect(replies.length).toBe(STEPS - failed)
  const charged = records.reduce((sum, record) => sum + (record.type === 'intent' ? 0 : (record.cost ?? 0)), 0)
  const owed = served
    .filter(({ isCharged }) => isCharged)
    .reduce((sum, one) => sum + one.promptTokens * PRICE.input * 1000 + one.completionTokens * PRICE.output * 1000, 0)
  expect(charged).toBeGreaterThanOrEqual(owed)
}, 600_000)
