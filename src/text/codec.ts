/**
 * @file Encoders for the three places where text stands, and decoders. Only what a template has written may hold
 * special tokens: in data they are letters, or whoever wrote the data could end a turn.
 */
import { codeOf, UserError } from '../base/errors.ts'
import { withDeadline } from './deadline.ts'
import { type Library, openLibrary } from './library.ts'
import { LINEAR_PATTERNS } from './patterns.ts'
import type { TokenizerFile } from './tokenizer-file.ts'
import type { AddedToken } from './tokenizer-schema.ts'

interface DecodeOptions {
  /** Leaves the special tokens out of the text. */
  readonly skipSpecial?: boolean
}

/** Text to ids and back. */
export interface Codec {
  /** The ids of a text that a template has rendered: special tokens are recognised, none is added. */
  encode(text: string): number[]
  /** The ids of a text of data that begins a sequence: what looks like a special token is text. */
  encodeText(text: string): number[]
  /**
   * The ids of a text of data that follows others. `decode([...before, ...ids])` is the text before and then exactly
   * this one, unless the tokenizer normalises Unicode, spells spaces with a character of the text, or knows no bytes.
   */
  encodeContinuation(text: string): number[]
  /** The same for a text in which special tokens were written on purpose: they are recognised. */
  encodeRenderedContinuation(text: string): number[]
  decode(ids: readonly number[], options?: DecodeOptions): string
  /** The text of ids that follow others: keeps a space at its start, where `decode` may take it for a mark. */
  decodeContinuation(ids: readonly number[], options?: DecodeOptions): string
}

export interface OpenCodec extends Codec {
  /** `encode` with the tokens that the file puts around a text. */
  framed(text: string): number[]
  /** By id; undefined for an id that no token has. */
  readonly tokens: readonly (string | undefined)[]
  /** The special tokens, without the one for unknown text. */
  readonly controlIds: ReadonlySet<number>
}

type Encoder = (text: string) => number[]
type Run = <T>(length: number, work: () => T) => T

/** A text of n characters or tokens may take RUN_MS + n / UNITS_PER_MS, ten times what ordinary patterns take. */
const RUN_MS = 250
const UNITS_PER_MS = 100

/** Makes the encoders of a file; `name` stands for it in errors. @throws InputError where the library cannot run it. */
export function openCodec(file: TokenizerFile, name: string): OpenCodec {
  const run = hasOnlyLinearPatterns(file) ? runAtOnce : runWithin(name)
  const encoder =
    (library: Library, framed = false): Encoder =>
    (text) =>
      run(text.length, () => library.encode(text, { add_special_tokens: framed }).ids)
  const library = openLibrary(file, name)
  const data = { ...file, addedTokens: file.addedTokens.filter(({ special }) => !special) }
  const beginning = encoder(openLibrary(data, name, library))
  const following = encoder(openLibrary(withoutPrefix(data), name, library))
  const control = file.addedTokens.filter((token) => token.special && !isUnknown(file, token))
  const controlIds = idsOf(control)
  const cut = cutter(control.map(({ content }) => content))
  // A model may put a special token together from its letters. Cut in two, they cannot meet.
  const asText =
    (encodeFirst: Encoder): Encoder =>
    (text) => {
      const ids = encodeFirst(text)
      if (!ids.some((id) => controlIds.has(id))) return ids
      const [first, ...others] = cut(text)
      return [...encodeFirst(first), ...others.flatMap(following)]
    }
  const encodeContinuation = asText(following)
  const specialIds = idsOf(file.addedTokens.filter(({ special }) => special))
  return {
    encode: encoder(library),
    encodeText: asText(beginning),
    encodeContinuation,
    encodeRenderedContinuation: encoder(openLibrary(withoutPrefix(file), name, library)),
    ...decoders(library, specialIds, encodeContinuation('a'), run),
    framed: encoder(library, true),
    tokens: library.model.vocab,
    controlIds,
  }
}

function idsOf(tokens: readonly AddedToken[]): ReadonlySet<number> {
  return new Set(tokens.map(({ id }) => id))
}

function isUnknown({ model }: TokenizerFile, { id, content }: AddedToken): boolean {
  return id === model.unk_id || content === model.unk_token
}

/** The file without the space, or mark of one, that it puts before a text. */
function withoutPrefix(file: TokenizerFile): TokenizerFile {
  return {
    ...file,
    normalizers: file.normalizers.filter(({ type }) => type !== 'Prepend'),
    preTokenizers: file.preTokenizers.map((part) => {
      if (part.type === 'Metaspace') return { ...part, prepend_scheme: 'never' }
      return part.type === 'ByteLevel' ? { ...part, add_prefix_space: false } : part
    }),
  }
}

/** Cuts a text after the first character of each of `words` that stands in it. */
function cutter(words: readonly string[]): (text: string) => string[] {
  const escaped = words.map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
  const afterFirst = new RegExp(`(?<=(?=${escaped.join('|')})[\\s\\S])`, 'u')
  return (text) => text.split(afterFirst)
}

/** `anchor` is a text without a space before it, so that after it every mark of a space is a space. */
function decoders(
  library: Library,
  specialIds: ReadonlySet<number>,
  anchor: readonly number[],
  run: Run,
): Pick<Codec, 'decode' | 'decodeContinuation'> {
  const decode: Codec['decode'] = (ids, { skipSpecial = false } = {}) => {
    const known = ids.filter((id) => library.model.vocab[id] !== undefined && !(skipSpecial && specialIds.has(id)))
    if (known.length === 0) return ''
    return run(known.length, () => library.decode(known, { clean_up_tokenization_spaces: false }))
  }
  const anchorLength = decode(anchor).length
  return { decode, decodeContinuation: (ids, options) => decode([...anchor, ...ids], options).slice(anchorLength) }
}

function hasOnlyLinearPatterns(file: TokenizerFile): boolean {
  return [...file.normalizers, ...file.preTokenizers, ...file.decoders].every(
    (part) => !('pattern' in part && 'Regex' in part.pattern) || LINEAR_PATTERNS.has(part.pattern.Regex),
  )
}

function runAtOnce<T>(_length: number, work: () => T): T {
  return work()
}

/** Regular expressions of strangers may take time that doubles with every character. */
function runWithin(name: string): Run {
  return (length, work) => {
    const limitMs = Math.ceil(RUN_MS + length / UNITS_PER_MS)
    try {
      return withDeadline(limitMs, work)
    } catch (error) {
      if (codeOf(error) !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw error
      throw new UserError(`${name}: its patterns need more than ${limitMs} ms for a text of ${length}`, {
        cause: error,
      })
    }
  }
}
