/**
 * @file The parts of a tokenizer.json that the tokenizers library can run, as schemas. What is not named here is
 * dropped; bounds keep a file from making texts or patterns explode.
 * Format: https://huggingface.co/docs/tokenizers/api/tokenizer
 */
import { z } from 'zod'

/** No vocabulary known has more than 262,400. */
export const MAX_TOKENS = 1 << 21
/** Of a sequence of normalizers, pre-tokenizers and so on. */
export const MAX_PARTS = 64
const MAX_PATTERN_CHARACTERS = 2000
const MAX_PIECE_CHARACTERS = 1000

const piece = z.string().max(MAX_PIECE_CHARACTERS)
const mark = z.string().min(1).max(8).default('▁')
const flag = z.boolean().nullish()
const id = z
  .int()
  .min(0)
  .max(MAX_TOKENS - 1)
const pattern = z.union([
  z.object({ Regex: z.string().max(MAX_PATTERN_CHARACTERS) }),
  z.object({ String: piece.min(1) }),
])

const named = <T extends string>(type: T) => z.object({ type: z.literal(type) })
const replace = named('Replace').extend({ pattern, content: piece.default('') })

export const normalizer = z.discriminatedUnion('type', [
  named('BertNormalizer').extend({
    clean_text: flag,
    handle_chinese_chars: flag,
    strip_accents: flag,
    lowercase: flag,
  }),
  named('Precompiled'),
  named('NFC'),
  named('NFD'),
  named('NFKC'),
  named('NFKD'),
  named('Strip').extend({ strip_left: flag, strip_right: flag }),
  named('StripAccents'),
  named('Lowercase'),
  named('Prepend').extend({ prepend: piece }),
  replace,
])

export const preTokenizer = z.discriminatedUnion('type', [
  named('BertPreTokenizer'),
  named('Whitespace'),
  named('WhitespaceSplit'),
  named('Punctuation'),
  named('Digits').extend({ individual_digits: flag }),
  named('FixedLength').extend({ length: z.int().min(1) }),
  named('ByteLevel').extend({ add_prefix_space: flag, use_regex: flag }),
  named('Metaspace').extend({
    replacement: mark,
    prepend_scheme: z.enum(['always', 'first', 'never']).optional(),
    add_prefix_space: flag,
  }),
  named('Split').extend({ pattern, behavior: z.string(), invert: flag }),
  replace,
])

export const decoder = z.discriminatedUnion('type', [
  named('ByteLevel'),
  named('ByteFallback'),
  named('Fuse'),
  named('Metaspace').extend({ replacement: mark }),
  named('WordPiece').extend({ prefix: piece.default('##'), cleanup: flag }),
  named('BPEDecoder').extend({ suffix: piece.min(1).default('</w>') }),
  named('Strip').extend({ content: piece, start: z.int().min(0), stop: z.int().min(0) }),
  replace,
])

const frame = z.tuple([piece, id])
export const postProcessor = z.discriminatedUnion('type', [
  named('ByteLevel'),
  named('BertProcessing').extend({ cls: frame, sep: frame }),
  named('RobertaProcessing').extend({ cls: frame, sep: frame }),
  named('TemplateProcessing').extend({
    single: z.array(z.record(z.string(), z.object({ id: piece }))).max(MAX_PARTS),
  }),
])

export const tokenizerFile = z.object({
  model: z.object({
    type: z.enum(['BPE', 'WordPiece', 'Unigram']).optional(),
    vocab: z.unknown().optional(),
    merges: z.unknown().optional(),
    unk_token: piece.nullish(),
    unk_id: id.nullish(),
    fuse_unk: flag,
    byte_fallback: flag,
    ignore_merges: flag,
    continuing_subword_prefix: piece.nullish(),
    end_of_word_suffix: piece.nullish(),
    max_input_chars_per_word: z.int().min(1).max(MAX_PIECE_CHARACTERS).nullish(),
  }),
  added_tokens: z
    .array(
      z.object({
        id,
        content: piece.min(1),
        lstrip: flag,
        rstrip: flag,
        normalized: flag,
        special: z.boolean().default(false),
      }),
    )
    .max(MAX_TOKENS)
    .default([]),
  normalizer: z.unknown().optional(),
  pre_tokenizer: z.unknown().optional(),
  post_processor: z.unknown().optional(),
  decoder: z.unknown().optional(),
})

export type Normalizer = z.infer<typeof normalizer>
export type PreTokenizer = z.infer<typeof preTokenizer>
export type Decoder = z.infer<typeof decoder>
export type PostProcessor = z.infer<typeof postProcessor>
export type RawModel = z.infer<typeof tokenizerFile>['model']
export type AddedToken = z.infer<typeof tokenizerFile>['added_tokens'][number]
