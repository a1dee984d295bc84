import { appendFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { folderMaker } from '../../../test/folders.ts'
import { InputError } from '../../base/errors.ts'
import { cacheKey } from '../cache-key.ts'
import type { ChatModel, ChatReply, ChatRequest } from '../chat.ts'
import { encodeRecord } from '../ledger-record.ts'
import { createChatModel, parseJudgeName } from '../provider.ts'
import { aiSdkModel } from './ai-sdk.ts'
import { replayModel } from './replay.ts'

const makeFolder = folderMaker()
const { signal } = new AbortController()

function ask(content: string, temperature = 0): ChatRequest {
  const messages = [{ role: 'user' as const, content }]
  return { messages, schema: null, maxTokens: 9, temperature, topP: null, seed: null, topLogprobs: 0, sample: 0 }
}

function reply(text: string): ChatReply {
  const logprobs = [{ token: 'a', logprob: -1, alternatives: [{ token: 'b', logprob: Number.NEGATIVE_INFINITY }] }]
  return { text, form: 'text', model: 'm', promptTokens: 1, completionTokens: 2, logprobs }
}

type Named = Pick<ChatModel, 'name' | 'model'>
const gpt: Named = { name: 'openai:gpt-4', model: 'gpt-4' }

/** What a run notes of a request and its reply. */
function note(file: string, model: Named, request: ChatRequest, answer: ChatReply): void {
  const common = { id: `${Math.random()}`, key: cacheKey(model, 'v@1', request), run: 'r', time: '' }
  const asked = { model: model.name, purpose: 'judge', promptVersion: 'v@1', attempt: 1, reserved: 1, cap: null }
  appendFileSync(file, encodeRecord({ type: 'intent', ...common, ...asked }))
  appendFileSync(file, encodeRecord({ type: 'reply', ...common, cost: 1, reply: answer }))
}

test('the replies of a ledger come back, each for its own request, whoever gave them', async () => {
  const chatModel = (name: string): ChatModel => {
    const parsed = parseJudgeName(name)
    if (parsed.kind !== 'chat') throw new Error(name)
    return createChatModel(parsed, { environment: { OPENAI_API_KEY: 'sk-1', ANTHROPIC_API_KEY: 'sk-2' } })
  }
  const unused = { specificationVersion: 'v3', doGenerate: () => Promise.reject(new Error('asked')) }
  const models: readonly ChatModel[] = [
    chatModel('gpt-4'),
    chatModel('claude-sonnet-4-5'),
    chatModel('ollama:qwen2.5:7b'),
    chatModel('vllm:org/model@host-7@http://localhost:8000/v1'),
    aiSdkModel({ ...unused, provider: 'openai.chat', modelId: 'ft:gpt-4o:org::id' }),
  ]
  const file = join(makeFolder(), 'ledger.jsonl')
  for (const [at, model] of models.entries()) note(file, model, ask(`${at}`), reply(`${model.name} ${at}`))
  const replay = await replayModel(file)
  for (const [at, model] of models.entries()) {
    expect(await replay.complete(ask(`${at}`), signal)).toEqual(reply(`${model.name} ${at}`))
  }
})

test('of two replies to a request the first counts, as it does where they are paid', async () => {
  const file = join(makeFolder(), 'ledger.jsonl')
  note(file, gpt, ask('x'), reply('first'))
  note(file, gpt, ask('x'), reply('second'))
  expect((await (await replayModel(file)).complete(ask('x'), signal)).text).toBe('first')
})

test('a request that is not in the file is refused, also where only its temperature differs, or where two models answer', async () => {
  const file = join(makeFolder(), 'ledger.jsonl')
  note(file, gpt, ask('x'), reply('one'))
  note(file, gpt, ask('y'), reply('two'))
  note(file, { name: 'openai:gpt-4o', model: 'gpt-4o' }, ask('y'), reply('three'))
  const replay = await replayModel(file)
  const facts = { kind: 'refused-request', isTransient: false, maybePaid: false }
  for (const request of [ask('z'), ask('x', 1)]) {
    await expect(replay.complete(request, signal)).rejects.toMatchObject({ name: 'ChatError', facts })
  }
  await expect(replay.complete(ask('y'), signal)).rejects.toThrow(/several models.*openai:gpt-4, openai:gpt-4o/)
})

test('other replies have another name, so that none of them is taken from a cache', async () => {
  const folder = makeFolder()
  const names = await Promise.all(
    ['one', 'two'].map(async (text) => {
      const file = join(folder, `${text}.jsonl`)
      note(file, gpt, ask('x'), reply(text))
      return (await replayModel(file)).name.replace(text, '')
    }),
  )
  expect(names[0]).not.toBe(names[1])
})

test('a file that is no ledger is refused before anything is asked', async () => {
  const file = join(makeFolder(), 'replies.jsonl')
  writeFileSync(file, '{"key": "k", "reply": {"text": "a"}}\n')
  await expect(replayModel(file)).rejects.toThrow(InputError)
  await expect(replayModel(file)).rejects.toThrow(/replies\.jsonl: expected a ledger .* with replies, found none/)
  await expect(replayModel(`${file}.not`)).rejects.toThrow(/cannot read .*replies\.jsonl\.not/)
})
