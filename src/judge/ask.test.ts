/** Asking through cache, limits, budget, ledger and retries, against a model that fails in every way. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { folderMaker } from '../../test/folders.ts'
import { replyTo, type ScriptedModel, scriptedModel } from '../../test/judge/scripted-model.ts'
import { type AskerOptions, createAsker } from './ask.ts'
import { createBudget } from './budget.ts'
import { ChatError, type ChatModel, type ChatRequest } from './chat.ts'
import { type Clock, systemClock } from './clock.ts'
import { openLedger, readLedger } from './ledger.ts'
import { createLimits } from './limits.ts'
import { costOf, type Price, toDollars } from './prices.ts'

const freshFolder = folderMaker()
const never = new AbortController().signal
const price: Price = { input: 3, cachedInput: 3, output: 7, batchShare: 1 }

/** A thousand times as fast as ours. */
const fastClock: Clock = {
  milliseconds: () => performance.now() * 1000,
  sleep: (delayMs, signal) => systemClock.sleep(delayMs / 1000, signal),
}

function requestOf(content: string, sample = 0): ChatRequest {
  const messages = [{ role: 'user' as const, content }]
  return { messages, schema: null, maxTokens: 50, temperature: 0, topP: null, seed: null, topLogprobs: 0, sample }
}

interface Given extends Partial<AskerOptions> {
  readonly path?: string
  readonly maxCost?: number | null
  readonly concurrency?: number
}

async function site({
  path = join(freshFolder(), 'ledger.jsonl'),
  maxCost = null,
  concurrency = 32,
  ...given
}: Given & { model: ChatModel }) {
  const ledger = await openLedger(path, { now: () => new Date(0) })
  const budget = createBudget(ledger, 'run', maxCost)
  const limits = createLimits({ concurrency, requestsPerMinute: null, tokensPerMinute: null }, given.clock ?? fastClock)
  const fixed = {
    price,
    ledger,
    budget,
    limits,
    clock: fastClock,
    purpose: 'test',
    promptVersion: 'p@1',
    timeoutMs: 4000,
  }
  return { ledger, path, asker: createAsker({ ...fixed, ...given }) }
}

type Answered = Awaited<ReturnType<ReturnType<typeof createAsker>['ask']>>
const isError = (end: Answered | ChatError): end is ChatError => end instanceof ChatError

/** A reply or a ChatError; anything else is thrown. */
function endOf(ask: Promise<Answered>): Promise<Answered | ChatError> {
  return ask.catch((error) => {
    if (error instanceof ChatError) return error
    throw error
  })
}

/** What the server charged at most, in nano-dollars. */
function billOf(model: ScriptedModel): number {
  return model.served.reduce((sum, { usage }) => sum + (usage === null ? 0 : costOf(usage, price)), 0)
}

test('1,000 questions under 40 % faults: each ends once, replies are the calm ones, and the ledger is the server’s own list', async () => {
  const model = scriptedModel(11, 0.4)
  const { ledger, path, asker } = await site({ model })
  const questions = Array.from({ length: 1000 }, (_, index) => `question ${index % 920}`)
  const ends = await Promise.all(questions.map((content) => endOf(asker.ask(requestOf(content), never))))
  const kinds = new Set<string>()
  let charged = 0
  ends.forEach((end, index) => {
    if (isError(end)) kinds.add(end.facts.kind)
    else expect(end.reply).toEqual(replyTo(requestOf(questions[index])))
    if (!isError(end)) charged += end.cost ?? Number.NaN
  })
  expect(kinds.size).toBeGreaterThanOrEqual(7)
  expect(ends.filter(isError).length).toBeGreaterThan(70)
  expect(ends.filter((end) => !isError(end) && end.isCached).length).toBeGreaterThan(50)
  const records = []
  for await (const record of readLedger(path)) records.push(record)
  const intents = records.filter(({ type }) => type === 'intent')
  const replies = records.filter(({ type }) => type === 'reply')
  expect(intents).toHaveLength(model.served.length)
  expect(records).toHaveLength(2 * intents.length)
  expect(new Set(records.map(({ type, id }) => (type === 'intent') + id)).size).toBe(records.length)
  expect(new Set(replies.map(({ key }) => key)).size).toBe(replies.length)
  expect(replies).toHaveLength(model.served.filter(({ event }) => event === 'reply').length)
  const { settled, reserved } = ledger.account('run')
  expect(reserved).toBe(0)
  expect(settled).toBeGreaterThanOrEqual(billOf(model))
  expect(charged).toBeLessThanOrEqual(toDollars(settled) + 1e-9)
  await ledger.close()

  const served = model.served.length
  const again = await site({ model, path })
  for (const [index, end] of ends.entries()) {
    if (isError(end)) continue
    const request = requestOf(questions[index])
    expect(await again.asker.ask(request, never)).toEqual({ reply: replyTo(request), isCached: true, cost: 0 })
  }
  expect(model.served).toHaveLength(served)
  expect(again.ledger.account('run')).toEqual({ settled, reserved: 0 })
  await again.ledger.close()
})

test.each([0.0005, 0.005, 0.02])(
  'under faults and a cap of $%d the server never charges more, and all that is not asked is a budget failure',
  async (maxCost) => {
    const model = scriptedModel(5, 0.3)
    const { ledger, asker } = await site({ model, maxCost, timeoutMs: 200 })
    const ends = await Promise.all(
      Array.from({ length: 300 }, (_, index) => endOf(asker.ask(requestOf(`question ${index}`), never))),
    )
    const { settled, reserved } = ledger.account('run')
    expect(reserved).toBe(0)
    expect(settled).toBeLessThanOrEqual(maxCost * 1e9)
    expect(billOf(model)).toBeLessThanOrEqual(settled)
    const refused = ends.filter((end) => isError(end) && end.facts.kind === 'budget')
    expect(refused.length).toBeGreaterThan(0)
    // What is left does not pay for one more request of this size.
    expect(maxCost * 1e9 - settled).toBeLessThan(
      costOf({ promptTokens: 16 + 'question 299'.length, completionTokens: 50 }, price),
    )
    await ledger.close()
  },
)

test('a question that many ask at once is sent once, and paid by one', async () => {
  const model = scriptedModel(1, 0, 20)
  const { ledger, asker } = await site({ model, timeoutMs: 1e7 })
  const answers = await Promise.all(Array.from({ length: 40 }, () => asker.ask(requestOf('same'), never)))
  expect(model.served).toHaveLength(1)
  expect(answers.filter(({ isCached }) => !isCached)).toHaveLength(1)
  const paid = answers.reduce((sum, { cost }) => sum + (cost ?? Number.NaN), 0)
  expect(paid).toBe(toDollars(ledger.account('run').settled))
  await asker.ask(requestOf('same', 1), never)
  expect(model.served).toHaveLength(2)
  await ledger.close()
})

test('one of several who ask the same leaves without stopping the others; the last to leave stops the request', async () => {
  const model = scriptedModel(1, 0, 30)
  const { ledger, asker } = await site({ model, timeoutMs: 1e7 })
  const stops = [new AbortController(), new AbortController()]
  const [leaver, stayer] = stops.map(({ signal }) => endOf(asker.ask(requestOf('same'), signal)))
  stops[0].abort()
  expect(await leaver).toMatchObject({ facts: { kind: 'stopped' } })
  expect(await stayer).toMatchObject({ reply: replyTo(requestOf('same')) })

  const both = stops.map(() => new AbortController())
  const ends = both.map(({ signal }) => endOf(asker.ask(requestOf('other'), signal)))
  while (model.served.length < 2) await delay(1)
  for (const stop of both) stop.abort()
  for (const end of await Promise.all(ends)) expect(end).toMatchObject({ facts: { kind: 'stopped' } })
  expect(ledger.account('run').reserved).toBe(0)
  await ledger.close()
})

test('an ask that is stopped before it is sent costs nothing, one that is stopped later counts as paid', async () => {
  const model = scriptedModel(1, 0, 1000)
  const { ledger, path, asker } = await site({ model, concurrency: 1, timeoutMs: 1e7 })
  await expect(asker.ask(requestOf('never'), AbortSignal.abort())).rejects.toMatchObject({
    facts: { kind: 'stopped', maybePaid: false },
  })
  const stop = new AbortController()
  const [sent, waiting] = ['sent', 'waiting'].map((content) => endOf(asker.ask(requestOf(content), stop.signal)))
  while (model.served.length === 0) await delay(1)
  stop.abort()
  expect(await sent).toMatchObject({ facts: { kind: 'stopped', maybePaid: true } })
  expect(await waiting).toMatchObject({ facts: { kind: 'stopped', maybePaid: false } })
  const most = costOf({ promptTokens: 16 + 'sent'.length, completionTokens: 50 }, price)
  expect(ledger.account('run')).toEqual({ settled: most, reserved: 0 })
  await ledger.close()
  const records = []
  for await (const record of readLedger(path)) records.push(record)
  expect(records).toMatchObject([{ type: 'intent' }, { type: 'failure', kind: 'stopped', maybePaid: true }])
})

test('a model that never answers and does not heed its signal ends in time, once for each attempt', async () => {
  const model: ChatModel = {
    name: 'fake:deaf',
    model: 'deaf',
    hasLogprobs: null,
    complete: () => new Promise(() => {}),
  }
  const { ledger, asker } = await site({
    model,
    timeoutMs: 1000,
    retry: { attempts: 3, baseMs: 1, maxBackoffMs: 1, maxRetryAfterMs: 1, seed: 0 },
  })
  await expect(asker.ask(requestOf('?'), never)).rejects.toMatchObject({
    facts: { kind: 'timeout', maybePaid: true, isTransient: false },
  })
  const most = costOf({ promptTokens: 17, completionTokens: 50 }, price)
  expect(ledger.account('run')).toEqual({ settled: 3 * most, reserved: 0 })
  await ledger.close()
})

test('a plan tells what would be sent and what it may cost, and sends nothing', async () => {
  const model = scriptedModel(1, 0)
  const { ledger, asker } = await site({ model })
  await asker.ask(requestOf('known'), never)
  const most = { promptTokens: 16 + 'unknown'.length, completionTokens: 50 }
  const requests = ['known', 'unknown', 'unknown'].map((content) => requestOf(content))
  expect(asker.plan(requests)).toEqual({ requests: 2, cached: 1, ...most, cost: toDollars(costOf(most, price)) })
  expect(model.served).toHaveLength(1)
  await ledger.close()
})

test('without a price there is no cap, and costs are unknown rather than nothing', async () => {
  const model = scriptedModel(1, 0)
  const { ledger, asker } = await site({ model, price: null })
  const limits = createLimits({ concurrency: 1, requestsPerMinute: null, tokensPerMinute: null })
  const capped = {
    model,
    price: null,
    ledger,
    limits,
    budget: createBudget(ledger, 'run', 1),
    purpose: '',
    promptVersion: '',
  }
  expect(() => createAsker(capped)).toThrow('fake:scripted-1')
  expect((await asker.ask(requestOf('a'), never)).cost).toBeNull()
  expect((await asker.ask(requestOf('a'), never)).cost).toBe(0)
  expect(asker.plan([requestOf('b')]).cost).toBeNull()
  await ledger.close()
})

test('a reply whose tokens are not told costs what was reserved', async () => {
  const told = scriptedModel(1, 0)
  const model: ChatModel = { ...told, complete: async (request) => ({ ...replyTo(request), promptTokens: -1 }) }
  const { ledger, asker } = await site({ model })
  const { cost } = await asker.ask(requestOf('?'), never)
  expect(cost).toBe(toDollars(costOf({ promptTokens: 17, completionTokens: 50 }, price)))
  await ledger.close()
})

test('the intent stands in the file when the model is asked, and the outcome when the reply is used', async () => {
  const path = join(freshFolder(), 'ledger.jsonl')
  const typesNow = (): string[] =>
    existsSync(path) ? Array.from(readFileSync(path, 'utf8').matchAll(/"type":"(\w+)"/g), ([, type]) => type) : []
  let atSending: string[] = []
  const model: ChatModel = {
    ...scriptedModel(1, 0),
    complete: async (request) => {
      atSending = typesNow()
      return replyTo(request)
    },
  }
  const { ledger, asker } = await site({ model, path })
  await asker.ask(requestOf('?'), never)
  expect(typesNow()).toEqual(['intent', 'reply'])
  expect(atSending).toEqual(['intent'])
  await ledger.close()
})
