/**
 * @file Judged text as data. Each piece stands between two lines that carry a mark which none of the pieces holds, and
 * which follows from all of them: nobody who writes a piece can know it, and equal questions are equal requests.
 */
import { sha256 } from '../base/hash.ts'

export interface Fence {
  /** 128 bits, in hex. A verdict must repeat it, so that one that was written into a piece is none. */
  readonly mark: string
  wrap(name: string, text: string): string
}

/** A fence for these pieces; a mark that one of them holds is drawn again. */
export function makeFence(pieces: readonly string[]): Fence {
  for (let draw = 0; ; draw++) {
    const mark = sha256(JSON.stringify([draw, ...pieces])).slice(0, 32)
    if (pieces.some((piece) => piece.includes(mark))) continue
    return { mark, wrap: (name, text) => `<<<${name} ${mark}>>>\n${text}\n<<<END ${name} ${mark}>>>` }
  }
}
