/** Prices: who is found, who is not, and exact sums. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { folderMaker } from '../../test/folders.ts'
import { batchPrice, costOf, findPrice, readPrices, toDollars, toNano } from './prices.ts'

const freshFolder = folderMaker()
const find = (name: string, model = name.replace(/^[^:]*:/, '').replace(/@http.*$/, '')) => findPrice({ name, model })

test('the longest listed name decides, and only a date may follow it', () => {
  expect(find('openai:gpt-4')?.input).toBe(30)
  expect(find('openai:gpt-4-0613')?.input).toBe(30)
  expect(find('openai:gpt-4o-2024-08-06')?.input).toBe(2.5)
  expect(find('openai:gpt-4o-2024-05-13')?.input).toBe(5)
  expect(find('openai:gpt-4o-mini-2024-07-18')?.input).toBe(0.15)
  expect(find('openai:chatgpt-4o-latest')?.output).toBe(15)
  expect(find('anthropic:claude-opus-4-20250514')?.output).toBe(75)
  expect(find('anthropic:claude-opus-4-5-20251101')?.output).toBe(25)
})

test('a model that is not listed has no price, however much its name looks like one that is', () => {
  for (const name of ['gpt-5-ultra', 'gpt-5.9', 'gpt-4z', 'gpt-', '', 'claude-opus-9', 'my-gpt-4', 'constructor']) {
    expect(find(`openai:${name}`)).toBeNull()
  }
})

test('what runs on this machine costs nothing, and another address than the vendor’s has no listed price', () => {
  for (const name of [
    'ollama:qwen3:0.6b',
    'vllm:m@http://localhost:8000/v1',
    'local:model',
    'openai:gpt-4@http://[::1]:1/v1',
  ]) {
    expect(find(name)?.output).toBe(0)
  }
  expect(find('openai:gpt-4@https://eu.api.openai.com/v1')?.input).toBe(30)
  expect(find('openai:gpt-4@https://openai.com.example.org/v1')).toBeNull()
  expect(find('vllm:m@https://example.org/v1')).toBeNull()
  expect(find('openrouter:openai/gpt-4')).toBeNull()
})

test('several servers cost what each of them costs, and where they differ nobody knows', () => {
  const at = (model: string, ...addresses: string[]) => {
    return findPrice({ name: `openai:${model}@several`, model, addresses })?.output ?? null
  }
  expect(at('m', 'http://localhost:1/v1', 'http://127.0.0.1:2/v1')).toBe(0)
  expect(at('gpt-4o', 'https://api.openai.com/v1', 'https://eu.api.openai.com/v1')).toBe(10)
  expect(at('gpt-4o', 'https://a.example.org/v1', 'https://b.example.org/v1')).toBeNull()
  expect(at('gpt-4o', 'https://api.openai.com/v1', 'https://b.example.org/v1')).toBeNull()
  expect(at('gpt-4o', 'https://api.openai.com/v1', 'http://localhost:1/v1')).toBeNull()
  expect(at('m', 'http://localhost:1/v1', 'https://b.example.org/v1')).toBeNull()
  const own = new Map([['m', { input: 1, cachedInput: 1, output: 2, batchShare: 1 }]])
  const addresses = ['https://a.example.org/v1', 'http://localhost:1/v1']
  expect(findPrice({ name: 'vllm:m@several', model: 'm', addresses }, own)?.output).toBe(2)
})

test('the user’s file comes before the list, in YAML and JSON, and a wrong one is named', () => {
  const folder = freshFolder()
  const path = join(folder, 'prices')
  writeFileSync(
    path,
    'gpt-4: { input: 1, output: 2 }\nqwen/big: { input: 0.1, output: 0.2, cached: 0.01, batch: 0.5 }\n',
  )
  const own = readPrices(path)
  expect(findPrice({ name: 'openai:gpt-4-0613', model: 'gpt-4-0613' }, own)).toEqual({
    input: 1,
    cachedInput: 1,
    output: 2,
    batchShare: 1,
  })
  expect(findPrice({ name: 'openrouter:qwen/big', model: 'qwen/big' }, own)?.cachedInput).toBe(0.01)
  expect(findPrice({ name: 'openai:gpt-4o', model: 'gpt-4o' }, own)?.input).toBe(2.5)
  writeFileSync(path, '{"gpt-4": {"input": 3, "output": 4}}')
  expect(readPrices(path).get('gpt-4')?.input).toBe(3)
  for (const bad of [
    'gpt-4: 3',
    'gpt-4: { input: -1, output: 1 }',
    'gpt-4: { input: 1 }',
    '{',
    '[]',
    'a: { input: 1, output: 1, x: 1 }',
  ]) {
    writeFileSync(path, bad)
    expect(() => readPrices(path)).toThrow(path)
  }
  expect(() => readPrices(join(folder, 'none'))).toThrow('none')
})

test('costs are exact and rounded up to whole nano-dollars', () => {
  const price = { input: 0.0375, cachedInput: 0.01, output: 2.5, batchShare: 0.5 }
  // 1 token of $0.0375 per million is 37.5 nano-dollars
  expect(costOf({ promptTokens: 1, completionTokens: 0 }, price)).toBe(38)
  expect(costOf({ promptTokens: 2, completionTokens: 0 }, price)).toBe(75)
  expect(costOf({ promptTokens: 4, completionTokens: 0, cachedTokens: 2 }, price)).toBe(75 + 20)
  expect(costOf({ promptTokens: 0, completionTokens: 3 }, price)).toBe(7500)
  expect(costOf({ promptTokens: 0, completionTokens: 3 }, batchPrice(price))).toBe(3750)
  expect(costOf({ promptTokens: 1_000_000, completionTokens: 1_000_000 }, price)).toBe(toNano(2.5375))
  expect(toDollars(2_537_500_000)).toBe(2.5375)
})

test('parts of a bill never cost less than the whole', () => {
  const tokens = fc.integer({ min: 0, max: 1e7 })
  fc.assert(
    fc.property(tokens, tokens, fc.double({ min: 0, max: 600, noNaN: true }), (a, b, dollars) => {
      const price = { input: dollars, cachedInput: dollars, output: 0, batchShare: 1 }
      const [whole, first, second] = [a + b, a, b].map((promptTokens) =>
        costOf({ promptTokens, completionTokens: 0 }, price),
      )
      expect(first + second).toBeGreaterThanOrEqual(whole)
      expect(first + second - whole).toBeLessThanOrEqual(1)
    }),
  )
})
