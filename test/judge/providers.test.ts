/** What comes over HTTP, with the vendors' own libraries and a server that fails as it is told. */
import { spawn } from 'node:child_process'
import { createServer, type Server } from 'node:net'
import { inspect } from 'node:util'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { ChatError, type ChatModel, type ChatRequest } from '../../src/judge/chat.ts'
import { createChatModel, parseJudgeName } from '../../src/judge/provider.ts'
import { program } from '../programs.ts'
import { type Fault, openEnded } from './faults.ts'
import { ALL_FAULTS, type FakeServer, type LocalOptions, startServer } from './server.ts'

const KEY = 'sk-canary-7Hq2+/zX9=wLm4Tn0bVc'
/** Nobody listens there: fetch itself would refuse the port 9. */
const nowhere = 'http://127.0.0.1:59'
const NEVER = new AbortController().signal

const REQUEST: ChatRequest = {
  messages: [
    { role: 'system', content: 'You check steps.' },
    { role: 'user', content: 'Step 1: 2 + 2 = 5' },
  ],
  schema: null,
  maxTokens: 200,
  temperature: 0,
  topP: null,
  seed: null,
  topLogprobs: 0,
  sample: 0,
}

const SCHEMA = {
  name: 'verdict',
  json: {
    type: 'object',
    properties: { why: { type: 'string' }, score: { type: 'number', minimum: 0, maximum: 1 } },
    required: ['why', 'score'],
    additionalProperties: false,
  },
}

function modelAt(url: string, name = 'openai:gpt-4o', timeoutMs = 2000): ChatModel {
  const parsed = parseJudgeName(`${name}@${url}/v1`)
  if (parsed.kind !== 'chat') throw new Error(`${name} is no chat model`)
  return createChatModel(parsed, { environment: { OPENAI_API_KEY: KEY, ANTHROPIC_API_KEY: KEY }, timeoutMs })
}

/** Asks until there is a reply, and gives it with the errors before. */
async function askAgain(model: ChatModel, request: ChatRequest) {
  const errors: ChatError[] = []
  for (;;) {
    try {
      return { reply: await model.complete(request, NEVER), errors }
    } catch (error) {
      if (!(error instanceof ChatError) || !error.facts.isTransient || errors.length > 5) throw error
      errors.push(error)
    }
  }
}

async function failureOf(promise: Promise<unknown>): Promise<ChatError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof ChatError)) throw new Error(`no ChatError: ${inspect(error)}`)
  return error
}

const open: FakeServer[] = []
async function serve(options: LocalOptions = {}): Promise<FakeServer> {
  const server = await startServer(options)
  open.push(server)
  return server
}
afterAll(() => Promise.all(open.map((server) => server.close())))

const providers = ['openai:gpt-4o', 'anthropic:claude-sonnet-4-5'] as const

describe.each(providers)('%s', (name) => {
  let server: FakeServer
  let model: ChatModel
  const isOpenai = name.startsWith('openai')
  beforeAll(async () => {
    server = await serve({ key: KEY, hangMs: 10_000 })
  })
  beforeEach(() => {
    model = modelAt(server.url, name)
  })

  test('a reply has the text, the counts and the model that the server sent, by one request', async () => {
    const before = server.served.length
    const reply = await model.complete(REQUEST, NEVER)
    const served = server.served.at(-1)
    expect(server.served.length).toBe(before + 1)
    expect(reply).toEqual({
      text: expect.stringMatching(/^The answer is \d+\.$/),
      form: 'text',
      model: name.split(':')[1],
      promptTokens: served?.promptTokens,
      completionTokens: served?.completionTokens,
      logprobs: null,
    })
  })

  test('the request holds what was asked, and no header but those of the protocol', async () => {
    await model.complete({ ...REQUEST, topP: 0.9, temperature: 0.7, seed: 5 }, NEVER)
    const { headers, body } = server.received.at(-1) ?? {}
    expect(body).toMatchObject({ model: model.model, temperature: 0.7, top_p: 0.9 })
    expect(body).toMatchObject(isOpenai ? { seed: 5, messages: REQUEST.messages } : { system: 'You check steps.' })
    const platform = ['host', 'connection', 'accept-language', 'sec-fetch-mode', 'user-agent', 'accept-encoding']
    const protocol = ['accept', 'content-type', 'content-length', 'authorization', 'x-api-key', 'anthropic-version']
    expect(Object.keys(headers ?? {}).filter((header) => ![...platform, ...protocol].includes(header))).toEqual([])
  })

  test('a schema is asked for as JSON schema where the server knows it', async () => {
    const { reply, errors } = await askAgain(model, { ...REQUEST, schema: SCHEMA })
    expect(errors).toEqual([])
    expect(reply.form).toBe('json-schema')
    expect(Object.keys(JSON.parse(reply.text))).toEqual(['why', 'score'])
  })

  const outcomes: { readonly [F in Fault]: Partial<ChatError['facts']> | null } = {
    '429-seconds': { kind: 'rate-limit', isTransient: true, maybePaid: false, retryAfterMs: 1000 },
    '429-zero': { kind: 'rate-limit', isTransient: true, retryAfterMs: 0 },
    '429-ms': { kind: 'rate-limit', isTransient: true, retryAfterMs: 20 },
    '429-date': { kind: 'rate-limit', isTransient: true, retryAfterMs: expect.any(Number) },
    '429-negative': { kind: 'rate-limit', isTransient: true },
    '429-huge': { kind: 'rate-limit', isTransient: true, retryAfterMs: 3e9 },
    '429-garbage': { kind: 'rate-limit', isTransient: true },
    '429-silent': { kind: 'rate-limit', isTransient: true },
    '429-quota': { kind: 'quota', isTransient: false, maybePaid: false },
    500: { kind: 'server-error', isTransient: true, maybePaid: true },
    502: { kind: 'server-error', isTransient: true, maybePaid: true },
    503: { kind: 'server-error', isTransient: true, maybePaid: false, retryAfterMs: 10 },
    529: { kind: 'server-error', isTransient: true, maybePaid: false },
    400: { kind: 'refused-request', isTransient: false, maybePaid: false },
    401: { kind: 'unauthorized', isTransient: false, maybePaid: false },
    402: { kind: 'quota', isTransient: false, maybePaid: false },
    403: { kind: 'unauthorized', isTransient: false, maybePaid: false },
    404: { kind: 'refused-request', isTransient: false, maybePaid: false },
    422: { kind: 'refused-request', isTransient: false, maybePaid: false },
    'reset-before-headers': { kind: 'network', isTransient: true, maybePaid: true },
    'reset-mid-header': { kind: 'network', isTransient: true, maybePaid: true },
    'reset-mid-body': { kind: 'truncated', isTransient: true, maybePaid: true },
    'fin-mid-body': { kind: 'truncated', isTransient: true, maybePaid: true },
    'fin-open-ended': { kind: 'truncated', isTransient: true, maybePaid: true },
    'fin-mid-chunk': { kind: 'truncated', isTransient: true, maybePaid: true },
    'fin-mid-gzip': { kind: 'truncated', isTransient: true, maybePaid: true },
    hang: { kind: 'timeout', isTransient: true, maybePaid: true },
    'slow-bytes': { kind: 'timeout', isTransient: true, maybePaid: true },
    html: { kind: 'malformed-reply', isTransient: true, maybePaid: true },
    'empty-object': { kind: 'malformed-reply', isTransient: true, maybePaid: true },
    empty: { kind: 'malformed-reply', isTransient: true, maybePaid: true },
    'not-utf8': { kind: 'malformed-reply', isTransient: true, maybePaid: true },
    'wrong-model': { kind: 'wrong-model', isTransient: false, maybePaid: true },
    'missing-usage': { kind: 'malformed-reply', isTransient: true, maybePaid: true },
    length: { kind: 'truncated', isTransient: false, maybePaid: true },
    'content-filter': { kind: 'content-filter', isTransient: false, maybePaid: true },
    'no-reason': { kind: 'malformed-reply', isTransient: true, maybePaid: true },
    oversized: { kind: 'malformed-reply', isTransient: true, maybePaid: true },
    'gzip-bomb': { kind: 'malformed-reply', isTransient: true, maybePaid: true },
    redirect: { kind: 'refused-request', isTransient: false, maybePaid: false },
  }

  test.each(ALL_FAULTS)('%s is a failure of its kind, by one request', async (fault) => {
    const isSlow = fault === 'hang' || fault === 'slow-bytes'
    const asked = isSlow ? modelAt(server.url, name, 150) : model
    const before = server.received.length
    server.script([fault])
    const { facts } = await failureOf(asked.complete({ ...REQUEST, schema: SCHEMA }, NEVER))
    const hasWait = outcomes[fault]?.retryAfterMs !== undefined
    expect(facts).toMatchObject(outcomes[fault] ?? {})
    expect('retryAfterMs' in facts).toBe(hasWait)
    expect(server.received.length).toBe(before + 1)
    // What the server charges for is never said to be free.
    if (server.served.at(-1)?.isCharged === true) expect(facts.maybePaid).toBe(true)
  })

  test('a reply that was cut at its length or filtered tells what it cost', async () => {
    for (const fault of ['length', 'content-filter', 'wrong-model', 'no-reason'] as const) {
      server.script([fault])
      const { facts } = await failureOf(model.complete(REQUEST, NEVER))
      const { promptTokens, completionTokens } = server.served.at(-1) ?? {}
      expect(facts.usage).toEqual({ promptTokens, completionTokens })
    }
  })

  test('after every fault the next request is answered', async () => {
    server.script(
      ALL_FAULTS.flatMap((fault) => (['hang', 'slow-bytes', 'gzip-bomb'].includes(fault) ? [] : [fault, null])),
    )
    for (const fault of ALL_FAULTS) {
      if (['hang', 'slow-bytes', 'gzip-bomb'].includes(fault)) continue
      await failureOf(model.complete(REQUEST, NEVER))
      expect((await model.complete(REQUEST, NEVER)).text).toMatch(/answer/)
    }
  })

  test('a stop before sending sends nothing; a stop on the way ends at once and may be paid', async () => {
    const before = server.received.length
    const early = await failureOf(model.complete(REQUEST, AbortSignal.abort()))
    expect(early.facts).toEqual({ kind: 'stopped', isTransient: false, maybePaid: false })
    expect(server.received.length).toBe(before)
    server.script(['hang'])
    const controller = new AbortController()
    setTimeout(() => controller.abort(), 50)
    const began = performance.now()
    const late = await failureOf(model.complete(REQUEST, controller.signal))
    expect(late.facts).toEqual({ kind: 'stopped', isTransient: false, maybePaid: true })
    expect(performance.now() - began).toBeLessThan(30_000)
  })

  test('a server that refuses JSON schemas is asked by a forced tool call, then as text; each once', async () => {
    const half = modelAt((await serve({ refuses: ['json_schema'] })).url, name)
    const first = await askAgain(half, { ...REQUEST, schema: SCHEMA })
    expect([first.reply.form, first.errors.map(({ facts }) => facts.kind)]).toEqual(['tool', ['refused-request']])
    expect(Object.keys(JSON.parse(first.reply.text))).toEqual(['why', 'score'])
    expect((await askAgain(half, { ...REQUEST, schema: SCHEMA })).errors).toEqual([])

    const refusing = await serve({ refuses: ['json_schema', 'tools'] })
    const none = modelAt(refusing.url, name)
    const second = await askAgain(none, { ...REQUEST, schema: SCHEMA })
    expect([second.reply.form, second.errors.length]).toEqual(['text', 2])
    expect(JSON.stringify(refusing.received.at(-1)?.body)).toContain('additionalProperties')
    expect((await askAgain(none, { ...REQUEST, schema: SCHEMA })).errors).toEqual([])
  })

  test('requests that were on the way together learn the same thing once', async () => {
    const refusing = await serve({ refuses: ['json_schema'], latencyMs: 20 })
    const shared = modelAt(refusing.url, name)
    const asked = Array.from({ length: 8 }, (_, sample) => ({
      ...REQUEST,
      schema: SCHEMA,
      messages: [{ role: 'user' as const, content: `Step ${sample}` }],
    }))
    const ends = await Promise.all(asked.map((request) => askAgain(shared, request)))
    expect(ends.map(({ reply, errors }) => [reply.form, errors.length])).toEqual(asked.map(() => ['tool', 1]))
  })

  test('text where JSON was asked for is told as text, and the server is asked in another way from then on', async () => {
    const ignoring = modelAt((await serve({ ignoresSchema: true })).url, name)
    const forms = []
    for (let i = 0; i < 3; i++) forms.push((await ignoring.complete({ ...REQUEST, schema: SCHEMA }, NEVER)).form)
    expect(forms).toEqual(['text', 'text', 'text'])
    const fickle = await serve({
      answer: (asked) => (asked.question.includes('odd') ? 'no JSON' : '{"why":"","score":1}'),
    })
    const proven = modelAt(fickle.url, name)
    const ask = (content: string) =>
      proven.complete({ ...REQUEST, schema: SCHEMA, messages: [{ role: 'user', content }] }, NEVER)
    expect((await ask('even')).form).toBe('json-schema')
    expect((await ask('odd')).form).toBe('text')
    expect((await ask('even')).form).toBe('json-schema')
  })

  test('a refused temperature is left out from then on', async () => {
    const refusing = await serve({ refuses: ['temperature'] })
    const picky = modelAt(refusing.url, name)
    expect((await askAgain(picky, REQUEST)).errors.length).toBe(1)
    expect((await askAgain(picky, REQUEST)).errors.length).toBe(0)
    expect(refusing.received.at(-1)?.body).not.toHaveProperty('temperature')
  })

  test('no key occurs in any error, however it is printed, nor in a reply that echoes it', async () => {
    const strict = await serve({ key: 'another' })
    const errors = [await failureOf(modelAt(strict.url, name).complete(REQUEST, NEVER))]
    for (const fault of ALL_FAULTS) {
      if (['hang', 'slow-bytes', 'gzip-bomb', 'oversized'].includes(fault)) continue
      server.script([fault])
      errors.push(await failureOf(model.complete(REQUEST, NEVER)))
    }
    errors.push(await failureOf(modelAt(nowhere, name).complete(REQUEST, NEVER)))
    const forms = [KEY, Buffer.from(KEY).toString('base64').slice(0, -2), encodeURIComponent(KEY), 'canary']
    for (const error of [...errors, model]) {
      const shown = [
        String(error),
        JSON.stringify(error),
        inspect(error, { depth: 9, showHidden: true }),
        inspect(error),
      ]
      if (error instanceof Error) shown.push(error.stack ?? '', inspect(error.cause, { depth: 9 }))
      for (const form of forms) expect(shown.join('\n')).not.toContain(form)
    }
    expect(errors[0].message).toContain('HTTP 401')
    const echo = await serve({
      answer: () => `your key is ${KEY}, in base64 ${Buffer.from(`a${KEY}`).toString('base64')}`,
    })
    const { text } = await modelAt(echo.url, name).complete(REQUEST, NEVER)
    expect(text).toMatch(/^your key is \[secret\], in base64 \S{0,3}\[secret\]/)
  })

  test('a refused connection is known not to be paid', async () => {
    const { facts, message } = await failureOf(modelAt(nowhere, name).complete(REQUEST, NEVER))
    expect(facts).toEqual({ kind: 'network', isTransient: true, maybePaid: false })
    expect(message).toContain('ECONNREFUSED')
  })

  test('a body without a length that is cut at any byte is never accepted', async () => {
    const whole = await model.complete(REQUEST, NEVER)
    const body = JSON.stringify(
      isOpenai
        ? {
            model: 'gpt-4o',
            choices: [{ message: { content: 'é "x" }' }, finish_reason: 'stop' }],
            usage: { prompt_tokens: 1, completion_tokens: 1 },
          }
        : {
            type: 'message',
            model: model.model,
            content: [{ type: 'text', text: 'é "x" }' }],
            stop_reason: 'end_turn',
            usage: { input_tokens: 1, output_tokens: 1 },
          },
    )
    const size = Buffer.byteLength(body)
    let sent = 0
    const raw = await listen((socket) => socket.once('data', () => socket.end(openEnded(body, sent))))
    const cutModel = modelAt(raw.url, name)
    const kinds = new Set<string>()
    for (sent = 0; sent < size; sent++) kinds.add((await failureOf(cutModel.complete(REQUEST, NEVER))).facts.kind)
    expect([...kinds].sort()).toEqual(['malformed-reply', 'truncated'])
    sent = size
    expect((await cutModel.complete(REQUEST, NEVER)).text).toBe('é "x" }')
    expect(whole.text).toMatch(/answer/)
    raw.server.close()
  })
})

/** Every document that differs from `value` in one place: without it, or with something else there. */
function* mutants(value: unknown): Generator<unknown> {
  yield* [undefined, null, 0, -1, 1.5, 1e300, '', 'x', [], {}, true]
  if (typeof value !== 'object' || value === null) return
  for (const [key, inner] of Object.entries(value)) {
    for (const other of mutants(inner)) {
      yield Array.isArray(value)
        ? value.map((item, index) => (String(index) === key ? other : item))
        : { ...value, [key]: other }
    }
  }
}

test.each(providers)(
  '%s: a reply with anything else in one place is whole, or a failure that may be paid',
  async (name) => {
    const route = (await serve()).url
    const record = await fetch(`${route}${name.startsWith('openai') ? '/v1/chat/completions' : '/v1/messages'}`, {
      method: 'POST',
      body: JSON.stringify({
        model: name.split(':')[1],
        max_tokens: 9,
        logprobs: true,
        top_logprobs: 2,
        messages: REQUEST.messages.slice(1),
      }),
    })
    const whole: unknown = await record.json()
    let body = ''
    const raw = await listen((socket) =>
      socket.once('data', () => socket.end(openEnded(body, Buffer.byteLength(body)))),
    )
    const model = modelAt(raw.url, name)
    let [accepted, failed] = [0, 0]
    for (const mutant of mutants(whole)) {
      body = JSON.stringify(mutant) ?? ''
      const end = await model.complete({ ...REQUEST, topLogprobs: 2 }, NEVER).catch((error: unknown) => error)
      if (end instanceof ChatError) {
        failed++
        expect(end.facts.maybePaid, body).toBe(true)
      } else {
        accepted++
        const counts = { promptTokens: expect.any(Number), completionTokens: expect.any(Number) }
        expect(end, body).toMatchObject({
          text: expect.stringMatching(/./),
          model: expect.stringContaining(model.model),
          ...counts,
        })
      }
    }
    expect(accepted).toBeGreaterThan(20)
    expect(failed).toBeGreaterThan(60)
    raw.server.close()
  },
)

/** A server of bare sockets. */
async function listen(handle: (socket: import('node:net').Socket) => void): Promise<{ url: string; server: Server }> {
  const server = createServer(handle)
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return { url: `http://127.0.0.1:${address.port}`, server }
}

describe('openai', () => {
  test('log-probabilities come with the alternatives, the written token among them', async () => {
    const model = modelAt((await serve({ answer: () => 'Yes it is' })).url)
    expect(model.hasLogprobs).toBe(null)
    const { logprobs } = await model.complete({ ...REQUEST, topLogprobs: 2 }, NEVER)
    expect(logprobs?.map(({ token }) => token)).toEqual(['Yes ', 'it ', 'is'])
    for (const { token, logprob, alternatives } of logprobs ?? []) {
      expect(alternatives).toEqual(
        [
          { token, logprob },
          { token: 'No', logprob: Math.log(1 - Math.exp(logprob)) },
        ].map((each) => ({ ...each, logprob: expect.closeTo(each.logprob, 9) })),
      )
    }
    expect(model.hasLogprobs).toBe(true)
  })

  test('refused log-probabilities are null from then on, and the model says so', async () => {
    const model = modelAt((await serve({ refuses: ['logprobs'] })).url)
    const asked = { ...REQUEST, topLogprobs: 5 }
    const first = await askAgain(model, asked)
    expect([first.reply.logprobs, first.errors.length, model.hasLogprobs]).toEqual([null, 1, false])
    expect((await askAgain(model, asked)).errors.length).toBe(0)
  })

  test('a server that wants max_completion_tokens gets it, and one that does not know seeds gets none', async () => {
    const server = await serve({ refuses: ['max_tokens', 'seed'] })
    const model = modelAt(server.url)
    const { errors } = await askAgain(model, { ...REQUEST, seed: 1 })
    expect(errors.length).toBe(2)
    expect(server.received.at(-1)?.body).toMatchObject({ max_completion_tokens: 200 })
    expect((await askAgain(model, { ...REQUEST, seed: 1 })).errors.length).toBe(0)
  })

  test('an address without a key gets no authorization', async () => {
    const server = await serve()
    const parsed = parseJudgeName(`vllm:org/model@${server.url}/v1`)
    if (parsed.kind !== 'chat') throw new Error('no chat model')
    const model = createChatModel(parsed, { environment: { OPENAI_API_KEY: KEY } })
    await model.complete(REQUEST, NEVER)
    expect(server.received[0].headers).not.toHaveProperty('authorization')
    expect(model.name).toBe(`vllm:org/model@${server.url}/v1`)
  })

  test('a redirect is not followed, so that no key goes to another host', async () => {
    const other: string[] = []
    const elsewhere = await listen((socket) => socket.on('data', (data) => other.push(String(data))))
    const redirecting = await listen((socket) =>
      socket.once('data', () =>
        socket.end(`HTTP/1.1 307 T\r\nLocation: ${elsewhere.url}/v1/x\r\nContent-Length: 0\r\n\r\n`),
      ),
    )
    const { facts } = await failureOf(modelAt(redirecting.url).complete(REQUEST, NEVER))
    expect(facts).toEqual({ kind: 'refused-request', isTransient: false, maybePaid: false })
    expect(other).toEqual([])
    elsewhere.server.close()
    redirecting.server.close()
  })

  test('a gzip bomb is dropped at its limit', async () => {
    const server = await serve()
    server.script(['gzip-bomb'])
    const before = process.memoryUsage().rss
    const began = performance.now()
    expect((await failureOf(modelAt(server.url, 'openai:gpt-4o', 20_000).complete(REQUEST, NEVER))).message).toContain(
      '10 MB',
    )
    expect(performance.now() - began).toBeLessThan(30_000)
    expect(process.memoryUsage().rss - before).toBeLessThan(200 << 20)
  })

  test('many calls leave no listener on the signal that they share', async () => {
    const model = modelAt((await serve()).url)
    const { signal } = new AbortController()
    let listeners = 0
    const add = signal.addEventListener.bind(signal)
    const remove = signal.removeEventListener.bind(signal)
    signal.addEventListener = (...given: Parameters<typeof add>) => {
      listeners++
      add(...given)
    }
    signal.removeEventListener = (...given: Parameters<typeof remove>) => {
      listeners--
      remove(...given)
    }
    for (let i = 0; i < 20; i++) await model.complete(REQUEST, signal)
    expect(listeners).toBe(0)
  })
})

describe('the server', () => {
  test('plans faults by question and attempt, not by order of arrival', async () => {
    const plans = []
    for (const order of [1, -1]) {
      const server = await serve({ seed: 3, faultShare: 0.5, faults: ['500', 'html', 'length'] })
      const model = modelAt(server.url)
      const questions = Array.from({ length: 12 }, (_, index) => `Step ${index}`)
      if (order < 0) questions.reverse()
      for (const content of questions)
        await model.complete({ ...REQUEST, messages: [{ role: 'user', content }] }, NEVER).catch(() => {})
      plans.push(new Map(server.served.map(({ question, fault }) => [question, fault])))
    }
    expect(plans[0]).toEqual(plans[1])
    expect(new Set(plans[0].values()).size).toBe(4)
  })

  test('runs in a process of its own, takes a script and gives its log', async () => {
    const child = spawn(process.execPath, [program('test/judge/server.ts'), '{"seed":1}'])
    const url = await new Promise<string>((resolve, reject) => {
      child.stdout.once('data', (line) => resolve(String(line).trim()))
      child.once('exit', (code) => reject(new Error(`exit ${code}`)))
    })
    await fetch(`${url}/script`, { method: 'POST', body: '["html", null]' })
    const model = modelAt(url)
    expect((await failureOf(model.complete(REQUEST, NEVER))).facts.kind).toBe('malformed-reply')
    const { promptTokens } = await model.complete(REQUEST, NEVER)
    const log = await (await fetch(`${url}/log`)).json()
    expect(log).toMatchObject([
      { fault: 'html', isCharged: true },
      { fault: null, promptTokens, isCharged: true },
    ])
    child.stdin.end()
    await new Promise((resolve) => child.once('exit', resolve))
  })
})
