/** @file The labels of a run: labels.jsonl in its folder, to which lines are added and from which none is taken. */
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { openLineLog } from '../base/files.ts'
import type { HumanLabel } from '../data/dashboard-labels.ts'
import { LABELS, type Label, type LabelLine, type Labels, labelLineSchema, standingLabels } from '../data/labels.ts'
import { openTail, type Tail } from './tail.ts'

type Unsigned<Line> = Line extends unknown ? Omit<Line, 'id' | 'who' | 'when'> : never

export interface LabelBook {
  /** As the file stands now. */
  read(): Labels
  /** Signs and adds a line; it is durable when this returns. */
  add(line: Unsigned<LabelLine>): LabelLine
}

export interface Signature {
  readonly who: string
  now(): Date
}

export function openLabelBook(run: string, { who, now }: Signature): LabelBook {
  const path = join(run, LABELS)
  const tail: Tail = openTail(path)
  let lines: LabelLine[] = []
  let standing = standingLabels([])
  const read = (): Labels => {
    const before = lines.length
    for (;;) {
      const { rows, isNew, hasMore } = tail.read(1 << 20)
      if (isNew) lines = []
      for (const { value } of rows) {
        const parsed = labelLineSchema.safeParse(value)
        if (parsed.success) lines.push(parsed.data)
      }
      if (isNew || lines.length !== before) standing = standingLabels(lines)
      if (!hasMore) return standing
    }
  }
  return {
    read,
    add: (line) => {
      const signed: LabelLine = labelLineSchema.parse({ ...line, id: randomUUID(), who, when: now().toISOString() })
      const log = openLineLog(path)
      try {
        log.append(JSON.stringify(signed))
        log.sync()
      } finally {
        log.close()
      }
      return signed
    },
  }
}

/** As pages show it. */
export function humanLabel(label: Label): HumanLabel {
  const { id, who, when, ratings, flagged, bad_problem: badProblem, own_step: ownStep, judge_shown: judgeShown } = label
  return { id, who, when, ratings, flagged, badProblem, ownStep, judgeShown }
}
