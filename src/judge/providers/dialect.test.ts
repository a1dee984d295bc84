import { expect, test } from 'vitest'
import type { ChatRequest } from '../chat.ts'
import { type Accepted, createDialect } from './dialect.ts'
import { httpError } from './http-error.ts'

const REQUEST: ChatRequest = {
  messages: [],
  schema: { name: 'verdict', json: {} },
  maxTokens: 9,
  temperature: 0,
  topP: 0.9,
  seed: 1,
  topLogprobs: 2,
  sample: 0,
}
const START: Accepted = { form: 'json-schema', without: new Set() }

/** What a server that says this is sent next; null where asking again does not help. */
function learnt(status: number, message: string, param: string | null = null, request = REQUEST) {
  const dialect = createDialect(START)
  const response = { status, headers: new Headers() }
  const error = httpError({ name: 'm', secrets: [] }, response, { error: { message, param } }, 0)
  const thrown = dialect.learn(error, dialect.current, request)
  return thrown === error ? null : [dialect.current.form, ...dialect.current.without]
}

test.each([
  // Words of OpenAI, Anthropic, vLLM, Groq and llama.cpp.
  [400, "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model", ['tool']],
  [400, 'This model does not support response format `json_schema`', ['tool']],
  [400, 'output_config.format: Extra inputs are not permitted', ['tool']],
  [500, 'Unsupported param: response_format', ['tool']],
  [400, "Unsupported value: 'temperature' does not support 0 with this model.", ['json-schema', 'temperature']],
  [400, '`temperature` and `top_p` cannot both be specified for this model', ['json-schema', 'topP']],
  [400, 'Unrecognized request argument supplied: seed', ['json-schema', 'seed']],
  [422, "'logprobs' is not supported with this model", ['json-schema', 'logprobs']],
  [
    400,
    "Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens' instead.",
    ['json-schema', 'tokensName'],
  ],
  // Values that are out of bounds, and what the request does not hold, are errors of the one who asks.
  [400, 'temperature: Input should be less than or equal to 1', null],
  [400, 'max_tokens is too large: 100000', null],
  [400, 'top_logprobs: must be at most 5', null],
  [400, 'tools are not supported', null],
  [400, 'messages: roles must alternate', null],
  [401, 'seed is not supported', null],
])('%i %s', (status, message, expected) => {
  expect(learnt(status, message)).toEqual(expected)
})

test('the parameter that a server names counts more than its words', () => {
  expect(learnt(400, 'Unsupported value: seed and temperature', 'temperature')).toEqual(['json-schema', 'temperature'])
  expect(learnt(400, 'max_tokens is too large', 'max_tokens')).toBe(null)
})

test('nothing is learnt of what was not sent', () => {
  const plain = { ...REQUEST, schema: null, seed: null, topP: null, topLogprobs: 0 }
  for (const words of ['seed', 'top_p', 'logprobs', 'response_format']) {
    expect(learnt(400, `${words} is not supported`, null, plain)).toBe(null)
  }
})

test('however often a server refuses, asking again comes to an end', () => {
  const dialect = createDialect(START)
  const words = 'unsupported: top_p temperature seed logprobs max_tokens response_format tools'
  let times = 0
  for (; times < 100; times++) {
    const error = httpError({ name: 'm', secrets: [] }, { status: 400, headers: new Headers() }, { message: words }, 0)
    if (!dialect.learn(error, dialect.current, REQUEST).facts.isTransient) break
  }
  expect(times).toBe(7)
  expect(dialect.current.form).toBe('text')
})

test('the arguments of a call do not tell that a server has no log-probabilities, a text does', () => {
  const dialect = createDialect({ form: 'tool', without: new Set() })
  dialect.accept({ text: '{}', hasLogprobs: false }, dialect.current, REQUEST)
  expect(dialect.hasLogprobs).toBe(null)
  dialect.accept({ text: 'Yes', hasLogprobs: false }, dialect.current, { ...REQUEST, schema: null })
  expect(dialect.hasLogprobs).toBe(false)
})
