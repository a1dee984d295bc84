import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { UsageError } from '../base/errors.ts'
import { createChatModel, parseJudgeName } from './provider.ts'

test.each([
  ['gpt-4', { kind: 'chat', provider: 'openai', model: 'gpt-4' }],
  ['gpt-4o-2024-08-06', { kind: 'chat', provider: 'openai', model: 'gpt-4o-2024-08-06' }],
  ['o3-mini', { kind: 'chat', provider: 'openai', model: 'o3-mini' }],
  ['ft:gpt-4o:org::id', { kind: 'chat', provider: 'openai', model: 'ft:gpt-4o:org::id' }],
  ['claude-sonnet-4-5', { kind: 'chat', provider: 'anthropic', model: 'claude-sonnet-4-5' }],
  [
    'gpt-4@http://localhost:1/v1',
    { kind: 'chat', provider: 'openai', model: 'gpt-4', baseUrl: 'http://localhost:1/v1' },
  ],
  ['ollama:qwen3:0.6b', { kind: 'chat', provider: 'ollama', model: 'qwen3:0.6b' }],
  [
    'openrouter:meta-llama/llama-3.1-8b:free',
    { kind: 'chat', provider: 'openrouter', model: 'meta-llama/llama-3.1-8b:free' },
  ],
  ['openai:@cf/meta/llama', { kind: 'chat', provider: 'openai', model: '@cf/meta/llama' }],
  [
    'vllm:org/m@x@https://host:8000/v1/',
    { kind: 'chat', provider: 'vllm', model: 'org/m@x', baseUrl: 'https://host:8000/v1' },
  ],
  ['local:./models/a b', { kind: 'local', path: './models/a b' }],
  ['local:C:\\models', { kind: 'local', path: 'C:\\models' }],
  ['arithmetic', { kind: 'arithmetic' }],
  ['replay:runs/a.jsonl', { kind: 'replay', file: 'runs/a.jsonl' }],
])('%s is understood', (name, meaning) => {
  expect(parseJudgeName(name)).toEqual(meaning)
})

test.each([
  ['opnai:gpt-4', "unknown provider 'opnai'. Known: openai, anthropic"],
  ['qwen3:0.6b', 'write ollama:qwen3:0.6b'],
  ['llama3', "who serves 'llama3'? Write provider:model, e.g. ollama:llama3"],
  ['toString:x', "unknown provider 'toString'"],
  ['openai:', 'names no model'],
  ['vllm:@http://localhost/v1', 'is not the name of a model'],
  ['vllm:a b', 'is not the name of a model'],
  ['vllm:m@http://', 'the address after @ must be like'],
])('%s is refused with what to write instead', (name, message) => {
  expect(() => parseJudgeName(name)).toThrow(UsageError)
  expect(() => parseJudgeName(name)).toThrow(message)
})

test.each(['user:hunter2secret@host', 'host/v1?key=hunter2secret', 'host/v1#hunter2secret'])(
  'an address that holds a password is refused without being quoted: %s',
  (address) => {
    expect(() => parseJudgeName(`openai:m@https://${address}`)).toThrow(/^(?!.*hunter2secret).*the address after @/)
  },
)

function create(name: string, environment: Record<string, string>) {
  const parsed = parseJudgeName(name)
  if (parsed.kind !== 'chat') throw new Error('no chat model')
  return createChatModel(parsed, { environment })
}

test('a missing key is named, with what can be used instead', () => {
  expect(() => create('gpt-4', {})).toThrow(
    'OPENAI_API_KEY is not set. Set it, or use --reward_model anthropic:…, ' +
      'vllm:MODEL@http://localhost:8000/v1, ollama:MODEL, local:PATH, or arithmetic',
  )
  expect(() => create('claude-x', { ANTHROPIC_API_KEY: ' ' })).toThrow(/^ANTHROPIC_API_KEY is not set.*openai:…/)
})

test('servers on this machine, and named addresses, need no key', () => {
  for (const name of ['ollama:a', 'vllm:a', 'llamacpp:a', 'openai:a@http://localhost:1/v1']) create(name, {})
})

test('a key that no header can hold is refused without being quoted', () => {
  expect(() => create('gpt-4', { OPENAI_API_KEY: 'sk-hunter\n2' })).toThrow(/^OPENAI_API_KEY holds characters/)
})

test('a model is named by its provider, and by its address where that was given', () => {
  expect(create('gpt-4', { OPENAI_API_KEY: 'k' })).toMatchObject({ name: 'openai:gpt-4', model: 'gpt-4' })
  expect(create('vllm:a/b@http://h:1/v1', {})).toMatchObject({ name: 'vllm:a/b@http://h:1/v1', model: 'a/b' })
})

test('neither the package nor naming a model loads a library of a vendor; asking loads the one that is asked', () => {
  const hook = `export async function resolve(name, context, next) {
    if (/^(openai|@anthropic-ai)/.test(name)) (await import('node:fs')).writeSync(1, 'loads ' + name + '\\n')
    return next(name, context)
  }`
  const program = `
    const { register } = await import('node:module')
    register('data:text/javascript,' + encodeURIComponent(${JSON.stringify(hook)}))
    await import('./src/index.ts')
    const { createChatModel, parseJudgeName } = await import('./src/judge/provider.ts')
    const models = ['openai:m@http://127.0.0.1:59', 'anthropic:claude-x@http://127.0.0.1:59'].map((name) =>
      createChatModel(parseJudgeName(name), { environment: {} }))
    console.log('named')
    const request = { messages: [], schema: null, maxTokens: 1, temperature: 0, topP: null, seed: null, topLogprobs: 0 }
    await models[1].complete(request, new AbortController().signal).catch((error) => console.log(error.facts.kind))`
  const cwd = fileURLToPath(new URL('../..', import.meta.url))
  const args = ['--import', 'tsx', '--input-type=module', '-e', program]
  const { stdout, stderr } = spawnSync(process.execPath, args, { cwd, encoding: 'utf8' })
  expect(stdout + stderr).toBe('named\nloads @anthropic-ai/sdk\nnetwork\n')
})
