/** @file A chat model that repeats the replies of a ledger, of whatever model they are. It sends nothing and needs no key. */
import { InputError } from '../../base/errors.ts'
import { sha256 } from '../../base/hash.ts'
import { cacheKey } from '../cache-key.ts'
import { ChatError, type ChatModel, type ChatReply, type ChatRequest } from '../chat.ts'
import { readLedger } from '../ledger.ts'

/** Who was asked, as far as keys depend on it. */
interface Asked {
  readonly model: string
  readonly promptVersion: string
}

interface Recording {
  readonly replies: ReadonlyMap<string, ChatReply>
  readonly asked: readonly Asked[]
  /** Of all keys and replies. */
  readonly hash: string
}

/**
 * Reads the file; of several replies to a key the first counts, as in a ledger. Its name holds a hash of the replies, so
 * that those of another recording are not taken for them.
 * @throws UserError for a file that cannot be read, InputError for one that holds no reply.
 */
export async function replayModel(file: string): Promise<ChatModel> {
  const { replies, asked, hash } = await readRecording(file)
  const name = `replay:${file}#${hash.slice(0, 8)}`
  const refuse = (problem: string): never => {
    throw new ChatError(`${name}: ${problem}`, { kind: 'refused-request', isTransient: false, maybePaid: false })
  }
  return {
    name,
    model: modelOf(name),
    hasLogprobs: null,
    complete: async (request) => {
      const found = asked.flatMap(({ model, promptVersion }) => {
        const reply = replies.get(keyOf({ model, promptVersion }, request))
        return reply === undefined ? [] : [{ model, reply }]
      })
      if (found.length > 1) refuse(`several models have replied to this: ${found.map(({ model }) => model).join(', ')}`)
      return found[0]?.reply ?? refuse('the file has no reply to this request')
    },
  }
}

function keyOf({ model, promptVersion }: Asked, request: ChatRequest): string {
  return cacheKey({ name: model, model: modelOf(model) }, promptVersion, request)
}

/** What a model is called by its provider: the middle of `provider:model[@address]` and `ai-sdk:provider:model`. */
function modelOf(name: string): string {
  return /^(?:ai-sdk:[^:]*|[^:]*):(.*?)(?:@https?:\/\/.*)?$/is.exec(name)?.[1] ?? name
}

async function readRecording(file: string): Promise<Recording> {
  const replies = new Map<string, ChatReply>()
  const asked = new Map<string, Asked>()
  let hash = ''
  for await (const record of readLedger(file)) {
    if (record.type === 'intent') {
      const { model, promptVersion } = record
      asked.set(JSON.stringify([model, promptVersion]), { model, promptVersion })
    }
    if (record.type !== 'reply' || replies.has(record.key)) continue
    replies.set(record.key, record.reply)
    hash = sha256(hash + JSON.stringify([record.key, record.reply]))
  }
  if (replies.size === 0) {
    throw new InputError({ file }, 'a ledger (judge/ledger.jsonl of a cache folder) with replies', 'none')
  }
  return { replies, asked: [...asked.values()], hash }
}
