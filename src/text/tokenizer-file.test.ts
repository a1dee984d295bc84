import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { InputError, UserError } from '../base/errors.ts'
import { createTokenizer } from './tokenizer.ts'

const fixtures = new URL('../../test/fixtures/text/', import.meta.url)
const texts = ['byte-level', 'sentence-piece'].map((name) =>
  readFileSync(fileURLToPath(new URL(`${name}/tokenizer.json`, fixtures)), 'utf8'),
)

type Json = ReturnType<typeof JSON.parse>

function open(json: unknown) {
  return createTokenizer({ file: 't.json', json, names: {}, eosIds: [], template: undefined }, new Date(0))
}

function change(text: string, edit: (json: Json) => void): Json {
  const json = JSON.parse(text)
  edit(json)
  return json
}

describe('a tokenizer.json is refused, with its name and the place,', () => {
  const refused: Readonly<Record<string, [edit: (json: Json) => void, message: RegExp]>> = {
    'without a model': [(json) => delete json.model, /model/],
    'with a model of an unknown type': [(json) => (json.model.type = 'Magic'), /model\.type, found "Magic"/],
    'with a vocabulary that is a list of words': [
      (json) => (json.model.vocab = ['a']),
      /model\.vocab, found a list of 1/,
    ],
    'with an id that is no whole number': [(json) => (json.model.vocab.Ġthe = 2.5), /ids as model\.vocab/],
    'with a negative id': [(json) => (json.model.vocab.Ġthe = -1), /ids as model\.vocab/],
    'with an id of billions': [(json) => (json.model.vocab.Ġthe = 4e9), /ids as model\.vocab/],
    'with an id that stands twice': [(json) => (json.model.vocab.Ġthe = 7), /each token and id once/],
    'with a merge of three': [
      (json) => json.model.merges.push('a b c'),
      /two tokens that make a third as model\.merges\.9/,
    ],
    'with a merge into no token': [(json) => json.model.merges.push(['z', 'z']), /model\.merges\.9, found a list of 2/],
    'without merges': [(json) => (json.model.merges = 'none'), /model\.merges, found "none"/],
    'with an added token on the id of another': [(json) => (json.added_tokens[3].id = 4), /added_tokens/],
    'with an added token of a second id': [(json) => (json.added_tokens[2].id = 999), /"<\|im_end\|>" in added_tokens/],
    'with an unknown token that does not exist': [(json) => (json.model.unk_token = 'zz'), /unk_token, found "zz"/],
    'with an unknown pre-tokenizer': [
      (json) => (json.pre_tokenizer = { type: 'Magic' }),
      /pre_tokenizer.type, found "Magic"/,
    ],
    'with a pre-tokenizer of no characters': [
      (json) => (json.pre_tokenizer = { type: 'FixedLength', length: 0 }),
      /length/,
    ],
    'with a sequence that is none': [
      (json) => (json.decoder = { type: 'Sequence', decoders: 5 }),
      /decoder\.decoders, found 5/,
    ],
    'with sequences without end': [
      (json) => (json.normalizer = { type: 'Sequence', normalizers: Array(65).fill({ type: 'NFC' }) }),
      /at most 64 as normalizer/,
    ],
    'with a long pattern': [
      (json) => (json.normalizer = { type: 'Replace', pattern: { Regex: 'a'.repeat(2001) }, content: '' }),
      /normalizer\.pattern/,
    ],
    'with a pattern that is none': [
      (json) => (json.pre_tokenizer = { type: 'Split', pattern: { Regex: '(' }, behavior: 'Isolated' }),
      /can be built/,
    ],
    'with a normalizer that makes texts explode': [
      (json) => {
        const grow = { type: 'Replace', pattern: { String: 'a' }, content: 'aa' }
        json.normalizer = { type: 'Sequence', normalizers: Array(40).fill(grow) }
      },
      /64 times longer/,
    ],
  }

  test.each(Object.entries(refused))('%s', (_name, [edit, message]) => {
    const attempt = () => open(change(texts[0], edit))
    expect(attempt).toThrow(InputError)
    expect(attempt).toThrow(/^t\.json: /)
    expect(attempt).toThrow(message)
  })
})

test('old files without a type and with merges in one string are read as before', () => {
  const old = change(texts[0], ({ model }) => {
    delete model.type
    model.unk_token = ''
    model.merges = model.merges.map((merge: string[]) => merge.join(' '))
  })
  expect(open(old).encode(' the thin')).toEqual(open(JSON.parse(texts[0])).encode(' the thin'))
})

test('a pattern that takes exponential time is stopped, and the tokenizer works after it', () => {
  const slow = change(texts[0], (json) => {
    json.pre_tokenizer = { type: 'Split', pattern: { Regex: '(x+x+)+y|.' }, behavior: 'Isolated' }
  })
  const tokenizer = open(slow)
  expect(() => tokenizer.encode('x'.repeat(40))).toThrow('t.json: its patterns need more than 251 ms')
  expect(tokenizer.encode('thin')).toEqual([86, 74, 75, 80]) // the pattern leaves single letters
})

test('whatever stands in the file, it is read or refused by name', () => {
  const values = fc.constantFrom<unknown>(
    null,
    -1,
    0.5,
    1e12,
    '',
    'Sequence',
    '__proto__',
    [],
    [null],
    {},
    { type: 'NFC' },
    true,
  )
  const seed = fc.record({
    text: fc.constantFrom(...texts),
    path: fc.array(fc.nat(), { minLength: 1, maxLength: 7 }),
    value: values,
  })
  const property = fc.property(seed, ({ text, path, value }) => {
    const mutant = change(text, (json) => mutate(json, path, value))
    try {
      const tokenizer = open(mutant)
      tokenizer.decode(tokenizer.encode('the 12</s> é<|im_end|>'))
    } catch (error) {
      if (!(error instanceof UserError)) throw error
    }
  })
  fc.assert(property, { numRuns: Number(process.env.MUTANTS ?? 300) })
})

/** Walks down by the numbers of `path` and puts `value` where they lead. */
function mutate(json: Json, path: readonly number[], value: unknown): void {
  const [first, ...rest] = path
  const keys = Object.keys(json)
  const key = keys[first % keys.length]
  const inner = json[key]
  if (rest.length > 0 && typeof inner === 'object' && inner !== null && Object.keys(inner).length > 0)
    mutate(inner, rest, value)
  else json[key] = value
}
