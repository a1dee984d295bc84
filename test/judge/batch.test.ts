/** Judging by batch APIs, with the vendors' own libraries against a server of both: what is asked, paid, kept, resumed. */
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import type { JudgeEvent } from '../../src/data/judge-events.ts'
import { createAsker } from '../../src/judge/ask.ts'
import type { Batches } from '../../src/judge/batch.ts'
import { createBatchQueue } from '../../src/judge/batch-queue.ts'
import { createBudget } from '../../src/judge/budget.ts'
import type { ChatRequest } from '../../src/judge/chat.ts'
import { type Clock, systemClock } from '../../src/judge/clock.ts'
import { ledgerPath, openLedger } from '../../src/judge/ledger.ts'
import { createLimits } from '../../src/judge/limits.ts'
import { createChatModel } from '../../src/judge/provider.ts'
import { evalJudge } from '../../src/recipe/eval-judge.ts'
import { judgeFile } from '../../src/recipe/judge.ts'
import { judgeSchema } from '../../src/recipe/judge-settings.ts'
import type { World } from '../../src/recipe/world.ts'
import { folderMaker } from '../folders.ts'
import { isSlow } from '../slow.ts'
import { labelSteps, seeQuestion } from './answers.ts'
import { type BatchServer, type BatchServerOptions, type Fate, startBatchServer } from './batch-server.ts'
import type { Asked } from './protocols.ts'

const freshFolder = folderMaker()
const KEY = 'sk-canary-9c41aa07e5'
const ROWS = 8

/** Seconds are milliseconds; what gathers waits a little longer, for a busy machine. */
const clock: Clock = {
  milliseconds: () => systemClock.milliseconds() * 1000,
  sleep: (delayMs, signal) => systemClock.sleep(Math.max(5, delayMs / 1000), signal),
}

const prices = join(freshFolder(), 'prices.yaml')
writeFileSync(
  prices,
  'gpt-4o: { input: 30, output: 60, batch: 0.5 }\nclaude-opus-4-1: { input: 30, output: 60, batch: 0.5 }\n',
)
const data = join(freshFolder(), 'rows.json')
writeFileSync(
  data,
  JSON.stringify(
    Array.from({ length: ROWS }, (_, index) => {
      const label = (index % 4) - 1
      const steps = ['a b c', 'd e f', 'g h i'].map((text, at) => `${index} ${text}${at === label ? ' wrong' : ''}`)
      return { id: `row-${index}`, problem: `Problem ${index}`, steps, final_answer_correct: label === -1, label }
    }),
  ),
)

const vendors = ['openai:gpt-4o', 'anthropic:claude-opus-4-1'] as const
type Vendor = (typeof vendors)[number]

const open: { close(): Promise<void> }[] = []
afterAll(() => Promise.all(open.map((server) => server.close())))

const answer = (asked: Asked): string =>
  labelSteps(seeQuestion(asked), (step) => (step.includes('wrong') ? 'incorrect' : 'correct'))

async function serve(options: BatchServerOptions = {}): Promise<BatchServer> {
  const server = await startBatchServer({ key: KEY, answer, ...options })
  open.push(server)
  return server
}

interface Run {
  readonly cache: string
  readonly out: string
  readonly settings?: Readonly<Record<string, unknown>>
  readonly signal?: AbortSignal
}

const freshRun = (): Run => ({ cache: freshFolder(), out: freshFolder() })

function worldOf({ cache, signal = new AbortController().signal }: Run): World {
  return {
    now: () => new Date(),
    seconds: () => performance.now() / 1000,
    environment: { STEPDPO_CACHE: cache, OPENAI_API_KEY: KEY, ANTHROPIC_API_KEY: KEY },
    signal,
    clock,
  }
}

const settingsOf = (vendor: Vendor, url: string, { out, settings }: Run) =>
  judgeSchema.parse({
    reward_model: [`${vendor}@${url}/v1`],
    prices,
    dataset_path: data,
    output_dir: out,
    batch_api: true,
    few_shot: 'none',
    ...settings,
  })

async function judge(vendor: Vendor, server: { readonly url: string }, run: Run): Promise<JudgeEvent[]> {
  const events: JudgeEvent[] = []
  for await (const event of judgeFile(settingsOf(vendor, server.url, run), worldOf(run))) events.push(event)
  return events
}

const ofType = <T extends JudgeEvent['type']>(events: readonly JudgeEvent[], type: T) =>
  events.filter((event): event is Extract<JudgeEvent, { type: T }> => event.type === type)

const requestOf = (content: string, maxTokens: number): ChatRequest => ({
  messages: [{ role: 'user', content }],
  schema: null,
  maxTokens,
  temperature: 0,
  topP: null,
  seed: null,
  topLogprobs: 0,
  sample: 0,
})

const endOf = (events: readonly JudgeEvent[]) => ofType(events, 'judging-end')[0]

// Labels −1, 0, 1, 2 twice each: 3 + 1 + 2 + 3 of 3 steps scored.
const CALM = { scored: 18, abstained: 6, failed: 0 }

const billOf = (server: BatchServer): number => {
  const { prompt, completion } = server.tokens()
  return (15 * prompt + 30 * completion) / 1e6 // half of 30 and 60 dollars
}

describe.each(vendors)('%s', (vendor) => {
  const isOpenai = vendor.startsWith('openai')
  /** What does not depend on the vendor. */
  const sampled = test.skipIf(!isSlow && !isOpenai)
  const resultRoute = isOpenai ? 'GET /v1/files/ID/content' : 'GET /v1/messages/batches/ID/results'
  const createRoute = isOpenai ? 'POST /v1/batches' : 'POST /v1/messages/batches'

  test('a file is judged by one job at half the price, nothing is asked directly or again, and no key is written', async () => {
    const server = await serve()
    const run = freshRun()
    const direct = { ...run, settings: { batch_api: false, dry_run: true } }
    const [asked] = ofType(await judge(vendor, server, direct), 'judging-planned')
    const [planned] = ofType(await judge(vendor, server, { ...run, settings: { dry_run: true } }), 'judging-planned')
    expect(planned.plans[0].cost).toBeCloseTo((asked.plans[0].cost ?? 0) / 2, 9)
    expect(server.routes).toEqual([])

    const events = await judge(vendor, server, run)
    expect(endOf(events)).toMatchObject({ steps: CALM, maybeSpent: 0 })
    expect(endOf(events).spent).toBeCloseTo(billOf(server), 9)
    expect(server.charged).toHaveLength(ROWS)
    expect(server.routes.filter((route) => route === createRoute)).toHaveLength(1)
    expect(server.routes.filter((route) => /completions|messages$/.test(route))).toEqual([])
    const updates = ofType(events, 'batch-updated')
    expect(updates.map(({ state }) => state)).toEqual(['created', 'running', 'ended'])
    expect(updates[2]).toMatchObject({ requests: ROWS, completed: ROWS, failed: 0 })

    const files = [run.cache, run.out].flatMap((folder) =>
      readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()),
    )
    expect(files.length).toBeGreaterThanOrEqual(4)
    const written = files.map((file) => readFileSync(join(file.parentPath, file.name), 'utf8'))
    for (const text of [...written, ...server.received.map(({ body }) => body)]) expect(text).not.toContain(KEY)

    // Another folder, without the batch API: the same questions have the same keys.
    const before = server.routes.length
    const other = await judge(vendor, server, { ...run, out: freshFolder(), settings: { batch_api: false } })
    expect(endOf(other)).toMatchObject({ steps: CALM, spent: 0 })
    expect(server.routes.length).toBe(before)
    const replayed = { ...freshRun(), settings: { reward_model: [`replay:${ledgerPath(run.cache)}`] } }
    await expect(judge(vendor, server, replayed)).rejects.toThrow(/--batch_api: replay:.* has no batch API/)
  })

  test('a process that dies at any moment is followed by one that pays nothing a second time', async () => {
    const moments: { cache: string; jobs: BatchServer['jobs']; charged: number; route: string; moment: string }[] = []
    const run = freshRun()
    const server = await serve({
      at: (route, moment) => {
        const cache = freshFolder()
        mkdirSync(dirname(ledgerPath(cache)))
        cpSync(ledgerPath(run.cache), ledgerPath(cache))
        moments.push({ cache, jobs: [...server.jobs], charged: server.charged.length, route, moment })
      },
    })
    await judge(vendor, server, run)
    const isSampled = { [createRoute]: ['before', 'after'], [resultRoute]: ['after'] }
    const deaths = moments.filter(({ route, moment }) => isSlow || isSampled[route]?.includes(moment))
    expect(deaths.length).toBeGreaterThanOrEqual(3)
    for (const { cache, jobs, charged, route } of deaths) {
      server.jobs.splice(0, server.jobs.length, ...jobs)
      server.charged.length = charged
      rmSync(join(run.out, 'judgements.jsonl'))
      const end = endOf(await judge(vendor, server, { ...run, cache }))
      expect(end.steps).toEqual(CALM)
      expect(server.charged.length).toBe(ROWS)
      expect(server.jobs.length).toBe(1)
      // Of a job that was noted and never came to the vendor nobody knows.
      const isUnknown = route === createRoute && charged === 0
      expect(end.maybeSpent > 0).toBe(isUnknown)
    }
  })

  sampled('a job whose reply is lost is found in the vendor\u2019s list, and not made a second time', async () => {
    let isLost = false
    const server = await serve({
      tamper: (route, body) => {
        if (isLost || route !== createRoute) return body
        isLost = true
        return null
      },
    })
    const end = endOf(await judge(vendor, server, freshRun()))
    expect(end).toMatchObject({ steps: CALM, maybeSpent: 0 })
    expect(end.spent).toBeCloseTo(billOf(server), 9)
    expect(server.jobs).toHaveLength(1)
  })

  sampled(
    'each request has its own end: what expired is asked again, what was cancelled waits for the next run',
    async () => {
      const fates: readonly Fate[] = ['answered', 'expired', 'cancelled', 'server-error', 'absent']
      const server = await serve({
        fate: (asked, attempt) => {
          const row = Number(/Problem (\d)/.exec(asked.question)?.[1])
          return attempt === 0 ? (fates[row] ?? 'answered') : 'answered'
        },
      })
      const run = freshRun()
      const end = endOf(await judge(vendor, server, run))
      // Solutions of three steps each: the cancelled one and the absent one.
      expect(end.failures).toEqual({ stopped: 3, 'malformed-reply': 3 })
      expect(server.jobs.map(({ lines }) => lines.length).reduce((sum, count) => sum + count)).toBe(ROWS + 2)
      // The server's error and the absent reply count with all that they may cost, the others with nothing.
      expect(end.spent).toBeGreaterThan(billOf(server) + 2 * 0.03 * 2.048)
      const again = endOf(await judge(vendor, server, run))
      expect(again.failures).toEqual({ 'malformed-reply': 3 })
      expect(server.jobs[0].lines).toHaveLength(1)
      const retried = endOf(await judge(vendor, server, { ...run, settings: { retry_errors: true } }))
      expect(retried.steps).toEqual(CALM)
    },
  )

  sampled('a refusal is learnt: the next job asks in the form that the model knows', async () => {
    const server = await serve({ refuses: ['json_schema', 'temperature'] })
    const end = endOf(await judge(vendor, server, freshRun()))
    expect(end.steps).toEqual(CALM)
    expect(server.charged).toHaveLength(ROWS)
    expect(end.spent).toBeCloseTo(billOf(server), 9)
  })

  sampled(
    'results that are cut are read again; unknown and repeated lines count for nothing, another model is a failure',
    async () => {
      let readings = 0
      const server = await serve({
        tamper: (route, body) => {
          if (route !== resultRoute) return body
          readings++
          if (readings === 1) return null // the connection ends
          const lines = body.trimEnd().split('\n')
          if (readings === 2) return lines.slice(1).join('\n').slice(0, -20) // one is left out, one cut
          const other = lines[0].replace(/"model":"[^"]*"/, '"model":"gpt-3.5-turbo"')
          const stranger = lines[1].replace(/"custom_id":"[^"]*"/, '"custom_id":"__proto__"')
          return [stranger, '<html>', 'null', other, ...lines.slice(1), lines[1]].join('\n')
        },
      })
      const end = endOf(await judge(vendor, server, freshRun()))
      expect(end.failures).toEqual({ 'wrong-model': 3 })
      expect(end.steps.scored + end.steps.abstained).toBe(24 - 3)
      expect(server.jobs).toHaveLength(1)
      expect(server.charged).toHaveLength(ROWS)
    },
  )

  test.runIf(isSlow)(
    'where the results are a page of HTML, nothing is given up: the same command takes them later',
    async () => {
      let isDown = true
      const server = await serve({
        tamper: (route, body) => (isDown && route === resultRoute ? '<html>Bad gateway</html>' : body),
      })
      const run = freshRun()
      await expect(judge(vendor, server, run)).rejects.toThrow(/hold no answer to any of its 8 requests/)
      isDown = false
      const end = endOf(await judge(vendor, server, run))
      expect(end).toMatchObject({ steps: CALM, maybeSpent: 0 })
      expect(server.charged).toHaveLength(ROWS)
    },
  )

  sampled(
    'who stops leaves the job running: a direct run is refused, and the same command takes its results',
    async () => {
      const stop = new AbortController()
      const server = await serve({
        polls: 3,
        at: (route) => {
          if (/batches\/ID$/.test(route)) stop.abort()
        },
      })
      const run = freshRun()
      const events = await judge(vendor, server, { ...run, signal: stop.signal })
      expect(events.at(-1)).toMatchObject({ type: 'judging-stopped', done: 0 })
      expect(ofType(events, 'batch-updated').at(-1)?.state).toBe('left')
      const direct = { ...run, settings: { batch_api: false } }
      await expect(judge(vendor, server, direct)).rejects.toThrow(/a batch with 8 requests of this run is open/)
      const end = endOf(await judge(vendor, server, run))
      expect(end).toMatchObject({ steps: CALM, maybeSpent: 0 })
      expect(end.spent).toBeCloseTo(billOf(server), 9)
      expect(server.jobs).toHaveLength(1)
    },
  )

  sampled(
    'a cap is never passed: what it holds back is asked when less was spent, or is a budget failure',
    async () => {
      const server = await serve()
      const [planned] = ofType(
        await judge(vendor, server, { ...freshRun(), settings: { dry_run: true } }),
        'judging-planned',
      )
      const each = (planned.plans[0].cost ?? 0) / ROWS
      const max_cost = 2.5 * each
      const end = endOf(await judge(vendor, server, { ...freshRun(), settings: { max_cost } }))
      expect(server.jobs.at(-1)?.lines).toHaveLength(2)
      expect(end.spent).toBeLessThanOrEqual(max_cost)
      expect(end.spent).toBeCloseTo(billOf(server), 9)
      expect(Object.keys(end.failures)).toEqual(server.charged.length === ROWS ? [] : ['budget'])
      const poor = endOf(await judge(vendor, server, { ...freshRun(), settings: { max_cost: each / 2 } }))
      expect(poor).toMatchObject({ failures: { budget: 3 * ROWS }, spent: 0 })
    },
  )

  sampled('a server without such an API is named, and nothing is owed', async () => {
    const server = await serve({ isBare: true })
    const run = freshRun()
    await expect(judge(vendor, server, run)).rejects.toThrow(/has no batch API here, leave --batch_api out/)
    const end = endOf(await judge(vendor, server, { ...run, settings: { batch_api: false } }))
    expect(end).toMatchObject({ failures: { 'refused-request': 3 * ROWS }, spent: 0, maybeSpent: 0 })
  })
})

test('a job has no more requests and bytes than the vendor takes, and all of one shape', async () => {
  const server = await serve({ answer: undefined })
  const model = createChatModel(
    { kind: 'chat', provider: 'openai', model: 'gpt-4o', baseUrl: `${server.url}/v1` },
    { environment: { OPENAI_API_KEY: KEY } },
  )
  const ledger = await openLedger(ledgerPath(freshFolder()), { now: () => new Date() })
  const budget = createBudget(ledger, 'run', null)
  const limits = createLimits({ concurrency: 1, requestsPerMinute: null, tokensPerMinute: null })
  const { signal } = new AbortController()
  /** The sizes of the jobs for six questions of one size, the last of another shape. */
  const jobsOf = async (limit: Partial<Batches>, promptVersion: string): Promise<number[]> => {
    const before = server.jobs.length
    const batches: Batches = { ...model.batches!, ...limit }
    const site = { name: model.name, batches, ledger, run: 'run', clock, signal, tell: () => {} }
    const common = { model, price: null, ledger, budget, limits, purpose: 'test', promptVersion }
    const asker = createAsker({ ...common, batches: createBatchQueue(site) })
    const asks = Array.from({ length: 6 }, (_, at) => asker.ask(requestOf(`question ${at}`, at < 5 ? 50 : 60), signal))
    await Promise.all(asks)
    return server.jobs
      .slice(0, server.jobs.length - before)
      .map(({ lines }) => lines.length)
      .reverse()
  }
  expect(await jobsOf({}, 'a')).toEqual([5, 1])
  expect(await jobsOf({ maxRequests: 2 }, 'b')).toEqual([2, 2, 1, 1])
  const size = model.batches!.write('k'.repeat(64), requestOf('question 0', 50), model.batches!.accepted()).length + 1
  expect(await jobsOf({ maxBytes: 3 * size }, 'c')).toEqual([3, 2, 1])
  expect(await jobsOf({ maxBytes: 3 * size - 1 }, 'd')).toEqual([2, 2, 1, 1])
  await ledger.close()
})

test('a job that is too large for the vendor is halved, and a judge is measured by it, with votes', async () => {
  const server = await serve({ room: 5, answer: undefined })
  const run = { ...freshRun(), settings: { votes: 2, judge_mode: 'step', limit: 3 } }
  const events = evalJudge(settingsOf('openai:gpt-4o', server.url, run), worldOf(run))
  let next = await events.next()
  while (!next.done) next = await events.next()
  const { erroneous, correct } = next.value?.report.firstErrors ?? {}
  expect([erroneous?.noVerdict, correct?.noVerdict]).toEqual([0, 0])
  // Three solutions, three steps, two votes.
  expect(server.charged).toHaveLength(18)
  expect(server.jobs.map(({ lines }) => lines.length)).toEqual([4, 5, 4, 7, 5, 9, 18])
})
