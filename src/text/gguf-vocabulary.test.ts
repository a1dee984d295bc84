import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { InputError } from '../base/errors.ts'
import { ggufTokenizer } from './gguf-vocabulary.ts'
import { createTokenizer } from './tokenizer.ts'

const readFixture = (name: string) =>
  JSON.parse(readFileSync(fileURLToPath(new URL(`../../test/fixtures/text/${name}`, import.meta.url)), 'utf8'))
const sentencePiece: Readonly<Record<string, unknown>> = readFixture('gguf-metadata.json')
const expected = readFixture('expected.json')

const open = (metadata: Readonly<Record<string, unknown>>) =>
  createTokenizer(ggufTokenizer(new Map(Object.entries(metadata)), 'x.gguf'), new Date(0))

test('a SentencePiece vocabulary gives the ids and prompts of its tokenizer.json', () => {
  const tokenizer = open(sentencePiece)
  expect(tokenizer).toMatchObject({ bosId: 1, addsBos: true, eosIds: [2], endOfTurnId: 2, vocabularySize: 292 })
  for (const row of expected['sentence-piece'].texts) {
    expect(tokenizer.encode(row.text)).toEqual(row.ids)
    expect(tokenizer.encodeText(row.text)).toEqual(row.text_ids)
    expect(tokenizer.decode(row.ids)).toBe(row.decoded)
  }
  for (const { messages, ids } of expected['sentence-piece'].chats) expect(tokenizer.chatPrompt(messages)).toEqual(ids)
})

test('merges are derived from scores in the order of transformers, ties by length', () => {
  const { json } = ggufTokenizer(new Map(Object.entries(sentencePiece)), 'x.gguf')
  expect(json).toMatchObject({ model: { merges: readFixture('sentence-piece/tokenizer.json').model.merges } })
})

test('derived merges make no token that text must not hold', () => {
  const {
    'tokenizer.ggml.tokens': tokens,
    'tokenizer.ggml.token_type': types,
    'tokenizer.ggml.scores': scores,
  } = sentencePiece
  if (!Array.isArray(tokens) || !Array.isArray(types) || !Array.isArray(scores)) throw new Error('fixture')
  // With the piece 's>', '</s>' could be made of '</' and 's>'.
  const metadata = {
    ...sentencePiece,
    'tokenizer.ggml.tokens': [...tokens, 's>'],
    'tokenizer.ggml.token_type': [...types, 1],
    'tokenizer.ggml.scores': [...scores, -99],
  }
  const json = JSON.stringify(ggufTokenizer(new Map(Object.entries(metadata)), 'x.gguf').json)
  expect(json).toContain('["s",">"]')
  expect(json).not.toContain('["</","s>"]')
})

/** The byte-level fixture as GGUF metadata, with `pre`. */
function byteLevel(pre: string | undefined): Readonly<Record<string, unknown>> {
  const json = readFixture('byte-level/tokenizer.json')
  const tokens: string[] = []
  for (const [token, id] of Object.entries<number>(json.model.vocab)) tokens[id] = token
  for (const { id, content } of json.added_tokens) tokens[id] = content
  const types = tokens.map((_, id) => (id < 3 ? 3 : id < 268 ? 1 : 4))
  return {
    'tokenizer.ggml.model': 'gpt2',
    'tokenizer.ggml.tokens': tokens,
    'tokenizer.ggml.token_type': types,
    'tokenizer.ggml.merges': json.model.merges.map((merge: string[]) => merge.join(' ')),
    'tokenizer.ggml.bos_token_id': 1,
    'tokenizer.ggml.eos_token_id': 0,
    'tokenizer.ggml.eot_token_id': 2,
    ...(pre === undefined ? {} : { 'tokenizer.ggml.pre': pre }),
  }
}

test('a byte-level vocabulary with digits apart gives the ids of its tokenizer.json', () => {
  const tokenizer = open(byteLevel('smollm'))
  expect(tokenizer).toMatchObject({ bosId: 1, addsBos: false, eosIds: [0, 2], vocabularySize: 270 })
  for (const row of expected['byte-level'].texts) expect(tokenizer.encode(row.text)).toEqual(row.ids)
})

test('answers also end with the token that the template puts behind them, which most files do not name otherwise', () => {
  const { 'tokenizer.ggml.eot_token_id': _, ...named } = byteLevel('smollm')
  const template = '{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}'
  expect(open(named)).toMatchObject({ eosIds: [0] })
  expect(open({ ...named, 'tokenizer.chat_template': template })).toMatchObject({ eosIds: [0, 2], endOfTurnId: 2 })
})

test.each([
  // Only where digits may stand together does the merge '1 2' → 266 come to pass, and three go together at most.
  ['smollm', ' 12.1212', [223, 19, 20, 16, 19, 20, 19, 20]],
  ['qwen2', ' 12.1212', [223, 19, 20, 16, 19, 20, 19, 20]],
  ['gpt-2', ' 12.1212', [223, 266, 16, 266, 266]],
  ['llama-bpe', ' 12.1212', [223, 266, 16, 266, 19, 20]],
  ['dbrx', ' 12.1212', [223, 266, 16, 266, 19, 20]],
  ['default', ' 12.1212', [223, 266, 16, 266, 19, 20]],
  [undefined, ' 12.1212', [223, 266, 16, 266, 19, 20]],
])('the pre-tokenizer %s splits %j as llama.cpp does', (pre, text, ids) => {
  expect(open(byteLevel(pre)).encode(text)).toEqual(ids)
})

test('llama-bpe begins a text with BOS unless the file says otherwise', () => {
  expect(open(byteLevel('llama-bpe')).addsBos).toBe(true)
  expect(open({ ...byteLevel('llama-bpe'), 'tokenizer.ggml.add_bos_token': false }).addsBos).toBe(false)
  expect(open({ ...byteLevel('smollm'), 'tokenizer.ggml.add_bos_token': true }).addsBos).toBe(true)
})

test.each([
  ['no tokenizer', {}, /tokenizer\.ggml\.model/],
  ['another model', { ...sentencePiece, 'tokenizer.ggml.model': 'rwkv' }, /tokenizer\.ggml\.model/],
  ['an unknown pre-tokenizer', byteLevel('magic'), /one of default, .*, found "magic"/],
  ['fewer scores than tokens', { ...sentencePiece, 'tokenizer.ggml.scores': [1] }, /scores of as many tokens, found 1/],
  ['a token twice', { ...byteLevel('gpt-2'), 'tokenizer.ggml.tokens': ['a', 'b', 'a'] }, /found "a" again/],
  ['tokens that are numbers', { ...sentencePiece, 'tokenizer.ggml.tokens': [1, 2] }, /tokenizer\.ggml\.tokens\.0/],
  ['no merges', { ...byteLevel('gpt-2'), 'tokenizer.ggml.merges': undefined }, /model\.merges/],
  ['an endless token', { ...sentencePiece, 'tokenizer.ggml.tokens': ['a'.repeat(257)] }, /tokenizer\.ggml\.tokens\.0/],
])('metadata with %s is refused by name', (_name, metadata, message) => {
  expect(() => open(metadata)).toThrow(InputError)
  expect(() => open(metadata)).toThrow(message)
  expect(() => open(metadata)).toThrow(/^x\.gguf: /)
})
