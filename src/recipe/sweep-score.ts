/** @file A trained trial on every held-out problem, so that trials are compared problem by problem. */
import { join } from 'node:path'
import { z } from 'zod'
import { InputError } from '../base/errors.ts'
import { sha256 } from '../base/hash.ts'
import { readLog } from '../base/lines.ts'
import type { Metrics } from '../data/events.ts'
import type { TrialResult } from './sweep-trial.ts'

/** What a metric of the whole evaluation may differ by from the mean over its problems: rounding. */
const TOLERANCE = 1e-4

/** A line that an evaluation leaves of a problem. */
const lineFields = z.looseObject({ problem: z.string(), pairs: z.number() })

/**
 * The metrics of each held-out problem as the evaluation after an update left them in a run's folder; `evaluation` are
 * those of all of them.
 * @throws InputError for a line that no evaluation has written.
 */
export async function readProblems(
  folder: string,
  update: number,
  evaluation: Metrics,
): Promise<TrialResult['problems']> {
  const file = join(folder, 'stepdpo', 'held-out', `update-${update}.jsonl`)
  const found: TrialResult['problems'] = []
  for await (const line of readLog(file)) {
    const parsed = lineFields.safeParse(line)
    if (!parsed.success) throw new InputError({ file }, 'metrics of a held-out problem', 'something else')
    const { problem, pairs, ...metrics } = parsed.data
    found.push({ problem: sha256(problem).slice(0, 16), pairs, metrics: evaluationNames(metrics) })
  }
  return keepMeans(found, evaluation)
}

/** Under the names that the whole evaluation has. JSON has no NaN and writes null. */
function evaluationNames(metrics: Readonly<Record<string, unknown>>): Record<string, number> {
  const values = Object.entries(metrics).map(([name, value]) => [`eval_${name}`, Number(value ?? Number.NaN)])
  return Object.fromEntries(values)
}

/**
 * The problems with those metrics alone whose mean over all pairs is what the evaluation says: a bound of an interval is no
 * such mean.
 */
export function keepMeans(scored: TrialResult['problems'], evaluation: Metrics): TrialResult['problems'] {
  const total = scored.reduce((sum, { pairs }) => sum + pairs, 0)
  const means = Object.entries(evaluation).flatMap(([name, value]) => {
    const mean = scored.reduce((sum, { pairs, metrics }) => sum + pairs * metrics[name], 0) / total
    return Math.abs(mean - value) <= TOLERANCE * Math.max(1, Math.abs(value)) ? [name] : []
  })
  return scored.map(({ metrics, ...rest }) => ({
    ...rest,
    metrics: Object.fromEntries(means.map((name) => [name, metrics[name]])),
  }))
}
