/** @file A tokenizer.json, checked and made flat: what the tokenizers library would trip over, or follow blindly. */
import type { z } from 'zod'
import { InputError } from '../base/errors.ts'
import {
  type AddedToken,
  type Decoder,
  decoder,
  MAX_PARTS,
  MAX_TOKENS,
  type Normalizer,
  normalizer,
  type PostProcessor,
  type PreTokenizer,
  postProcessor,
  preTokenizer,
  type RawModel,
  tokenizerFile,
} from './tokenizer-schema.ts'

type Vocabulary = Readonly<Record<string, number>>
type Merge = readonly [left: string, right: string]
type ScoredPiece = readonly [piece: string, score: number]

export type TokenizerModel = Omit<RawModel, 'type' | 'vocab' | 'merges'> &
  (
    | { readonly type: 'BPE'; readonly vocab: Vocabulary; readonly merges: readonly Merge[] }
    | { readonly type: 'WordPiece'; readonly vocab: Vocabulary }
    | { readonly type: 'Unigram'; readonly vocab: readonly ScoredPiece[] }
  )

/** A sequence of parts is a list here: each works on what the one before it made. */
export interface TokenizerFile {
  readonly model: TokenizerModel
  readonly addedTokens: readonly AddedToken[]
  readonly normalizers: readonly Normalizer[]
  readonly preTokenizers: readonly PreTokenizer[]
  readonly postProcessors: readonly PostProcessor[]
  readonly decoders: readonly Decoder[]
  /** The id of every token, those of the model and those added. */
  readonly ids: ReadonlyMap<string, number>
}

/** How many times longer a text may become by what is put in the place of its characters. */
const MAX_GROWTH = 64

type Refuse = (where: string, expected: string, found: unknown) => InputError

/**
 * Checks the JSON of a tokenizer.json; `file` names it in errors.
 * @throws InputError for what the library cannot run, or would run without end, and for ids that are not unique.
 */
export function parseTokenizerFile(json: unknown, file: string): TokenizerFile {
  const refuse: Refuse = (where, expected, found) => new InputError({ file }, `${expected} as ${where}`, show(found))
  const raw = parse(tokenizerFile, json, [], file)
  const parts = <S extends z.ZodType>(schema: S, where: string, root: unknown, childrenKey: string) =>
    flatten(root, where, childrenKey, refuse).map((part) => parse(schema, part, [where], file))
  const model = parseModel(raw.model, refuse)
  const parsed: TokenizerFile = {
    model,
    addedTokens: raw.added_tokens,
    ids: collectIds(model, raw.added_tokens, refuse),
    normalizers: parts(normalizer, 'normalizer', raw.normalizer, 'normalizers'),
    preTokenizers: parts(preTokenizer, 'pre_tokenizer', raw.pre_tokenizer, 'pretokenizers'),
    postProcessors: parts(postProcessor, 'post_processor', raw.post_processor, 'processors'),
    decoders: parts(decoder, 'decoder', raw.decoder, 'decoders'),
  }
  checkGrowth([...parsed.normalizers, ...parsed.preTokenizers], refuse)
  checkGrowth(parsed.decoders, refuse)
  return parsed
}

function parse<S extends z.ZodType>(schema: S, value: unknown, where: PropertyKey[], file: string): z.output<S> {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const [{ path, message }] = result.error.issues
  const found = path.reduce<unknown>((inner, key) => Object(inner)[key], value)
  throw new InputError(
    { file },
    `a valid ${[...where, ...path].join('.') || 'tokenizer'}`,
    `${show(found)} (${message})`,
  )
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 80))
  if (Array.isArray(value)) return `a list of ${value.length}`
  if (!isRecord(value)) return String(value)
  return typeof value.type === 'string' ? `one of type ${show(value.type)}` : 'an object'
}

/** A part, or in its place the parts of a Sequence, which may be sequences themselves. */
function flatten(root: unknown, where: string, childrenKey: string, refuse: Refuse): unknown[] {
  const flat: unknown[] = []
  const pending: unknown[] = root === null || root === undefined ? [] : [root]
  while (pending.length > 0) {
    const part = pending.shift()
    if (!isRecord(part) || part.type !== 'Sequence') {
      flat.push(part)
      continue
    }
    const children = part[childrenKey]
    if (!Array.isArray(children) || flat.length + pending.length + children.length > MAX_PARTS) {
      throw refuse(`${where}.${childrenKey}`, `a list of at most ${MAX_PARTS}`, children)
    }
    pending.unshift(...children)
  }
  return flat
}

function parseModel(raw: RawModel, refuse: Refuse): TokenizerModel {
  const { vocab, merges, ...fields } = raw
  const options = { ...fields, unk_token: fields.unk_token || undefined } // old files write '' for none
  // Old files do not name the type.
  const type = raw.type ?? (Array.isArray(vocab) ? 'Unigram' : merges === undefined ? 'WordPiece' : 'BPE')
  if (type === 'Unigram') return { ...options, type, vocab: parsePieces(vocab, options.unk_id, refuse) }
  if (!isVocabulary(vocab)) throw refuse('model.vocab', 'an object of token ids', vocab)
  if (type === 'BPE') return { ...options, type, vocab, merges: parseMerges(merges, vocab, raw, refuse) }
  return { ...options, type, vocab, continuing_subword_prefix: options.continuing_subword_prefix ?? '##' }
}

function isVocabulary(value: unknown): value is Vocabulary {
  return isRecord(value) && Object.values(value).every(isId)
}

function isId(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) >= 0 && Number(value) < MAX_TOKENS
}

function parsePieces(vocab: unknown, unknownId: number | null | undefined, refuse: Refuse): readonly ScoredPiece[] {
  if (!Array.isArray(vocab) || vocab.length > MAX_TOKENS || !vocab.every(isScoredPiece)) {
    throw refuse('model.vocab', 'a list of pieces with scores', vocab)
  }
  if (!isId(unknownId) || unknownId >= vocab.length) throw refuse('model.unk_id', 'a place in the list', unknownId)
  return vocab
}

function isScoredPiece(value: unknown): value is ScoredPiece {
  return Array.isArray(value) && typeof value[0] === 'string' && Number.isFinite(value[1])
}

/** Merges of tokens into a token. The library does not check that, and would drop the text of others in silence. */
function parseMerges(merges: unknown, vocab: Vocabulary, model: RawModel, refuse: Refuse): readonly Merge[] {
  if (model.continuing_subword_prefix) {
    throw refuse('model.continuing_subword_prefix', 'none for BPE', model.continuing_subword_prefix)
  }
  if (!Array.isArray(merges)) throw refuse('model.merges', 'a list', merges)
  const isToken = (token: string) => Object.hasOwn(vocab, token)
  return merges.map((merge: unknown, index) => {
    const pair: unknown = typeof merge === 'string' ? merge.split(' ') : merge
    if (isPair(pair) && pair.every(isToken) && isToken(pair.join(''))) return pair
    throw refuse(`model.merges.${index}`, 'two tokens that make a third', merge)
  })
}

function isPair(value: unknown): value is Merge {
  return Array.isArray(value) && value.length === 2 && value.every((part) => typeof part === 'string')
}

/** One id per token and one token per id; the token that stands for unknown text exists. */
function collectIds(model: TokenizerModel, added: readonly AddedToken[], refuse: Refuse): ReadonlyMap<string, number> {
  const entries =
    model.type === 'Unigram' ? model.vocab.map(([piece], id) => [piece, id] as const) : Object.entries(model.vocab)
  const ids = new Map(entries)
  const tokens = new Map(entries.map(([token, id]) => [id, token]))
  if (Math.min(ids.size, tokens.size) < entries.length)
    throw refuse('model.vocab', 'each token and id once', model.vocab)
  for (const { content, id } of added) {
    const token = tokens.get(id) ?? content
    if (token !== content) throw refuse(`added_tokens with id ${id}`, show(token), content)
    if ((ids.get(content) ?? id) !== id)
      throw refuse(`id of ${show(content)} in added_tokens`, `${ids.get(content)}`, id)
    ids.set(content, id)
    tokens.set(id, content)
  }
  const { type, unk_token: unknown } = model
  if (unknown ? !ids.has(unknown) : type === 'WordPiece') {
    throw refuse('model.unk_token', 'a token of the vocabulary', unknown)
  }
  return ids
}

function checkGrowth(parts: readonly (Normalizer | PreTokenizer | Decoder)[], refuse: Refuse): void {
  let growth = 1
  for (const part of parts) {
    if (part.type !== 'Replace') continue
    const { pattern, content } = part
    growth *= Math.max(1, 'String' in pattern ? content.length / pattern.String.length : 1 + content.length)
  }
  if (growth > MAX_GROWTH) throw refuse('Replace', `texts to become at most ${MAX_GROWTH} times longer`, growth)
}
