/** @file Pieces of groups → token ids, each for itself: prompts, steps, and what follows them. */
import { UserError } from '../base/errors.ts'
import type { Group, Prompt, Segment } from '../data/records.ts'
import type { Tokenizer } from '../text/tokenizer.ts'

export type Ids = readonly number[]

/** What encoding needs of a tokenizer. */
export type Encoder = Pick<
  Tokenizer,
  'chatPrompt' | 'rawPrompt' | 'encodeContinuation' | 'encodeRenderedContinuation' | 'endOfTurnId'
>

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
export interface PieceEncoder {
  prompt(prompt: Prompt): Ids
  /** A piece after others, with what follows it. */
  piece(group: Group, content: Segment, terminal: boolean): Ids
}

export function pieceEncoder(encoder: Encoder | undefined): PieceEncoder {
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
