import { appendFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { folderMaker } from '../../../test/folders.ts'
import { InputError } from '../../base/errors.ts'
import type { ChatModel, ChatReply, ChatRequest } from '../chat.ts'
import { recordingModel, replayModel } from './replay.ts'

const makeFolder = folderMaker()
const { signal } = new AbortController()

function ask(content: string, temperature = 0): ChatRequest {
  const messages = [{ role: 'user' as const, content }]
  return { messages, schema: null, maxTokens: 9, temperature, topP: null, seed: null, topLogprobs: 0, sample: 0 }
}

/** Says how often it was asked. */
function countingModel(): ChatModel {
  let calls = 0
  const logprobs = [{ token: 'a', logprob: -1, alternatives: [{ token: 'b', logprob: Number.NEGATIVE_INFINITY }] }]
  const next = (): ChatReply => ({
    text: `reply ${++calls}`,
    form: 'text',
    model: 'm',
    promptTokens: 1,
    completionTokens: 2,
    logprobs,
  })
  return { name: 'fake:m', model: 'm', hasLogprobs: true, complete: async () => next() }
}

test('recorded replies come back, each for its own request, the last one of those that were asked twice', async () => {
  const file = join(makeFolder(), 'replies.jsonl')
  const recording = recordingModel(countingModel(), (line) => appendFileSync(file, line))
  await recording.complete(ask('x'), signal)
  const second = await recording.complete(ask('y'), signal)
  const third = await recording.complete(ask('x'), signal)
  const replay = replayModel(file)
  expect(await replay.complete(ask('x'), signal)).toEqual(third)
  expect(await replay.complete(ask('y'), signal)).toEqual(second)
  expect([second.text, third.text]).toEqual(['reply 2', 'reply 3'])
})

test('a request that is not in the file is refused, also where only its temperature differs', async () => {
  const file = join(makeFolder(), 'replies.jsonl')
  await recordingModel(countingModel(), (line) => appendFileSync(file, line)).complete(ask('x'), signal)
  for (const request of [ask('z'), ask('x', 1)]) {
    const facts = { kind: 'refused-request', isTransient: false, maybePaid: false }
    await expect(replayModel(file).complete(request, signal)).rejects.toMatchObject({ name: 'ChatError', facts })
  }
})

test('a row that is none is named by its line', async () => {
  const file = join(makeFolder(), 'replies.jsonl')
  writeFileSync(file, '{"key": "k", "reply": {"text": "a"}}\n')
  const asked = replayModel(file).complete(ask('x'), signal)
  await expect(asked).rejects.toThrow(InputError)
  await expect(asked).rejects.toThrow(/replies\.jsonl:1: expected a recorded reply, found reply\.form/)
})
