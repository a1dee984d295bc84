import { expect, test } from 'vitest'
import type { ChatRequest } from '../chat.ts'
import { type AiSdkCall, aiSdkModel } from './ai-sdk.ts'

const { signal } = new AbortController()
const SCHEMA = { name: 'verdict', json: { type: 'object' } }
const REQUEST: ChatRequest = {
  messages: [
    { role: 'system', content: 'Check.' },
    { role: 'user', content: '1 + 1 = 2' },
  ],
  schema: null,
  maxTokens: 9,
  temperature: 0.5,
  topP: 0.9,
  seed: 3,
  topLogprobs: 4,
  sample: 0,
}

/** What a provider gives for text, in both versions of the specification. */
const V2 = {
  content: [
    { type: 'reasoning', text: 'hm' },
    { type: 'text', text: 'fine' },
  ],
  finishReason: 'stop',
  usage: { inputTokens: 11, outputTokens: 3, totalTokens: 14 },
  warnings: [],
  response: { modelId: 'gpt-4o-2024-08-06' },
}
const V3 = {
  ...V2,
  finishReason: { unified: 'stop', raw: 'end_turn' },
  usage: {
    inputTokens: { total: 11, noCache: 11, cacheRead: 0, cacheWrite: 0 },
    outputTokens: { total: 3, text: 3, reasoning: 0 },
  },
}

/** A model of the SDK's shape that gives, or throws, one thing after another; the last one for ever. */
function modelThat(...results: readonly unknown[]) {
  const calls: AiSdkCall[] = []
  const model = aiSdkModel({
    specificationVersion: 'v3',
    provider: 'openai.chat',
    modelId: 'gpt-4o',
    doGenerate: async (options) => {
      const result = results[Math.min(calls.push(options), results.length) - 1]
      if (result instanceof Error) throw result
      return result
    },
  })
  return { model, calls }
}

test.each([V2, V3])('a reply of either version has its text and its counts', async (result) => {
  const { model, calls } = modelThat(result)
  expect(await model.complete(REQUEST, signal)).toEqual({
    text: 'fine',
    form: 'text',
    model: 'gpt-4o-2024-08-06',
    promptTokens: 11,
    completionTokens: 3,
    logprobs: null,
  })
  expect(calls).toEqual([
    {
      prompt: [
        { role: 'system', content: 'Check.' },
        { role: 'user', content: [{ type: 'text', text: '1 + 1 = 2' }] },
      ],
      maxOutputTokens: 9,
      temperature: 0.5,
      topP: 0.9,
      seed: 3,
      abortSignal: signal,
    },
  ])
  expect([model.name, model.model]).toEqual(['ai-sdk:openai.chat:gpt-4o', 'gpt-4o'])
})

test('a schema is asked for as JSON, where that is refused by a forced call, and where there are no calls as text', async () => {
  const json = { ...V2, content: [{ type: 'text', text: '{"score": 1}' }] }
  const asked = { ...REQUEST, schema: SCHEMA }
  const direct = modelThat(json)
  expect(await direct.model.complete(asked, signal)).toMatchObject({ form: 'json-schema', text: '{"score": 1}' })
  expect(direct.calls[0].responseFormat).toEqual({ type: 'json', schema: { type: 'object' }, name: 'verdict' })

  const refusal = (message: string) => Object.assign(new Error(message), { statusCode: 400, responseHeaders: {} })
  const call = {
    ...V2,
    content: [{ type: 'tool-call', toolName: 'verdict', input: '{"score": 0}' }],
    finishReason: 'tool-calls',
  }
  const second = modelThat(refusal('response_format is not supported'), call)
  await expect(second.model.complete(asked, signal)).rejects.toMatchObject({
    facts: { kind: 'refused-request', isTransient: true },
  })
  expect(await second.model.complete(asked, signal)).toMatchObject({ form: 'tool', text: '{"score": 0}' })
  expect(second.calls[1].toolChoice).toEqual({ type: 'tool', toolName: 'verdict' })

  const third = modelThat(refusal('response_format is not supported'), refusal('tools are not supported'), V2)
  for (let i = 0; i < 2; i++) await expect(third.model.complete(asked, signal)).rejects.toThrow('not supported')
  expect(await third.model.complete(asked, signal)).toMatchObject({ form: 'text', text: 'fine' })
  expect(JSON.stringify(third.calls[2].prompt)).toContain('JSON schema')
})

test.each([
  [{ ...V2, finishReason: 'length' }, 'truncated', false],
  [{ ...V3, finishReason: { unified: 'content-filter', raw: 'x' } }, 'content-filter', false],
  [{ ...V2, finishReason: 'error' }, 'malformed-reply', true],
  [{ ...V2, usage: { inputTokens: undefined, outputTokens: undefined } }, 'malformed-reply', true],
  [{ ...V2, content: [] }, 'malformed-reply', true],
  [{ ...V2, response: { modelId: 'gpt-4o-mini' } }, 'wrong-model', false],
  ['nonsense', 'malformed-reply', true],
  [
    Object.assign(new Error('slow down'), { statusCode: 429, responseHeaders: { 'retry-after': '2' } }),
    'rate-limit',
    true,
  ],
  [Object.assign(new Error('no'), { statusCode: 401 }), 'unauthorized', false],
  [new TypeError('fetch failed'), 'network', true],
])('%j is a failure of its kind', async (result, kind, isTransient) => {
  await expect(modelThat(result).model.complete(REQUEST, signal)).rejects.toMatchObject({
    facts: { kind, isTransient },
  })
})

test('the wait that a provider asks for is passed on, and its headers are not', async () => {
  const error = Object.assign(new Error('slow'), {
    statusCode: 429,
    responseHeaders: { 'retry-after': '2' },
    requestBodyValues: { key: 'sk-canary' },
  })
  const failure = await modelThat(error)
    .model.complete(REQUEST, signal)
    .catch((thrown: unknown) => thrown)
  expect(failure).toMatchObject({ facts: { retryAfterMs: 2000 } })
  expect(failure).not.toHaveProperty('cause')
  expect(JSON.stringify(failure)).not.toContain('canary')
})

test('a stop before the call makes none; one during the call is said to be maybe paid', async () => {
  const { model, calls } = modelThat(new Error('aborted'))
  await expect(model.complete(REQUEST, AbortSignal.abort())).rejects.toMatchObject({
    facts: { kind: 'stopped', maybePaid: false },
  })
  expect(calls).toEqual([])
  const controller = new AbortController()
  const pending = model.complete(REQUEST, controller.signal)
  controller.abort()
  await expect(pending).rejects.toMatchObject({ facts: { kind: 'stopped', maybePaid: true } })
})
