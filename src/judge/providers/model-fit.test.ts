import { expect, test } from 'vitest'
import { isSameModel } from './model-fit.ts'

test.each([
  ['gpt-4o', 'gpt-4o-2024-08-06'],
  ['gpt-4', 'gpt-4-0613'],
  ['gpt-4-0613', 'gpt-4'],
  ['gpt-3.5-turbo', 'gpt-3.5-turbo-0125'],
  ['o1', 'o1-2024-12-17'],
  ['chatgpt-4o-latest', 'chatgpt-4o-latest'],
  ['claude-sonnet-4-5', 'claude-sonnet-4-5-20250929'],
  ['claude-sonnet-4-0', 'claude-sonnet-4-20250514'],
  ['claude-3-5-sonnet-latest', 'claude-3-5-sonnet-20241022'],
  ['gemini-flash-latest', 'gemini-2.5-flash'],
  ['gemini-1.5-pro', 'models/gemini-1.5-pro-002'],
  ['openai/gpt-4o', 'gpt-4o-2024-08-06'],
  ['anthropic/claude-sonnet-4-5', 'Claude-Sonnet-4-5'],
  ['meta-llama/llama-3.1-8b-instruct:free', 'meta-llama/llama-3.1-8b-instruct'],
  ['qwen3:0.6b', '/models/Qwen3-0.6B-Q8_0.gguf'],
  ['gpt-oss:20b', 'gpt-oss-20b'],
  ['my-judge', 'gpt-4o-2024-08-06'],
  ['tgi', 'meta-llama/Llama-3.1-8B'],
])('%s may be answered by %s', (asked, answered) => {
  expect(isSameModel(asked, answered)).toBe(true)
})

test.each([
  ['gpt-4o', 'gpt-4o-mini'],
  ['gpt-4o-mini', 'gpt-4o'],
  ['gpt-4', 'gpt-4-turbo-2024-04-09'],
  ['gpt-4', 'gpt-4o'],
  ['gpt-4', 'gpt-3.5-turbo-0125'],
  ['gpt-4-0613', 'gpt-4-0314'],
  ['gpt-4o', ''],
  ['gpt-4o', 'llama-3'],
  ['o1', 'o1-mini'],
  ['claude-opus-4-1', 'claude-sonnet-4-1'],
  ['claude-sonnet-4-5', 'claude-3-haiku'],
  ['claude-3-5-sonnet-latest', 'claude-3-5-haiku-20241022'],
  ['qwen3:0.6b', 'llama-3.1-8b'],
  ['vendor/qwen3-32b', 'gpt-3.5-turbo-0125'],
])('%s is not answered by %s', (asked, answered) => {
  expect(isSameModel(asked, answered)).toBe(false)
})
