/** @file The pairs of a run, and what people took out of them: pairs.jsonl files, each with its pairs-review.jsonl. */
import { dirname, join } from 'node:path'
import { openLineLog } from '../base/files.ts'
import type { PairReview } from '../data/dashboard-labels.ts'
import { droppedPairs, PAIRS_REVIEW, type PairReviewLine, pairReviewSchema } from '../data/pair-review.ts'
import { type Pair, pairSchema } from '../data/pair-row.ts'
import type { Signature } from './label-book.ts'
import { findFiles, type RunFile, shortId } from './run-files.ts'
import { openTail } from './tail.ts'

export interface PairEntry {
  readonly pair: Pair
  /** The number of its file. */
  readonly source: number
  /** The traces of its sides. */
  readonly chosen: string
  readonly rejected: string
  /** Of prompt, prefix and sides in lower case. */
  readonly text: string
}

export interface PairFile {
  readonly file: RunFile
  readonly entries: readonly PairEntry[]
  readonly dropped: ReadonlyMap<string, PairReviewLine>
}

export interface PairBook {
  /** As the files stand now. */
  read(): readonly PairFile[]
  /** Says what becomes of a pair of a file; durable when this returns. */
  review(file: RunFile, pair: string, action: PairReview['action']): void
}

interface Following {
  readonly file: RunFile
  readonly follow: () => PairFile
}

const LOOK_MS = 2000
const SLICE_BYTES = 1 << 22

export function openPairBook(run: string, { who, now }: Signature): PairBook {
  let looked = Number.NEGATIVE_INFINITY
  const books: Following[] = []
  return {
    read: () => {
      if (performance.now() - looked > LOOK_MS) {
        looked = performance.now()
        const known = new Set(books.map(({ file }) => file.path))
        for (const file of findFiles(run)) {
          if (file.kind === 'pairs' && !known.has(file.path))
            books.push({ file, follow: followPairs(file, books.length) })
        }
      }
      return books.map(({ follow }) => follow())
    },
    review: (file, pair, action) => {
      const log = openLineLog(reviewPath(file))
      try {
        log.append(JSON.stringify(pairReviewSchema.parse({ pair, action, who, when: now().toISOString() })))
        log.sync()
      } finally {
        log.close()
      }
    },
  }
}

function reviewPath({ path }: RunFile): string {
  return join(dirname(path), PAIRS_REVIEW)
}

/** Follows a list that is added to, and begun anew where its file is. */
function followList<Item>(path: string, read: (value: unknown) => Item | undefined): () => readonly Item[] {
  const tail = openTail(path)
  const items: Item[] = []
  return () => {
    for (let hasMore = true; hasMore; ) {
      const found = tail.read(SLICE_BYTES)
      if (found.isNew) items.length = 0
      for (const { value } of found.rows) {
        const item = read(value)
        if (item !== undefined) items.push(item)
      }
      hasMore = found.hasMore
    }
    return items
  }
}

function followPairs(file: RunFile, source: number): () => PairFile {
  const entries = followList(file.path, (value): PairEntry | undefined => {
    const pair = pairSchema.safeParse(value).data
    if (pair === undefined) return undefined
    const { chosen, rejected } = pair.provenance
    const sides = { chosen: shortId(chosen.rollout), rejected: shortId(rejected.rollout) }
    return { pair, source, ...sides, text: textOf(pair).toLowerCase() }
  })
  const reviews = followList(reviewPath(file), (value) => pairReviewSchema.safeParse(value).data)
  return () => ({ file, entries: entries(), dropped: droppedPairs(reviews()) })
}

function textOf({ prompt, prefix, chosen, rejected }: Pair): string {
  const asked = typeof prompt === 'string' ? prompt : prompt.map(({ content }) => content).join('\n')
  return [asked, prefix, chosen, rejected].join('\n')
}
