/** Tokenizers and chat templates built as those of model families are, against tokenizers (Rust) and transformers. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { ChatMessage } from './chat.ts'
import { loadTokenizer } from './tokenizer.ts'

// make.py in this folder made the files, and asked the Python libraries about them.
const folder = join(import.meta.dirname, '../../test/fixtures/text/families')

interface Expected {
  readonly end_of_turn: string
  readonly eos: readonly string[]
  readonly texts: readonly { text: string; ids: number[]; text_ids: number[]; decoded: string }[]
  readonly chats: readonly { messages: ChatMessage[]; text: string; ids: number[] }[]
}

const expected: Readonly<Record<string, Expected>> = JSON.parse(readFileSync(join(folder, 'expected.json'), 'utf8'))

describe.each(Object.entries(expected))('%s', (name, { end_of_turn, eos, texts, chats }) => {
  const tokenizer = loadTokenizer(join(folder, name))

  test('texts have the ids of the reference, and ids its texts', () => {
    for (const { text, ids, text_ids, decoded } of texts) {
      expect(tokenizer.encode(text), text).toEqual(ids)
      expect(tokenizer.encodeText(text), text).toEqual(text_ids)
      expect(tokenizer.decode(ids), text).toBe(decoded)
    }
  })

  test('conversations are rendered as transformers renders them', () => {
    expect(tokenizer.hasChatTemplate).toBe(chats.length > 0)
    for (const { messages, text, ids } of chats) {
      expect(tokenizer.renderChat(messages, { addGenerationPrompt: true })).toBe(text)
      expect(tokenizer.chatPrompt(messages)).toEqual(ids)
    }
  })

  test('a turn ends with the token of its template; a completion with any that generation_config.json lists', () => {
    expect(tokenizer.token(tokenizer.endOfTurnId ?? -1)).toBe(end_of_turn)
    expect(tokenizer.eosIds.map(tokenizer.token).sort()).toEqual([...eos].sort())
  })
})
