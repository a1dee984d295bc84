/**
 * @file A row: the tokens of one or more trees in an order where each token follows its parent. A token sees its
 * ancestors and itself, its position is its depth. A plain sequence is a tree without branches.
 */
import type { Tensor } from '../engine/backend.ts'

export interface Row {
  /** [T] */
  readonly ids: Int32Array
  /** [T] Where the token before stands in this row, −1 for the first token of a tree. */
  readonly parents: Int32Array
  /** [S] Tokens whose log-probability is asked for; each is predicted at its parent. */
  readonly scored: Int32Array
}

/** Tokens [start, end) as queries, the keys that any of them sees, and which query sees which key. */
export interface AttentionBlock {
  readonly start: number
  readonly end: number
  /** Ranges [from, to) of tokens, in order. */
  readonly keys: readonly (readonly [number, number])[]
  readonly keyCount: number
  /** [queries, keyCount]: 0 where a query sees a key, MASKED elsewhere. */
  readonly mask: Tensor<Float32Array>
}

/** Added to a score that must not count. Finite, so that 0 · it stays 0. */
const MASKED = -1e30

/** A plain sequence; tokens from `scoredFrom` on are scored. */
export function sequenceRow(ids: ArrayLike<number>, scoredFrom = 1): Row {
  const count = Math.max(0, ids.length - Math.max(1, scoredFrom))
  return {
    ids: Int32Array.from(ids),
    parents: Int32Array.from({ length: ids.length }, (_, at) => at - 1),
    scored: Int32Array.from({ length: count }, (_, at) => at + Math.max(1, scoredFrom)),
  }
}

/** The depth of each token, which is its position. */
export function depthsOf(row: Row): Int32Array {
  const depths = new Int32Array(row.ids.length)
  row.parents.forEach((parent, at) => {
    if (parent >= at) throw new Error(`row: token ${at} stands before its parent ${parent}`)
    depths[at] = parent < 0 ? 0 : depths[parent] + 1
  })
  return depths
}

/**
 * Cuts the queries of a row into blocks and finds what each block sees. Keys that no query of a block sees are left
 * out: of a tree, most are.
 * @param window how many tokens a token sees, itself included; null for all before it.
 */
export function attentionBlocks(row: Row, blockTokens: number, window: number | null): AttentionBlock[] {
  const blocks: AttentionBlock[] = []
  const seenBy = new Int32Array(row.ids.length).fill(-1)
  const place = new Int32Array(row.ids.length)
  for (let start = 0; start < row.ids.length; start += blockTokens) {
    const end = Math.min(start + blockTokens, row.ids.length)
    for (let query = start; query < end; query++) {
      eachSeen(row.parents, query, window, (key) => {
        seenBy[key] = start
      })
    }
    const { keys, keyCount } = rangesOf(seenBy, start, end, place)
    const mask = new Float32Array((end - start) * keyCount).fill(MASKED)
    for (let query = start; query < end; query++) {
      eachSeen(row.parents, query, window, (key) => {
        mask[(query - start) * keyCount + place[key]] = 0
      })
    }
    blocks.push({ start, end, keys, keyCount, mask: { data: mask, shape: [end - start, keyCount] } })
  }
  return blocks
}

function eachSeen(parents: Int32Array, query: number, window: number | null, visit: (key: number) => void): void {
  let left = window ?? Number.POSITIVE_INFINITY
  for (let key = query; key >= 0 && left > 0; key = parents[key], left--) visit(key)
}

/** The ranges of tokens that are marked, and for each such token its place among them. */
function rangesOf(seenBy: Int32Array, mark: number, end: number, place: Int32Array) {
  const keys: [number, number][] = []
  let keyCount = 0
  for (let key = 0; key < end; key++) {
    if (seenBy[key] !== mark) continue
    place[key] = keyCount++
    const last = keys.at(-1)
    if (last !== undefined && last[1] === key) last[1] = key + 1
    else keys.push([key, key + 1])
  }
  return { keys, keyCount }
}
