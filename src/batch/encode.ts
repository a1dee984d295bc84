/**
 * @file Groups → token ids. Pieces are encoded each for itself and joined, so that the boundary between prefix and step
 * is where the group says, no token of the prefix is scored, and siblings share their prefix to the last token.
 */
import { UserError } from '../base/errors.ts'
import type { Group, Prompt, Segment } from '../data/records.ts'
import { type GroupPair, type GroupPairs, groupPairs } from '../pair/pairs.ts'
import { type Tallies, tally } from '../pair/tally.ts'
import type { Tokenizer } from '../text/tokenizer.ts'

export type Ids = readonly number[]

/** What encoding needs of a tokenizer. */
export type Encoder = Pick<
  Tokenizer,
  'chatPrompt' | 'rawPrompt' | 'encodeContinuation' | 'encodeRenderedContinuation' | 'endOfTurnId'
>

export interface EncodedGroup {
  readonly problem: string
  /** The prompt, then the steps before, of which the oldest may be cut. */
  readonly prefix: readonly Ids[]
  /** The tokens that are scored. */
  readonly members: readonly Ids[]
  /** Indices of members. */
  readonly pairs: readonly GroupPair[]
}

export interface EncodeOptions {
  /** The most tokens of a prompt, its steps and one continuation. */
  readonly maxLength: number
  /** The most tokens of a prompt with its steps. */
  readonly maxPromptLength: number
  /** The most tokens of a prefix with two continuations. */
  readonly maxRowTokens: number
  readonly pairs: GroupPairs
  /** Token ids below it are known to the model. */
  readonly vocabularySize: number
}

export interface EncodedData {
  readonly groups: readonly EncodedGroup[]
  /** Pairs that were left out, by reason. */
  readonly dropped: Tallies
  /** Groups whose oldest steps were cut. */
  readonly truncated: number
}

const CACHE_SIZE = 50_000

/** Remembers what pieces of text became: the steps of a solution come again in every group below it. */
function remember(encode: (text: string) => number[]): (text: string) => number[] {
  const known = new Map<string, number[]>()
  return (text) => {
    const before = known.get(text)
    if (before !== undefined) return before
    const ids = encode(text)
    if (known.size >= CACHE_SIZE) known.clear()
    known.set(text, ids)
    return ids
  }
}

/** Encodes the pieces of groups. */
interface PieceEncoder {
  prompt(prompt: Prompt): Ids
  /** A piece after others, with what follows it. */
  piece(group: Group, content: Segment, terminal: boolean): Ids
}

function pieceEncoder(encoder: Encoder | undefined): PieceEncoder {
  const need = (): Encoder => {
    if (encoder !== undefined) return encoder
    throw new UserError('these rows hold text, and the base model has no tokenizer: only rows of token ids can be used')
  }
  const plain = remember((text) => need().encodeContinuation(text))
  const rendered = remember((text) => need().encodeRenderedContinuation(text))
  const chat = remember((json) => need().chatPrompt(JSON.parse(json)))
  const raw = remember((text) => need().rawPrompt(text))
  return {
    prompt: (prompt) => {
      if ('messages' in prompt) return chat(JSON.stringify(prompt.messages))
      return typeof prompt.raw === 'string' ? raw(prompt.raw) : prompt.raw
    },
    piece: ({ prompt, separator }, content, terminal) => {
      if (typeof content !== 'string') return content
      // A row of plain text was rendered by its maker, who may have written the template's tokens out.
      const encode = 'raw' in prompt ? rendered : plain
      if (!terminal) return encode(content + separator)
      const ids = encode(content)
      const end = need().endOfTurnId
      return end === undefined || ids.at(-1) === end ? ids : [...ids, end]
    },
  }
}

/** The prefix without its oldest steps, so that it is at most `room` tokens long; undefined where the prompt is longer. */
function cutPrefix(prompt: Ids, steps: readonly Ids[], room: number): readonly Ids[] | undefined {
  let total = prompt.length
  for (const step of steps) total += step.length
  let first = 0
  while (total > room && first < steps.length) total -= steps[first++].length
  return total > room ? undefined : [prompt, ...steps.slice(first)]
}

function sameIds(a: Ids, b: Ids): boolean {
  return a.length === b.length && a.every((id, at) => id === b[at])
}

/** Why a pair cannot be trained on, or undefined. */
function flawOf(chosen: Ids, rejected: Ids, promptLength: number, options: EncodeOptions): string | undefined {
  const longest = Math.max(chosen.length, rejected.length)
  if (chosen.length === 0 || rejected.length === 0) return 'a side without tokens'
  if (sameIds(chosen, rejected)) return 'both sides have the same tokens'
  if (promptLength === 0) return 'a prompt without tokens'
  if (promptLength + longest > options.maxLength)
    return `prompt and step are longer than max_length ${options.maxLength}`
  if (promptLength > options.maxPromptLength)
    return `the prompt is longer than max_prompt_length ${options.maxPromptLength}`
  if (promptLength + chosen.length + rejected.length > options.maxRowTokens) {
    return `prompt and both steps are longer than max_row_tokens ${options.maxRowTokens}`
  }
  return undefined
}

/** Why the tokens of a group cannot be used, or undefined. */
function strangeId(pieces: readonly Ids[], vocabularySize: number): string | undefined {
  for (const piece of pieces) {
    const strange = piece.find((id) => !(id >= 0 && id < vocabularySize))
    if (strange !== undefined) return `a token id that the model does not know: ${strange}`
  }
  return undefined
}

/** The tokens of all groups, and what was left out. */
export function encodeGroups(
  groups: readonly Group[],
  encoder: Encoder | undefined,
  options: EncodeOptions,
): EncodedData {
  const pieces = pieceEncoder(encoder)
  const dropped: Tallies = new Map()
  const encoded: EncodedGroup[] = []
  let truncated = 0
  for (const group of groups) {
    const prompt = pieces.prompt(group.prompt)
    const steps = group.prefix.map((step) => pieces.piece(group, step, false))
    const members = group.members.map(({ content, terminal }) => pieces.piece(group, content, terminal))
    const strange = strangeId([prompt, ...steps, ...members], options.vocabularySize)
    const pairs = groupPairs(group, options.pairs).filter(({ chosen, rejected, weight }) => {
      const flaw = strange ?? flawOf(members[chosen], members[rejected], prompt.length, options)
      if (flaw !== undefined) tally(dropped, flaw, group.place, weight)
      return flaw === undefined
    })
    if (pairs.length === 0) continue
    const room = Math.min(...pairs.map((pair) => roomFor(pair, members, options)))
    const prefix = cutPrefix(prompt, steps, room)
    if (prefix === undefined) throw new Error(`${group.problem}: a pair that fits was cut`)
    if (prefix.length <= steps.length) truncated++
    encoded.push({ problem: group.problem, prefix, members, pairs })
  }
  return { groups: encoded, dropped, truncated }
}

/** The same of groups whose members are all to be learned; a member that is too long is left out, not its prompt cut. */
export function encodeDemonstrations(
  groups: readonly Group[],
  encoder: Encoder | undefined,
  options: EncodeOptions,
): EncodedData {
  const pieces = pieceEncoder(encoder)
  const dropped: Tallies = new Map()
  const encoded: EncodedGroup[] = []
  for (const group of groups) {
    const prefix = [pieces.prompt(group.prompt), ...group.prefix.map((step) => pieces.piece(group, step, false))]
    const length = prefix.reduce((total, piece) => total + piece.length, 0)
    const members = group.members.flatMap(({ content, terminal, count }) => {
      const ids = pieces.piece(group, content, terminal)
      const flaw = strangeId([...prefix, ids], options.vocabularySize) ?? demonstrationFlaw(ids, length, options)
      if (flaw === undefined) return [ids]
      tally(dropped, flaw, group.place, count)
      return []
    })
    if (members.length > 0) encoded.push({ problem: group.problem, prefix, members, pairs: [] })
  }
  return { groups: encoded, dropped, truncated: 0 }
}

function demonstrationFlaw(ids: Ids, promptLength: number, options: EncodeOptions): string | undefined {
  if (ids.length === 0) return 'a completion without tokens'
  if (promptLength === 0) return 'a prompt without tokens'
  if (promptLength + ids.length > Math.min(options.maxLength, options.maxRowTokens)) {
    return `prompt and completion are longer than max_length ${options.maxLength} or max_row_tokens ${options.maxRowTokens}`
  }
  return undefined
}

/** The tokens that are left for the prefix of a pair. */
function roomFor({ chosen, rejected }: GroupPair, members: readonly Ids[], options: EncodeOptions): number {
  const { maxPromptLength, maxLength, maxRowTokens } = options
  const [w, l] = [members[chosen].length, members[rejected].length]
  return Math.min(maxPromptLength, maxLength - Math.max(w, l), maxRowTokens - w - l)
}
