/**
 * @file What people say of solutions: the lines of labels.jsonl. Each line is a decision that was taken once; the last one
 * that was not taken back counts. A label holds the solution itself, so that it outlives the files it was made from.
 */
import { existsSync } from 'node:fs'
import { z } from 'zod'
import { readLog } from '../base/lines.ts'
import { MAX_STEPS, makeRow } from './judge-row.ts'
import { list } from './schema.ts'

export const LABELS = 'labels.jsonl'

const rating = z.literal([-1, 0, 1])

const common = {
  id: z.string(),
  /** Who, by the name that the system knows. */
  who: z.string(),
  /** ISO 8601. */
  when: z.string(),
}

const labelSchema = z
  .object({
    kind: z.literal('label'),
    ...common,
    /** The label of the same solution that this one takes the place of. */
    previous: z.string().nullable(),
    /** The run's folder, by its name, and the rollout in it; null for a judged solution without one. */
    run: z.string(),
    rollout: z.string().nullable(),
    problem: z.string(),
    steps: list(z.string(), MAX_STEPS),
    /** PRM800K's, of each step; null where it was not rated. */
    ratings: list(rating.nullable(), MAX_STEPS),
    /** The labeller is not sure, or found something odd. */
    flagged: z.boolean(),
    bad_problem: z.boolean(),
    /** What the labeller would have written in place of a step, from 0. */
    own_step: z.object({ step: z.number().int().min(0), text: z.string() }).nullable(),
    /** Whether the judge's opinion was to be seen before. */
    judge_shown: z.boolean(),
  })
  .refine(({ steps, ratings }) => steps.length === ratings.length, 'expected one rating for each step')

/** The solution was passed over. */
const skipSchema = z.object({ kind: z.literal('skip'), ...common, run: z.string(), solution: z.string() })

/** A label or skip that was taken back. */
const undoSchema = z.object({ kind: z.literal('undo'), ...common, undoes: z.string() })

export const labelLineSchema = z.union([labelSchema, skipSchema, undoSchema])

export type Label = z.output<typeof labelSchema>
export type LabelLine = z.output<typeof labelLineSchema>

/** What people say now, by the solution's id. */
export interface Labels {
  readonly labels: ReadonlyMap<string, Label>
  readonly skipped: ReadonlySet<string>
  /** Decisions that were not taken back, oldest first. */
  readonly standing: readonly Exclude<LabelLine, { readonly kind: 'undo' }>[]
}

/** Names a solution; equal solutions have equal ids, and so has their judgement. Undefined for one without steps. */
export function solutionId(problem: string, steps: readonly string[]): string | undefined {
  const made = makeRow({ problem, steps })
  return 'row' in made ? made.row.id : undefined
}

/** The lines of a file; those that are none are left out, as is a last one that was cut. Empty without the file. */
export async function readLabelLines(path: string): Promise<LabelLine[]> {
  if (!existsSync(path)) return []
  const lines: LabelLine[] = []
  for await (const value of readLog(path)) {
    const parsed = labelLineSchema.safeParse(value)
    if (parsed.success) lines.push(parsed.data)
  }
  return lines
}

export function standingLabels(lines: readonly LabelLine[]): Labels {
  const undone = new Set(lines.flatMap((line) => (line.kind === 'undo' ? [line.undoes] : [])))
  const labels = new Map<string, Label>()
  const skipped = new Set<string>()
  const standing = lines.flatMap((line) => (line.kind === 'undo' || undone.has(line.id) ? [] : [line]))
  for (const line of standing) {
    if (line.kind === 'skip') {
      skipped.add(line.solution)
      continue
    }
    const id = solutionId(line.problem, line.steps)
    if (id === undefined) continue
    labels.set(id, line)
    skipped.delete(id)
  }
  return { labels, skipped, standing }
}
