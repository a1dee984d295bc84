/** @file The runs of a folder, each opened when it is first asked for, and what is read of them kept. */
import { type LabelBook, openLabelBook, type Signature } from './label-book.ts'
import { openPairBook, type PairBook } from './pair-book.ts'
import { openRewardBook, type RewardBook } from './reward-book.ts'
import { findFiles, findRuns, type RunFile, type RunPlace } from './run-files.ts'
import { followRunLog, type RunLog } from './run-log.ts'
import { createTraceIndex, type TraceIndex } from './trace-index.ts'

export interface Run extends RunPlace {
  /** What of it is shown. */
  files(): readonly RunFile[]
  log(): RunLog
  readonly traces: TraceIndex
  readonly labels: LabelBook
  readonly pairs: PairBook
  readonly rewards: RewardBook
  /** Traces that were read, null before any were. */
  traceCount(): number | null
}

export interface Runs {
  list(): readonly Run[]
  /** Undefined for an id that no run has. */
  find(id: string): Run | undefined
}

/** How often the folder is looked through. */
const LOOK_MS = 1000

export function openRuns(root: string, signature: Signature): Runs {
  const opened = new Map<string, Run>()
  let places: readonly RunPlace[] = []
  let looked = Number.NEGATIVE_INFINITY
  const list = (): readonly Run[] => {
    if (performance.now() - looked > LOOK_MS) {
      places = findRuns(root)
      looked = performance.now()
    }
    return places.map((place) => {
      const run = opened.get(place.id) ?? openRun(place, signature)
      opened.set(place.id, run)
      return run
    })
  }
  return { list, find: (id) => list().find((run) => run.id === id) }
}

function openRun(place: RunPlace, signature: Signature): Run {
  const index = createTraceIndex(place.path)
  let count: number | null = null
  let files: readonly RunFile[] = []
  let looked = Number.NEGATIVE_INFINITY
  return {
    ...place,
    files: () => {
      if (performance.now() - looked > LOOK_MS) {
        files = findFiles(place.path)
        looked = performance.now()
      }
      return files
    },
    log: followRunLog(place.path),
    traces: {
      ...index,
      refresh: async (patienceMs) => {
        const traces = await index.refresh(patienceMs)
        count = traces.entries.length - traces.replaced.size
        return traces
      },
    },
    labels: openLabelBook(place.path, signature),
    pairs: openPairBook(place.path, signature),
    rewards: openRewardBook(place.path),
    traceCount: () => count,
  }
}
