/**
 * @file The tokenizers library of Hugging Face, given files it can run. Corrects where it differs from the reference
 * (tokenizers, Rust): digits and white space beyond ASCII, and a byte order mark inside a text.
 */
import { Tokenizer as LibraryTokenizer } from '@huggingface/tokenizers'
import { InputError, messageOf } from '../base/errors.ts'
import { GPT2_PATTERN } from './patterns.ts'
import type { TokenizerFile } from './tokenizer-file.ts'
import type { PreTokenizer } from './tokenizer-schema.ts'

// What is used of the library; its own declarations do not resolve under nodenext.
interface LibraryDecoder {
  readonly decoders?: readonly LibraryDecoder[]
  text_decoder?: object
}
interface LibraryPreTokenizer {
  readonly tokenizers?: readonly LibraryPreTokenizer[]
  readonly byte_encoder?: object
  pre_tokenize_text(text: string): string[]
}
interface LibraryModel {
  readonly vocab: readonly (string | undefined)[]
  encode(pieces: readonly string[]): string[]
}
export interface Library {
  model: LibraryModel
  readonly pre_tokenizer: LibraryPreTokenizer | null
  readonly decoder: LibraryDecoder | null
  encode(text: string, options: { readonly add_special_tokens: boolean }): { readonly ids: number[] }
  decode(ids: readonly number[], options: { readonly clean_up_tokenization_spaces: boolean }): string
  token_to_id(token: string): number | undefined
}

/** Of what is remembered: more than the words of a language, and pieces as long as words. */
const MAX_REMEMBERED = 50_000
const MAX_REMEMBERED_LENGTH = 64

const NO_MODEL = { type: 'BPE', vocab: {}, merges: [] }

/**
 * Builds the library's tokenizer, with the model of `shared` where it is given: it is the part that takes memory.
 * `name` stands for the file in errors.
 * @throws InputError for a pattern that is no regular expression.
 */
export function openLibrary(file: TokenizerFile, name: string, shared?: Library): Library {
  try {
    const json = {
      added_tokens: file.addedTokens,
      normalizer: sequence('normalizers', file.normalizers),
      pre_tokenizer: sequence('pretokenizers', file.preTokenizers.flatMap(likeReference)),
      post_processor: sequence('processors', file.postProcessors),
      decoder: sequence('decoders', file.decoders),
      model: shared === undefined ? file.model : NO_MODEL,
    }
    const library: Library = new LibraryTokenizer(json, {})
    if (shared === undefined) rememberTokens(library.model)
    else library.model = shared.model
    rememberBytes(library.pre_tokenizer)
    keepByteOrderMarks(library.decoder)
    return library
  } catch (error) {
    const found = messageOf(error).slice(0, 200)
    throw new InputError({ file: name }, 'a tokenizer that can be built', found, { cause: error })
  }
}

/** One part stays as it is: the library gives added tokens only to a decoder that is no sequence. */
function sequence(childrenKey: string, parts: readonly object[]): object | null {
  return parts.length > 1 ? { type: 'Sequence', [childrenKey]: parts } : (parts[0] ?? null)
}

/** The library's own digits are ASCII only, and the white space of its byte-level pattern is JavaScript's. */
function likeReference(part: PreTokenizer): readonly PreTokenizer[] {
  if (part.type === 'Digits') return [split(part.individual_digits ? '\\p{N}' : '\\p{N}+')]
  if (part.type === 'ByteLevel' && part.use_regex !== false && !part.add_prefix_space) {
    return [split(GPT2_PATTERN), { ...part, use_regex: false }]
  }
  if (part.type !== 'Metaspace') return [part]
  return [{ ...part, prepend_scheme: part.prepend_scheme ?? (part.add_prefix_space === false ? 'never' : 'always') }]
}

function split(pattern: string): PreTokenizer {
  return { type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false }
}

function keepByteOrderMarks(decoder: LibraryDecoder | null): void {
  for (const part of decoder?.decoders ?? [decoder]) {
    if (part?.text_decoder) part.text_decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  }
}

/** With the next, makes the encoding of steps 2.4 times faster: a few thousand words are most of them. */
function rememberTokens(model: LibraryModel): void {
  const encode = model.encode.bind(model)
  const encodePiece = remember((piece) => encode([piece]))
  model.encode = (pieces) => pieces.flatMap(encodePiece)
}

/** The byte-level spelling of a word, which the library makes byte by byte. */
function rememberBytes(preTokenizer: LibraryPreTokenizer | null): void {
  for (const part of preTokenizer?.tokenizers ?? [preTokenizer]) {
    if (part?.byte_encoder) part.pre_tokenize_text = remember(part.pre_tokenize_text.bind(part))
  }
}

function remember(work: (piece: string) => string[]): (piece: string) => string[] {
  const results = new Map<string, string[]>()
  return (piece) => {
    if (piece.length > MAX_REMEMBERED_LENGTH) return work(piece)
    const known = results.get(piece)
    if (known !== undefined) return known
    const result = work(piece)
    if (results.size === MAX_REMEMBERED) results.clear()
    results.set(piece, result)
    return result
  }
}
