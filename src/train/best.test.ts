import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { type BestRules, hasGivenUp, refuseUnknown, standingOf } from './best.ts'
import type { LogEntry } from './log.ts'

interface Case {
  readonly greater: boolean
  readonly threshold: number
  readonly patience: number
  readonly values: readonly number[]
  /** After each: the best metric, its step, the patience counter, whether to stop. */
  readonly seen: readonly (readonly [number, number, number, boolean])[]
}

const fixture = new URL('../../test/fixtures/best/standing.json', import.meta.url)
const cases: readonly Case[] = JSON.parse(readFileSync(fixture, 'utf8'))
const rules: BestRules = { metric: 'eval_x', isGreaterBetter: false, threshold: 0, isNeeded: true }

/** Entries of a log, each evaluation after one of an update. */
function logOf(values: readonly number[]): LogEntry[] {
  return values.flatMap((x, at): LogEntry[] => [
    { step: 10 * at + 5, loss: 1, eval_x: 99 },
    { step: 10 * (at + 1), eval_loss: 1, eval_x: x },
  ])
}

describe('the standing of a run', () => {
  test('after every evaluation is that of transformers’ Trainer and EarlyStoppingCallback', () => {
    for (const { greater, threshold, patience, values, seen } of cases) {
      const own = { ...rules, isGreaterBetter: greater, threshold, patience }
      for (const [at, [value, update, waited, stops]] of seen.entries()) {
        const standing = standingOf(logOf(values.slice(0, at + 1)), own)
        expect(standing).toEqual({ best: { value, update }, waited })
        expect(hasGivenUp(standing, own)).toBe(stops)
      }
    }
    expect(new Set(cases.flatMap(({ seen }) => seen.map(([, , , stops]) => stops)))).toEqual(new Set([true, false]))
  })

  test('does not count an evaluation before training, nor take what is not finite for the best', () => {
    const before = { step: 0, eval_loss: 1, eval_x: -1 }
    expect(standingOf([before], rules)).toEqual({ best: undefined, waited: 0 })
    const log = [before, { step: 1, eval_loss: 1, eval_x: Number.NaN }, { step: 2, eval_loss: 1, eval_x: 7 }]
    expect(standingOf(log.slice(0, 2), rules)).toEqual({ best: undefined, waited: 1 })
    expect(standingOf(log, rules)).toEqual({ best: { value: 7, update: 2 }, waited: 0 })
    expect(hasGivenUp({ best: undefined, waited: 1000 }, rules)).toBe(false)
  })
})

test('a metric that evaluations lack is refused with the names of those they have, where something depends on it', () => {
  const metrics = { eval_loss: 1, 'eval_rewards/margins': 2 }
  expect(() => refuseUnknown(metrics, rules)).toThrow(
    "--metric_for_best_model: evaluations have no 'eval_x'. They have: eval_loss, eval_rewards/margins",
  )
  expect(() => refuseUnknown(metrics, { ...rules, isNeeded: false })).not.toThrow()
  expect(() => refuseUnknown(metrics, { ...rules, metric: 'eval_loss' })).not.toThrow()
})
