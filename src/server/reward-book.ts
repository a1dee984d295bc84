/** @file What a trained policy thinks of the steps of a run's solutions: step-rewards.jsonl, which `score --implicit` writes. */
import { z } from 'zod'
import type { StepChange } from '../data/dashboard-traces.ts'
import { findFiles } from './run-files.ts'
import { openTail, type Tail } from './tail.ts'

const rewardRow = z.object({
  id: z.string(),
  steps: z.array(z.object({ policy: z.number(), reference: z.number() })),
})

/** The changes of the steps of a solution, by its id. */
export type StepChanges = (solution: string) => readonly StepChange[] | undefined

export interface RewardBook {
  /** As the files stand now. */
  read(): StepChanges
}

interface Followed {
  readonly tail: Tail
  readonly changes: Map<string, readonly StepChange[]>
}

const SLICE_BYTES = 1 << 22

export function openRewardBook(run: string): RewardBook {
  const files = new Map<string, Followed>()
  return {
    read: () => {
      const all = findFiles(run).flatMap(({ kind, path }) => {
        if (kind !== 'rewards') return []
        const file = files.get(path) ?? { tail: openTail(path), changes: new Map() }
        files.set(path, file)
        follow(file)
        return [file]
      })
      return (solution) => all.find(({ changes }) => changes.has(solution))?.changes.get(solution)
    },
  }
}

function follow({ tail, changes }: Followed): void {
  for (;;) {
    const { rows, isNew, hasMore } = tail.read(SLICE_BYTES)
    if (isNew) changes.clear()
    for (const { value } of rows) {
      const { data } = rewardRow.safeParse(value)
      if (data !== undefined) changes.set(data.id, data.steps)
    }
    if (!hasMore) return
  }
}
