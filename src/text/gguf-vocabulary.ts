/**
 * @file The tokenizer in a GGUF file's metadata, as the content of a tokenizer.json. llama.cpp (llama-vocab.cpp) says
 * how the text is split, transformers (generate_merges) which merges a SentencePiece vocabulary implies.
 */
import { z } from 'zod'
import { InputError } from '../base/errors.ts'
import { GPT2_PATTERN, LLAMA_CPP_DEFAULT_PATTERNS, LLAMA3_PATTERN, QWEN2_PATTERN } from './patterns.ts'
import type { TokenizerSource } from './tokenizer-source.ts'

/** What a token is for, by llama.cpp's numbers: text, or one of these. */
const UNKNOWN = 2
const CONTROL = 3
const USER_DEFINED = 4
const BYTE = 6

/** Finding the merges takes time in the square of the length; the longest known piece has 93 characters. */
const MAX_PIECE_CHARACTERS = 256

const id = z.int().min(0).optional()
const vocabularyFields = z.object({
  'tokenizer.ggml.model': z.enum(['gpt2', 'llama']),
  'tokenizer.ggml.pre': z.string().default('default'),
  'tokenizer.ggml.tokens': z.array(z.string().max(MAX_PIECE_CHARACTERS)),
  'tokenizer.ggml.scores': z.array(z.number()).optional(),
  'tokenizer.ggml.token_type': z.array(z.int()).default([]),
  'tokenizer.ggml.merges': z.array(z.string()).optional(),
  'tokenizer.ggml.bos_token_id': id,
  'tokenizer.ggml.eos_token_id': id,
  'tokenizer.ggml.eot_token_id': id,
  'tokenizer.ggml.unknown_token_id': id,
  'tokenizer.ggml.padding_token_id': id,
  'tokenizer.ggml.add_bos_token': z.boolean().optional(),
  'tokenizer.ggml.add_space_prefix': z.boolean().default(true),
  'tokenizer.chat_template': z.string().optional(),
})
type Fields = z.infer<typeof vocabularyFields>

interface Splitting {
  readonly patterns: readonly string[]
  /** Words that are tokens stay whole, whatever the merges make of them, and a text begins with BOS. */
  readonly llama3?: true
}

const llama3: Splitting = { patterns: [LLAMA3_PATTERN], llama3: true }
const qwen2: Splitting = { patterns: [QWEN2_PATTERN] }

/** By `tokenizer.ggml.pre`. */
const splittings: ReadonlyMap<string, Splitting> = new Map([
  ['default', { patterns: LLAMA_CPP_DEFAULT_PATTERNS }],
  ['gpt-2', { patterns: [GPT2_PATTERN] }],
  ['smollm', { patterns: ['\\p{N}', GPT2_PATTERN] }],
  ['llama-bpe', llama3],
  ['llama3', llama3],
  ['llama-v3', llama3],
  // Phi-4 among others. Llama 3's words, without its other ways.
  ['dbrx', { patterns: [LLAMA3_PATTERN] }],
  ['smaug-bpe', { patterns: [LLAMA3_PATTERN] }],
  ['qwen2', qwen2],
  ['deepseek-r1-qwen', qwen2],
])

/**
 * The tokenizer that the metadata of a GGUF file describes; `file` names it in errors.
 * @throws InputError where there is none, or one of a kind that is not known.
 */
export function ggufTokenizer(metadata: ReadonlyMap<string, unknown>, file: string): TokenizerSource {
  const parsed = vocabularyFields.safeParse(Object.fromEntries(metadata))
  if (!parsed.success) {
    const [{ path, message }] = parsed.error.issues
    throw new InputError({ file }, `a tokenizer of kind gpt2 or llama in its metadata`, `${path.join('.')}: ${message}`)
  }
  const fields = parsed.data
  const tokenOf = (id: number | undefined) => (id === undefined ? undefined : fields['tokenizer.ggml.tokens'][id])
  const template = fields['tokenizer.chat_template']
  const endOfTurn = fields['tokenizer.ggml.eot_token_id']
  return {
    file,
    json: fields['tokenizer.ggml.model'] === 'gpt2' ? byteLevelJson(fields, file) : sentencePieceJson(fields, file),
    names: {
      bos_token: tokenOf(fields['tokenizer.ggml.bos_token_id']),
      eos_token: tokenOf(fields['tokenizer.ggml.eos_token_id']),
      unk_token: tokenOf(fields['tokenizer.ggml.unknown_token_id']),
      pad_token: tokenOf(fields['tokenizer.ggml.padding_token_id']),
    },
    eosIds: endOfTurn === undefined ? [] : [endOfTurn],
    template: template === undefined ? undefined : { source: template, file },
  }
}

function byteLevelJson(fields: Fields, file: string): object {
  const splitting = splittings.get(fields['tokenizer.ggml.pre'])
  if (splitting === undefined) {
    const known = [...splittings.keys()].join(', ')
    throw new InputError({ file }, `tokenizer.ggml.pre one of ${known}`, JSON.stringify(fields['tokenizer.ggml.pre']))
  }
  const splits = splitting.patterns.map((pattern) => ({
    type: 'Split',
    pattern: { Regex: pattern },
    behavior: 'Isolated',
    invert: false,
  }))
  return {
    ...commonJson(fields, splitting.llama3 ?? false),
    pre_tokenizer: { type: 'Sequence', pretokenizers: [...splits, { type: 'ByteLevel', use_regex: false }] },
    decoder: { type: 'ByteLevel' },
    model: {
      type: 'BPE',
      vocab: vocabularyOf(fields, file),
      merges: fields['tokenizer.ggml.merges'],
      ignore_merges: splitting.llama3,
    },
  }
}

function sentencePieceJson(fields: Fields, file: string): object {
  const prefixed = fields['tokenizer.ggml.add_space_prefix']
  const spaceToMark = { type: 'Replace', pattern: { String: ' ' }, content: '▁' }
  const markToSpace = { type: 'Replace', pattern: { String: '▁' }, content: ' ' }
  const prepend = { type: 'Prepend', prepend: '▁' }
  const strip = { type: 'Strip', content: ' ', start: 1, stop: 0 }
  return {
    ...commonJson(fields, true),
    normalizer: { type: 'Sequence', normalizers: [...(prefixed ? [prepend] : []), spaceToMark] },
    decoder: {
      type: 'Sequence',
      decoders: [markToSpace, { type: 'ByteFallback' }, { type: 'Fuse' }, ...(prefixed ? [strip] : [])],
    },
    model: {
      type: 'BPE',
      vocab: vocabularyOf(fields, file),
      merges: fields['tokenizer.ggml.merges'] ?? impliedMerges(fields, file),
      unk_token: fields['tokenizer.ggml.tokens'][fields['tokenizer.ggml.unknown_token_id'] ?? -1],
      fuse_unk: true,
      byte_fallback: true,
    },
  }
}

/** The tokens that stand for themselves in a text, and BOS before it. */
function commonJson(fields: Fields, addsBosByDefault: boolean): object {
  const types = fields['tokenizer.ggml.token_type']
  const tokens = fields['tokenizer.ggml.tokens']
  const added = tokens.flatMap((content, id) => {
    const special = types[id] === CONTROL || types[id] === UNKNOWN
    return special || types[id] === USER_DEFINED ? [{ id, content, special, normalized: false }] : []
  })
  const bos = tokens[fields['tokenizer.ggml.bos_token_id'] ?? -1]
  const addsBos = bos !== undefined && (fields['tokenizer.ggml.add_bos_token'] ?? addsBosByDefault)
  const single = [...(addsBos ? [{ SpecialToken: { id: bos } }] : []), { Sequence: { id: 'A' } }]
  return { added_tokens: added, post_processor: { type: 'TemplateProcessing', single } }
}

function vocabularyOf(fields: Fields, file: string): object {
  const tokens = fields['tokenizer.ggml.tokens']
  const ids = new Map(tokens.map((token, id) => [token, id]))
  if (ids.size === tokens.length) return Object.fromEntries(ids)
  const again = tokens.find((token, id) => ids.get(token) !== id)
  throw new InputError({ file }, 'each of tokenizer.ggml.tokens once', `${JSON.stringify(again)} again`)
}

/**
 * Every way to put a piece together from two others, best score first, then the longer left part, then the longer
 * right one (transformers, generate_merges). Pieces that never come out of text are left out.
 */
function impliedMerges(fields: Fields, file: string): readonly [string, string][] {
  const tokens = fields['tokenizer.ggml.tokens']
  const scores = fields['tokenizer.ggml.scores']
  if (scores?.length !== tokens.length) {
    throw new InputError({ file }, 'tokenizer.ggml.scores of as many tokens', `${scores?.length ?? 'none'}`)
  }
  const pieces = new Set(tokens)
  const merges = tokens.flatMap((token, id) => {
    if ([UNKNOWN, CONTROL, BYTE].includes(fields['tokenizer.ggml.token_type'][id])) return []
    return splitsOf(token, pieces).map((split) => ({ ...split, score: scores[id] }))
  })
  merges.sort((a, b) => b.score - a.score || b.leftLength - a.leftLength || b.rightLength - a.rightLength)
  return merges.map(({ left, right }) => [left, right])
}

/** The cuts of a piece into two pieces; lengths in code points. */
function splitsOf(token: string, pieces: ReadonlySet<string>) {
  const characters = [...token]
  const splits = []
  for (let leftLength = 1; leftLength < characters.length; leftLength++) {
    const left = characters.slice(0, leftLength).join('')
    const right = token.slice(left.length)
    if (!pieces.has(left) || !pieces.has(right)) continue
    splits.push({ left, right, leftLength, rightLength: characters.length - leftLength })
  }
  return splits
}
