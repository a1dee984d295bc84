/** @file The rollouts that pairs are made of, each once, and which of them cannot be used. */
import { existsSync } from 'node:fs'
import { InputError, showPlace, UserError } from '../base/errors.ts'
import { makeRow } from '../data/judge-row.ts'
import { findDataFile } from '../data/locate.ts'
import { type Rollout, rolloutSchema } from '../data/rollout.ts'
import { readRows } from '../data/rows.ts'
import { parseRow } from '../data/schema.ts'
import type { StageEvent } from '../data/stage-events.ts'
import { count, type Reasons } from '../pair/reasons.ts'
import { stepSpans } from '../pair/spans.ts'
import { answersEqual } from '../text/answer/equal.ts'

/**
 * Reads rollouts, each once by its id; rows that are none come as an event.
 * @throws UserError where there is no rollout.
 */
export async function* loadRollouts(path: string): AsyncGenerator<StageEvent, readonly Rollout[]> {
  if (!existsSync(path)) throw new UserError(`${path}: there are no such rollouts; \`stepdpo generate\` makes them`)
  const file = findDataFile(path)
  const rollouts = new Map<string, Rollout>()
  let bad: InputError | undefined
  let [badCount, total] = [0, 0]
  for await (const row of readRows(file)) {
    total++
    const parsed = 'problem' in row ? { bad: row.problem } : parseRow(rolloutSchema, row.value)
    if ('row' in parsed) rollouts.set(parsed.row.id, parsed.row)
    else {
      bad ??= new InputError({ file, line: row.line }, 'a rollout, as `stepdpo generate` writes them', parsed.bad)
      badCount++
    }
  }
  if (bad !== undefined) {
    if (rollouts.size === 0) throw bad
    const [reason, example] = [`no rollouts (${bad.found})`, showPlace(bad.place)]
    yield { type: 'items-dropped', stage: 'pairs', what: 'rows', count: badCount, total, reason, example }
  }
  if (rollouts.size === 0) throw new UserError(`${file}: expected rollouts, found none`)
  return [...rollouts.values()]
}

/** Rollouts with steps that can be judged, of problems with one answer. The others are counted by reason. */
export function usableRollouts(
  rollouts: readonly Rollout[],
  reasons: Reasons,
  bad: ReadonlySet<string> = new Set(),
): Rollout[] {
  const contradicted = problemsWithTwoAnswers(rollouts)
  return rollouts.filter((rollout) => {
    const flaw = bad.has(rollout.problem)
      ? 'a person calls its problem bad'
      : contradicted.has(rollout.problem)
        ? 'its problem has different answers'
        : flawOf(rollout)
    if (flaw !== undefined) count(reasons, flaw)
    return flaw === undefined
  })
}

function problemsWithTwoAnswers(rollouts: readonly Rollout[]): Set<string> {
  const answers = new Map<string, string | null>()
  const contradicted = new Set<string>()
  for (const { problem, answer } of rollouts) {
    const known = answers.get(problem)
    if (known === undefined) answers.set(problem, answer)
    else if (known !== answer && !(known !== null && answer !== null && answersEqual(known, answer))) {
      contradicted.add(problem)
    }
  }
  return contradicted
}

function flawOf(rollout: Rollout): string | undefined {
  const made = makeRow({ problem: rollout.problem, steps: rollout.steps })
  if ('bad' in made) return made.bad
  return stepSpans(rollout) === undefined ? 'its steps are not in its completion' : undefined
}
