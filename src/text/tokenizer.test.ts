import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import { InputError, UserError } from '../base/errors.ts'
import { createTokenizer, loadTokenizer, type Tokenizer } from './tokenizer.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const fixtures = join(root, 'test/fixtures/text')
const smollm2 = join(root, '../shared/models/SmolLM2-135M-Instruct')
const smollm2Expected = join(root, '../shared/fixtures/smollm2')
const scratch = mkdtempSync(join(tmpdir(), 'tokenizer-'))
afterAll(() => rmSync(scratch, { recursive: true }))

const readJson = (path: string) => JSON.parse(readFileSync(path, 'utf8'))

interface Expected {
  readonly texts: { text: string; ids: number[]; text_ids: number[]; decoded: string; decoded_skip_special: string }[]
  readonly chats: { messages: { role: string; content: string }[]; text: string; ids: number[] }[]
}

// test/fixtures/text/make.py made these files and asked tokenizers (Rust) and transformers about them.
const expected: Readonly<Record<string, Expected>> = readJson(join(fixtures, 'expected.json'))

describe.each(Object.keys(expected))('the %s tokenizer', (name) => {
  const tokenizer = loadTokenizer(join(fixtures, name))
  const { texts, chats } = expected[name]

  test.each(texts)('gives the ids and texts of the reference for $text', (row) => {
    expect(tokenizer.encode(row.text)).toEqual(row.ids)
    expect(tokenizer.encodeText(row.text)).toEqual(row.text_ids)
    expect(tokenizer.decode(row.ids)).toBe(row.decoded)
    expect(tokenizer.decode(row.ids, { skipSpecial: true })).toBe(row.decoded_skip_special)
  })

  test('renders conversations as transformers does, to the same ids', () => {
    for (const { messages, text, ids } of chats) {
      expect(tokenizer.renderChat(messages, { addGenerationPrompt: true })).toBe(text)
      expect(tokenizer.chatPrompt(messages)).toEqual(ids)
    }
  })
})

test('the roles of tokens come from whichever of the configuration files names them', () => {
  const byteLevel = loadTokenizer(join(fixtures, 'byte-level'))
  expect(byteLevel).toMatchObject({ bosId: undefined, addsBos: false, eosIds: [2, 0], vocabularySize: 270 })
  expect(byteLevel.token(261)).toBe('Ġthe')
  expect(byteLevel.token(999)).toBe('')
  const sentencePiece = loadTokenizer(join(fixtures, 'sentence-piece'))
  expect(sentencePiece).toMatchObject({ bosId: 1, addsBos: true, eosIds: [2], vocabularySize: 292 })
})

/** A tokenizer of a changed copy of a fixture. */
function variant(name: string, change: (json: ReturnType<typeof readJson>) => void, template?: string): Tokenizer {
  const json = readJson(join(fixtures, name, 'tokenizer.json'))
  change(json)
  const source = template === undefined ? undefined : { source: template, file: 'x.jinja' }
  const names = name === 'byte-level' ? { eos_token: '<|im_end|>' } : { bos_token: '<s>', eos_token: '</s>' }
  return createTokenizer({ file: 'tokenizer.json', json, names, eosIds: [], template: source }, new Date(0))
}

const metaspace = (prepend_scheme: string) => (json: ReturnType<typeof readJson>) => {
  json.normalizer = null
  json.pre_tokenizer = { type: 'Metaspace', replacement: '▁', prepend_scheme, split: false }
}
const tokenizers: Readonly<Record<string, Tokenizer>> = {
  'byte-level': loadTokenizer(join(fixtures, 'byte-level')),
  'sentence-piece': loadTokenizer(join(fixtures, 'sentence-piece')),
  'metaspace first': variant('sentence-piece', metaspace('first')),
  'metaspace always': variant('sentence-piece', metaspace('always')),
  'byte-level with a space before': variant('byte-level', (json) => {
    json.pre_tokenizer = { type: 'ByteLevel', add_prefix_space: true, use_regex: true }
  }),
}
const specials = ['<|im_end|>', '<|im_start|>', '<|endoftext|>', '<s>', '</s>', '<unk>']
const words = fc.oneof(
  fc.constantFrom(...specials, '<|im_', '<think>', '<0x41>', ' ', '  ', '\n', ' the', 'thin', '12', '\ufeff', '▁t'),
  fc.string({ unit: 'binary', maxLength: 6 }),
)
// SentencePiece spells a space as ▁ (U+2581), so a ▁ of the text comes back as a space.
const text = fc.array(words, { maxLength: 6 }).map((parts) => parts.join('').replaceAll('▁', '_'))

describe.each(Object.keys(tokenizers))('pieces of text encoded by %s', (name) => {
  const tokenizer = tokenizers[name]
  const controls = specials.flatMap((token) => {
    const ids = tokenizer.encode(token)
    return ids.length === 1 && token !== '<unk>' ? ids : []
  })

  test('decode to exactly the text before and then the pieces', () => {
    const pieces = fc.array(text, { maxLength: 4 })
    const property = fc.property(text, pieces, (first, others) => {
      const before = tokenizer.encodeText('a' + first)
      const ids = [...before, ...others.flatMap((piece) => tokenizer.encodeContinuation(piece))]
      expect(tokenizer.decode(ids)).toBe(tokenizer.decode(before) + others.join(''))
    })
    fc.assert(property, { numRuns: 300 })
  })

  test('keep their own spaces when decoded alone', () => {
    const property = fc.property(text, (piece) => {
      expect(tokenizer.decodeContinuation(tokenizer.encodeContinuation(piece))).toBe(piece)
    })
    fc.assert(property, { numRuns: 300 })
    expect(tokenizer.decodeContinuation(tokenizer.encodeContinuation(' the'))).toBe(' the')
  })

  test('hold no special token, whatever the text says', () => {
    expect(controls.length).toBeGreaterThan(1)
    const property = fc.property(text, (data) => {
      const ids = [...tokenizer.encodeText(data), ...tokenizer.encodeContinuation(data)]
      expect(ids.filter((id) => controls.includes(id))).toEqual([])
    })
    fc.assert(property, { numRuns: 300 })
  })
})

test('a model that could put a special token together from its letters is not given them in one piece', () => {
  const unigram = variant('sentence-piece', (json) => {
    const pieces = ['<unk>', '<s>', '</s>', '▁', 'a', '<', '/', 's', '>', 'end']
    json.model = { type: 'Unigram', unk_id: 0, vocab: pieces.map((piece, id) => [piece, id < 3 ? 0 : -id]) }
  })
  // Without the cut after '<', Viterbi prefers the special token of score 0 to four letters of −5 … −8.
  expect(unigram.encodeContinuation('a</s>end')).toEqual([4, 5, 6, 7, 8, 9])
  expect(unigram.encode('</s>')).toEqual([2])
})

test('a text of data after a prompt begins with a space only where it has one', () => {
  const { encodeText, encodeContinuation } = loadTokenizer(join(fixtures, 'sentence-piece'))
  expect(encodeText('the')).toEqual([271]) // ▁the
  expect(encodeContinuation('the')).toEqual([275])
  expect(encodeContinuation(' the')).toEqual([271])
})

test('without a chat template, a prompt is the contents as lines, after BOS where the tokenizer adds it', () => {
  const messages = [
    { role: 'system', content: 'in' },
    { role: 'user', content: '</s>' },
  ]
  const { bosId = NaN, chatPrompt, decode, encodeText, ...other } = variant('sentence-piece', () => undefined)
  expect(chatPrompt(messages)).toEqual([bosId, ...encodeText('in\n</s>\n')])
  expect(decode(chatPrompt(messages), { skipSpecial: true })).toBe('in\n</s>\n')
  expect(other).toMatchObject({ hasChatTemplate: false, endOfTurnId: 2 })
  expect(() => other.renderChat(messages, { addGenerationPrompt: true })).toThrow('no chat template')
  expect(variant('byte-level', () => undefined).chatPrompt([{ role: 'user', content: 'the' }])).toEqual([86, 260, 201])
})

describe('the token after an answer', () => {
  const endOf = (name: string, template?: string) => variant(name, () => undefined, template).endOfTurnId

  test('is the first special one that the template writes there', () => {
    const loop = (body: string) => `{% for m in messages %}${body}{% endfor %}`
    expect(endOf('byte-level', loop('{{ m.role }}: {{ m.content }} \n<|endoftext|><|im_end|>'))).toBe(0)
    expect(endOf('byte-level', loop('<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n'))).toBe(2)
    expect(endOf('sentence-piece', loop("{{ bos_token + m.content + ' ' + eos_token }}"))).toBe(2)
  })

  test('stands after the content, not after the same word of a system prompt', () => {
    const template = 'Think stepwise.<|endoftext|>{% for m in messages %}{{ m.content }}<|im_end|>{% endfor %}'
    expect(endOf('byte-level', template)).toBe(2)
  })

  test('is EOS where the template writes none', () => {
    expect(endOf('byte-level', "{% for m in messages %}{{ m.content + '\n\n' }}{% endfor %}")).toBe(2)
    expect(endOf('byte-level', 'nothing of the messages')).toBe(2)
  })
})

test('a date in a template is the one that is given, so that a prompt does not change at midnight', () => {
  const json = readJson(join(fixtures, 'byte-level', 'tokenizer.json'))
  const template = { source: "{{ strftime_now('%d %b %Y') }}", file: 'x.jinja' }
  const source = { file: 'tokenizer.json', json, names: {}, eosIds: [], template }
  const { renderChat } = createTokenizer(source, new Date(2024, 6, 26))
  expect(renderChat([], { addGenerationPrompt: true })).toBe('26 Jul 2024')
})

test('a template that refuses the messages becomes an error with its file and its words', () => {
  const { renderChat } = loadTokenizer(join(fixtures, 'sentence-piece'))
  const messages = [{ role: 'assistant', content: 'the' }]
  const file = join(fixtures, 'sentence-piece', 'tokenizer_config.json')
  const message = `chat template of ${file}: Conversation roles must alternate user/assistant`
  expect(() => renderChat(messages, { addGenerationPrompt: true })).toThrow(new UserError(message))
})

test('a folder without a tokenizer, and files that are not what their names say, are named', () => {
  expect(() => loadTokenizer(scratch)).toThrow(`${scratch}: expected a tokenizer.json or one .gguf file, found neither`)
  expect(() => loadTokenizer(join(scratch, 'none'))).toThrow('expected a model folder or a .gguf file')
  writeFileSync(join(scratch, 'tokenizer.json'), '{"model"')
  expect(() => loadTokenizer(scratch)).toThrow(InputError)
  writeFileSync(join(scratch, 'tokenizer.json'), '[]')
  expect(() => loadTokenizer(scratch)).toThrow(/tokenizer\.json: expected .*, found a list of 0/)
  writeFileSync(join(scratch, 'tokenizer.json'), readFileSync(join(fixtures, 'byte-level/tokenizer.json')))
  writeFileSync(join(scratch, 'tokenizer_config.json'), '{"chat_template": [{"name": "rag", "template": ""}]}')
  expect(() => loadTokenizer(scratch)).toThrow("expected a chat template named 'default', found rag")
  writeFileSync(join(scratch, 'tokenizer_config.json'), '{"eos_token": 7}')
  expect(() => loadTokenizer(scratch)).toThrow('tokenizer_config.json: expected a valid eos_token')
})

describe.skipIf(!existsSync(smollm2) || !existsSync(smollm2Expected))('SmolLM2', () => {
  const paths = [smollm2, join(smollm2, 'SmolLM2-135M-Instruct.Q4_1.gguf')]

  test.each(paths)('from %s has the ids, texts and prompts of transformers', (path) => {
    const tokenizer = loadTokenizer(path)
    expect(tokenizer).toMatchObject({ vocabularySize: 49152, bosId: 1, addsBos: false, eosIds: [2], endOfTurnId: 2 })
    for (const row of readJson(join(smollm2Expected, 'tokenizer.json')).cases) {
      expect(tokenizer.encode(row.text)).toEqual(row.ids)
      expect(tokenizer.decode(row.ids)).toBe(row.decoded)
      expect(tokenizer.decode(row.ids, { skipSpecial: true })).toBe(row.decoded_skip_special)
    }
    for (const row of readJson(join(smollm2Expected, 'chat.json')).cases) {
      const rendered = tokenizer.renderChat(row.messages, { addGenerationPrompt: row.add_generation_prompt })
      expect(rendered).toBe(row.text)
      expect(tokenizer.encode(rendered)).toEqual(row.ids)
    }
  })
})
