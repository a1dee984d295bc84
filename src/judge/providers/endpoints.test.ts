/** Several servers of one model: who is asked, who rests, what is final, and what is said of whom. */
import { setMaxListeners } from 'node:events'
import { afterAll, expect, test } from 'vitest'
import type { Fault } from '../../../test/judge/faults.ts'
import { type FakeServer, startServer } from '../../../test/judge/server.ts'
import type { ChatRequest } from '../chat.ts'
import { ChatError, type ChatErrorFacts } from '../chat.ts'
import { systemClock } from '../clock.ts'
import { createLimits } from '../limits.ts'
import { createChatModel, parseJudgeName } from '../provider.ts'
import { sendUntilReply } from '../resend.ts'
import { DEFAULT_RETRY } from '../retry.ts'
import { send } from '../send.ts'
import { createEndpoints, REST_MS } from './endpoints.ts'

const request = (content: string): ChatRequest => ({
  messages: [{ role: 'user', content }],
  schema: null,
  maxTokens: 20,
  temperature: 0,
  topP: null,
  seed: null,
  topLogprobs: 0,
  sample: 0,
})

const started: FakeServer[] = []
afterAll(() => Promise.all(started.map((server) => server.close())))

async function serve(count: number): Promise<FakeServer[]> {
  const servers = await Promise.all(Array.from({ length: count }, () => startServer({ latencyMs: 5 })))
  started.push(...servers)
  return servers
}

function modelOf(addresses: readonly string[], timeoutMs = 10_000) {
  const name = parseJudgeName(`vllm:llama@${addresses.join(',')}`)
  if (name.kind !== 'chat') throw new Error('no chat model')
  return createChatModel(name, { environment: {}, timeoutMs })
}

const addressOf = ({ url }: FakeServer): string => `${url}/v1`

/** Asks as judges do: within limits, again where that helps. `pauses` are those that all had to keep. */
function askerOf(servers: readonly FakeServer[], timeoutMs?: number) {
  const model = modelOf(servers.map(addressOf), timeoutMs)
  const limits = createLimits({ concurrency: 9, requestsPerMinute: null, tokensPerMinute: null }, systemClock)
  const pauses: number[] = []
  const { signal } = new AbortController()
  setMaxListeners(0, signal)
  const options = {
    retry: { ...DEFAULT_RETRY, baseMs: 1 },
    clock: systemClock,
    signal,
    limits: {
      ...limits,
      pause: (delayMs: number) => {
        if (delayMs > 0) pauses.push(delayMs)
        limits.pause(delayMs)
      },
    },
  }
  const ask = (label: string) =>
    sendUntilReply({ ...options, label }, async () => {
      const slot = await options.limits.enter(1, signal)
      const result = await send({ model, timeoutMs: 10_000, clock: systemClock }, request(label), signal)
      slot.leave(null)
      return result
    })
  return {
    ask,
    pauses,
    askAll: (round: string, count: number) =>
      Promise.all(Array.from({ length: count }, (_, at) => ask(`${round} ${at}`))),
  }
}

const always = (fault: Fault): Fault[] => Array<Fault>(500).fill(fault)
const failureOf = (asking: Promise<unknown>): Promise<ChatError> =>
  asking.then(
    () => Promise.reject(new Error('a reply came')),
    (error: unknown) => (error instanceof ChatError ? error : Promise.reject(error)),
  )

test('three servers share the requests, one that dies is left out, and every request is answered and paid once', async () => {
  const servers = await serve(3)
  const { askAll } = askerOf(servers)
  const countsNow = () => servers.map(({ served }) => served.length)
  await askAll('all', 9)
  expect(countsNow()).toEqual([3, 3, 3])
  await servers[1].close()
  await askAll('two', 9)
  const counts = countsNow()
  expect(counts[1]).toBe(3)
  expect(counts[0] + counts[2]).toBe(15)
  const charged = servers.flatMap(({ served }) => served.filter(({ isCharged }) => isCharged))
  expect(new Set(charged.map(({ question }) => question)).size).toBe(charged.length)
})

test.each<Fault>([
  ...(['400', '401', '402', '403', '404', '422', '529', '429-huge', '429-quota'] as const),
  ...(['html', 'empty-object', 'missing-usage', 'wrong-model', '500', 'reset-before-headers'] as const),
])(
  'one server that always answers %s loses no request, and is asked no more than once by each under way',
  async (fault) => {
    const [good, bad] = await serve(2)
    bad.script(always(fault))
    const { askAll, pauses } = askerOf([bad, good])
    await expect(askAll('x', 60)).resolves.toHaveLength(60)
    expect(good.served).toHaveLength(60)
    expect(bad.served.length).toBeGreaterThan(0)
    expect(bad.served.length).toBeLessThanOrEqual(9)
    expect(pauses).toEqual([])
  },
)

test('a server that hangs is left out once its time is over', async () => {
  const [good, bad] = await serve(2)
  bad.script(always('hang'))
  const { askAll } = askerOf([bad, good], 1000)
  await askAll('x', 40)
  expect(good.served).toHaveLength(40)
  expect(bad.served.length).toBeLessThanOrEqual(9)
})

test('what two servers refuse is final, a third is not asked, and nobody rests for it', async () => {
  const servers = await serve(3)
  const { ask, askAll } = askerOf(servers)
  servers[0].script(['400'])
  servers[1].script(['400'])
  const error = await failureOf(ask('wrong'))
  expect(error.facts).toMatchObject({ kind: 'refused-request', isTransient: false, maybePaid: false })
  expect(servers.map(({ served }) => served.length)).toEqual([1, 1, 0])
  await askAll('right', 9)
  expect(servers.map(({ served }) => served.length >= 3)).toEqual([true, true, true])
})

test('a failure is final when all said so, and names each address with what it said', async () => {
  const servers = await serve(3)
  servers[0].script(['404'])
  servers[1].script(['401'])
  servers[2].script(['403'])
  const error = await failureOf(askerOf(servers).ask('x'))
  expect(error.facts).toMatchObject({ isTransient: false, maybePaid: false })
  const said = ['HTTP 404: no such model', 'HTTP 401: invalid key', 'HTTP 403: not for you']
  const whys = said.map((words, at) => `vllm:llama@${addressOf(servers[at])}: ${words}`)
  expect(error.message).toBe(whys.join('; '))
  expect(error.facts.byAddress).toEqual(
    ['refused-request', 'unauthorized', 'unauthorized'].map((kind, at) => {
      return { address: addressOf(servers[at]), kind, why: whys[at] }
    }),
  )
})

test('a server that is down may come back: what the other refuses for good is not final before', async () => {
  const [bad, down] = await serve(2)
  bad.script(always('404'))
  await down.close()
  const error = await failureOf(askerOf([bad, down]).ask('x'))
  expect(error.message).toContain(`${addressOf(bad)}: HTTP 404`)
  expect(error.message).toContain(`${addressOf(down)}: no reply (ECONNREFUSED)`)
  expect(error.message).toContain('given up after 6 attempts')
  const back = await startServer({ port: Number(new URL(down.url).port) })
  started.push(back)
  await askerOf([bad, down]).ask('y')
  expect(back.served).toHaveLength(1)
})

test('where all say 429, all wait until the first of them wants to be asked', async () => {
  const servers = await serve(2)
  servers[0].script(['429-seconds'])
  servers[1].script(['429-ms'])
  const { ask, pauses } = askerOf(servers)
  await ask('x')
  expect(pauses).toHaveLength(1)
  expect(pauses[0]).toBeGreaterThan(0)
  expect(pauses[0]).toBeLessThanOrEqual(20)
  expect(servers.map(({ served }) => served.length)).toEqual([1, 2])
})

test('what is known of several servers does not depend on which they are, nor is it that of one', () => {
  const [a, b, c] = ['http://a:1/v1', 'http://b:1/v1', 'http://c:1/v1']
  expect(modelOf([a, b]).name).toBe(modelOf([c, a]).name)
  expect(modelOf([a]).name).not.toBe(modelOf([a, b]).name)
  expect(modelOf([a, a]).name).toBe(modelOf([a]).name)
  expect(modelOf([a, b]).batches).toBeUndefined()
  expect([modelOf([a, b]).addresses, modelOf([a]).addresses]).toEqual([[a, b], undefined])
})

/** Endpoints without a network: `ask` gives who was asked, in their order. */
function imagined(baseUrls: readonly string[], now: () => number) {
  const endpoints = createEndpoints(
    baseUrls.map((baseUrl) => ({ baseUrl })),
    now,
  )
  return async (failures: Readonly<Record<string, Partial<ChatErrorFacts>>> = {}) => {
    const asked: string[] = []
    const end = await endpoints
      .ask(async ({ baseUrl }) => {
        asked.push(baseUrl)
        if (failures[baseUrl] === undefined) return 'reply'
        const facts = { kind: 'server-error', isTransient: true, maybePaid: false, ...failures[baseUrl] } as const
        throw new ChatError(baseUrl, facts)
      })
      .catch((error: unknown) => error)
    return { asked: asked.join(''), end: end instanceof ChatError ? end.facts : end }
  }
}

test('a server that failed is asked again after its rest, and before it where all others rest too', async () => {
  let now = 0
  const ask = imagined(['a', 'b'], () => now)
  expect((await ask({ a: {} })).asked).toBe('ab')
  expect((await ask()).asked).toBe('b')
  now = 1
  expect((await ask({ b: { maybePaid: true } })).asked).toBe('b')
  now = 2
  expect((await ask({ a: {} })).asked).toBe('a') // it wakes first
  now = REST_MS + 1
  expect((await ask()).asked).toBe('b')
})

test('a server that says 429 rests for as long as it says, without a word on it for a second', async () => {
  let now = 0
  const ask = imagined(['a', 'b'], () => now)
  expect(await ask({ a: { kind: 'rate-limit', retryAfterMs: 5000 } })).toEqual({ asked: 'ab', end: 'reply' })
  now = 4999
  expect((await ask()).asked).toBe('b')
  now = 5000
  expect(await ask({ a: { kind: 'rate-limit' } })).toEqual({ asked: 'ab', end: 'reply' })
  now = 6000
  expect((await ask()).asked).toBe('a')
})

test('a server that answers while it rests is awake again', async () => {
  const ask = imagined(['a', 'b'], () => 0)
  await ask({ a: {}, b: {} })
  expect((await ask()).asked).toBe('a')
  expect([(await ask()).asked, (await ask()).asked]).toEqual(['a', 'a'])
})

test('what may have been paid is not asked of another before the money for it is put by', async () => {
  const ask = imagined(['a', 'b'], () => 0)
  const { asked, end } = await ask({ a: { kind: 'wrong-model', isTransient: false, maybePaid: true } })
  expect(asked).toBe('a')
  expect(end).toMatchObject({ kind: 'wrong-model', isTransient: true })
  const second = await ask({ b: { kind: 'wrong-model', isTransient: false, maybePaid: true } })
  expect(second).toMatchObject({ asked: 'b', end: { kind: 'wrong-model', isTransient: false } })
})

test('an answer that says nothing of the server neither leaves it out nor goes to another', async () => {
  const ask = imagined(['a', 'b'], () => 0)
  const usage = { promptTokens: 1, completionTokens: 1 }
  for (const facts of [
    { kind: 'content-filter', isTransient: false, maybePaid: true },
    { kind: 'truncated', isTransient: false, maybePaid: true, usage },
    { kind: 'malformed-reply', isTransient: true, maybePaid: true, usage },
  ] as const) {
    expect((await ask({ a: facts, b: facts })).asked).toHaveLength(1)
  }
  expect([(await ask()).asked, (await ask()).asked].sort()).toEqual(['a', 'b'])
})

test('a server that wants to be left alone is not woken for what another refuses, and only that request waits', async () => {
  const ask = imagined(['a', 'b'], () => 0)
  await ask({ a: { kind: 'rate-limit', retryAfterMs: 5000 } })
  const { asked, end } = await ask({ b: { kind: 'unauthorized', isTransient: false } })
  expect(asked).toBe('b')
  expect(end).toMatchObject({ kind: 'rate-limit', isTransient: true, retryAfterMs: 5000 })
})
