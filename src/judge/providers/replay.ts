/** @file A chat model that repeats recorded replies: JSON lines of `{key, reply}`, where the key is the request's hash. */
import { z } from 'zod'
import { InputError } from '../../base/errors.ts'
import { readJsonLines } from '../../base/lines.ts'
import { parseRow } from '../../data/schema.ts'
import { cacheKey } from '../cache-key.ts'
import { ChatError, type ChatModel, type ChatReply, type ChatRequest } from '../chat.ts'
import { recordedReply } from '../ledger-record.ts'

const recorded = z.object({ key: z.string(), reply: recordedReply })

/** The file is read when the model is first asked. A key that stands in it twice has its last reply. */
export function replayModel(file: string): ChatModel {
  const name = `replay:${file}`
  let replies: Promise<Map<string, ChatReply>> | undefined
  return {
    name,
    model: 'replay',
    hasLogprobs: null,
    complete: async (request) => {
      replies ??= readReplies(file)
      const reply = (await replies).get(requestKey(request))
      if (reply !== undefined) return reply
      const facts = { kind: 'refused-request', isTransient: false, maybePaid: false } as const
      throw new ChatError(`${name}: the file has no reply to this request`, facts)
    },
  }
}

/** The same model, whose replies are also written down for `replayModel`. `write` gets lines with their end. */
export function recordingModel(model: ChatModel, write: (line: string) => void): ChatModel {
  return {
    name: model.name,
    model: model.model,
    get hasLogprobs() {
      return model.hasLogprobs
    },
    complete: async (request, signal) => {
      const reply = await model.complete(request, signal)
      write(`${JSON.stringify({ key: requestKey(request), reply })}\n`)
      return reply
    },
  }
}

/** Of the request alone: whoever answered. */
function requestKey(request: ChatRequest): string {
  return cacheKey({ name: 'replay', model: 'replay' }, '', request)
}

async function readReplies(file: string): Promise<Map<string, ChatReply>> {
  const replies = new Map<string, ChatReply>()
  for await (const row of readJsonLines(file)) {
    const parsed = 'value' in row ? parseRow(recorded, row.value) : { bad: row.problem }
    if ('bad' in parsed) throw new InputError({ file, line: row.line }, 'a recorded reply', parsed.bad)
    replies.set(parsed.row.key, parsed.row.reply)
  }
  return replies
}
