/** The key of a request: all that a reply depends on, and nothing runs into its neighbour. */
import { expect, test } from 'vitest'
import { random } from '../base/random.ts'
import { cacheKey } from './cache-key.ts'
import type { ChatRequest } from './chat.ts'

const model = { name: 'openai:gpt-4@https://example.org/v1', model: 'gpt-4' }
const request: ChatRequest = {
  messages: [
    { role: 'system', content: 'Judge.' },
    { role: 'user', content: 'a step' },
  ],
  schema: { name: 'verdict', json: { type: 'object', properties: { why: { type: 'string' } } } },
  maxTokens: 100,
  temperature: 0,
  topP: null,
  seed: null,
  topLogprobs: 0,
  sample: 0,
}
const key = (changed: Partial<ChatRequest> = {}): string => cacheKey(model, 'solution@1', { ...request, ...changed })

/** Other values of each field. Typed by the request, so that a new field has to come here too. */
const others: { readonly [Field in keyof ChatRequest]-?: readonly ChatRequest[Field][] } = {
  messages: [
    [],
    [{ role: 'user', content: 'a step' }],
    [{ role: 'user', content: 'Judge.' }, request.messages[1]],
    [request.messages[0], { role: 'user', content: 'a step ' }],
    [...request.messages].reverse(),
    [{ role: 'system', content: 'Judge.a step' }],
  ],
  schema: [
    null,
    { name: 'other', json: { type: 'object', properties: { why: { type: 'string' } } } },
    { name: 'verdict', json: { type: 'object', properties: { score: { type: 'string' } } } },
    { name: 'verdict', json: { properties: { why: { type: 'string' } }, type: 'object' } },
  ],
  maxTokens: [99, 101],
  temperature: [1, 0.1],
  topP: [0, 1],
  seed: [0, 1],
  topLogprobs: [1, 20],
  sample: [1, 2],
}

test('a change of any field of the request, of the model, its address or the prompt version changes the key', () => {
  const keys = [
    key(),
    cacheKey({ ...model, name: 'openai:gpt-4' }, 'solution@1', request),
    cacheKey({ ...model, model: 'gpt-4o' }, 'solution@1', request),
    cacheKey(model, 'solution@2', request),
  ]
  for (const [field, values] of Object.entries(others)) for (const value of values) keys.push(key({ [field]: value }))
  expect(new Set(keys).size).toBe(keys.length)
  expect(Object.keys(others).toSorted()).toEqual(Object.keys(request).toSorted())
})

test('the key depends on what a request says, not on the order in which its fields were written', () => {
  const reversed: ChatRequest = {
    sample: 0,
    topLogprobs: 0,
    seed: null,
    topP: null,
    temperature: 0,
    maxTokens: 100,
    schema: request.schema,
    messages: request.messages.map(({ role, content }) => ({ content, role })),
  }
  expect(cacheKey(model, 'solution@1', reversed)).toBe(key())
})

test('separators, quotes, line ends and lone surrogates in a text stay in that text', () => {
  const texts = [
    'a',
    '"',
    '","',
    '\\',
    '\\"',
    '|',
    '\n',
    '\r\n',
    '\0',
    '\u2028',
    '"],["user","',
    'null',
    '',
    '\ud800',
    '\ufffd',
  ]
  const keys = texts.flatMap((first) =>
    texts.map((second) =>
      key({
        messages: [
          { role: 'user', content: first },
          { role: 'user', content: second },
        ],
      }),
    ),
  )
  expect(new Set(keys).size).toBe(texts.length ** 2)
})

test('Unicode forms of one text are different texts', () => {
  const keys = ['é', 'e\u0301', 'ﬁ', 'fi', '½', '1⁄2'].map((content) => key({ messages: [{ role: 'user', content }] }))
  expect(new Set(keys).size).toBe(6)
})

test('a number that is not finite has no key, since JSON would write it as null', () => {
  expect(() => key({ topP: Number.NaN })).toThrow('NaN')
  expect(() => key({ temperature: Number.POSITIVE_INFINITY })).toThrow('Infinity')
})

test('100,000 random requests that differ have keys that differ', () => {
  const source = random(1, 'cache-key')
  const alphabet = ['a', 'b', '"', '\\', ',', '[', ']', ' ']
  const word = (): string => Array.from({ length: source.below(6) }, () => alphabet[source.below(8)]).join('')
  const seen = new Map<string, string>()
  let collisions = 0
  for (let count = 0; count < 100_000; count++) {
    const changed: ChatRequest = {
      ...request,
      messages: Array.from({ length: 1 + source.below(2) }, () => ({
        role: source.below(2) === 0 ? ('user' as const) : ('assistant' as const),
        content: word(),
      })),
      schema: null,
      maxTokens: source.below(3),
      sample: source.below(3),
    }
    const content = JSON.stringify(changed)
    const found = cacheKey(model, 'solution@1', changed)
    if ((seen.get(found) ?? content) !== content) collisions++
    seen.set(found, content)
  }
  expect(collisions).toBe(0)
  expect(new Set(seen.values()).size).toBe(seen.size)
})
