import { afterAll, expect, test } from 'vitest'
import { type FakeServer, startServer } from '../../../test/judge/server.ts'
import type { ChatRequest } from '../chat.ts'
import { ChatError } from '../chat.ts'
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

const servers: FakeServer[] = await Promise.all([1, 2, 3].map(() => startServer({ latencyMs: 5 })))
afterAll(() => Promise.all(servers.map((server) => server.close())))

function modelOf(addresses: readonly string[]) {
  const name = parseJudgeName(`vllm:m@${addresses.join(',')}`)
  if (name.kind !== 'chat') throw new Error('no chat model')
  return createChatModel(name, { environment: {} })
}

test('three servers share the requests, one that dies is left out, and every request is answered and paid once', async () => {
  const model = modelOf(servers.map(({ url }) => `${url}/v1`))
  const limits = createLimits({ concurrency: 9, requestsPerMinute: null, tokensPerMinute: null }, systemClock)
  const { signal } = new AbortController()
  const retry = { ...DEFAULT_RETRY, baseMs: 1 }
  const ask = (label: string) =>
    sendUntilReply({ label, retry, limits, clock: systemClock, signal }, () =>
      send({ model, timeoutMs: 10_000, clock: systemClock }, request(label), signal),
    )
  const askAll = (round: string) => Promise.all(Array.from({ length: 9 }, (_, at) => ask(`${round} ${at}`)))
  const countsBefore = () => servers.map(({ served }) => served.length)
  await askAll('all')
  expect(countsBefore()).toEqual([3, 3, 3])
  await servers[1].close()
  await askAll('two')
  const counts = countsBefore()
  expect(counts[1]).toBe(3)
  expect(counts[0] + counts[2]).toBe(15)
  const charged = servers.flatMap(({ served }) => served.filter(({ isCharged }) => isCharged))
  expect(new Set(charged.map(({ question }) => question)).size).toBe(charged.length)
})

test('what is known of several servers does not depend on which they are, nor is it that of one', () => {
  const [a, b, c] = ['http://a:1/v1', 'http://b:1/v1', 'http://c:1/v1']
  expect(modelOf([a, b]).name).toBe(modelOf([c, a]).name)
  expect(modelOf([a]).name).not.toBe(modelOf([a, b]).name)
  expect(modelOf([a, a]).name).toBe(modelOf([a]).name)
  expect(modelOf([a, b]).batches).toBeUndefined()
})

test('a server that failed is asked again after its rest, and before it where all others rest too', () => {
  let now = 0
  const endpoints = createEndpoints(['a', 'b'], () => now)
  const fail = () => endpoints.choose().leave('network')
  fail()
  expect(endpoints.choose().baseUrl).toBe('b') // and stays busy
  expect(endpoints.choose().baseUrl).toBe('b')
  now = 1
  fail() // b too
  const last = endpoints.choose()
  expect(last.baseUrl).toBe('a')
  last.leave()
  now = REST_MS
  expect(endpoints.choose().baseUrl).toBe('a')
})

test('an answer that says nothing of the server does not leave it out', () => {
  const endpoints = createEndpoints(['a', 'b'], () => 0)
  endpoints.choose().leave('content-filter')
  endpoints.choose().leave('rate-limit')
  expect([endpoints.choose().baseUrl, endpoints.choose().baseUrl]).toEqual(['a', 'b'])
})

test('a request that fails everywhere ends with its error', async () => {
  const model = modelOf(['http://127.0.0.1:9/v1', 'http://127.0.0.1:7/v1'])
  await expect(model.complete(request('x'), new AbortController().signal)).rejects.toThrow(ChatError)
})
