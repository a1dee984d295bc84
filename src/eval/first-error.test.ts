import { existsSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readJudgeRows } from '../data/judge-rows.ts'
import type { StepVerdict } from '../judge/port.ts'
import { BASELINES, type BaselineRow, scoreBaseline } from './baselines.ts'
import { type FirstError, firstErrorOf, harmonicMean, scoreFirstErrors } from './first-error.ts'
import { PROCESSBENCH_PUBLISHED } from './published.ts'

const abstained: StepVerdict = { state: 'abstained', why: '' }
const failed: StepVerdict = { state: 'failed', kind: 'timeout', why: '' }

function scored(score: number): StepVerdict {
  return { state: 'scored', score, label: score < 0.5 ? 'incorrect' : 'correct', why: '' }
}

test.each<[string, StepVerdict[], FirstError]>([
  ['the first step below ½', [scored(1), scored(0.4), scored(0)], 1],
  ['none where all are at least ½', [scored(1), scored(0.5)], -1],
  ['none where some are passed over', [abstained, scored(1), abstained], -1],
  ['the wrong step after one that was passed over', [abstained, scored(0)], 1],
  ['the wrong step before those that were not judged', [scored(0), abstained, failed], 0],
  ['a failure where a step before the wrong one failed', [failed, scored(0)], 'failed'],
  ['a failure where a step failed and no wrong one is known', [scored(1), failed], 'failed'],
  ['no verdict where no step has one', [abstained, abstained], 'abstained'],
  ['no verdict on no steps', [], 'abstained'],
])('the first error is %s', (_, verdicts, expected) => {
  expect(firstErrorOf(verdicts)).toBe(expected)
})

test('the threshold decides what is wrong', () => {
  expect(firstErrorOf([scored(0.6), scored(0.2)], 0.7)).toBe(0)
  expect(firstErrorOf([scored(0.6), scored(0.2)], 0.1)).toBe(-1)
})

function rows(...pairs: readonly [number, FirstError][]) {
  return pairs.map(([label, predicted]) => ({ label, predicted }))
}

test('accuracies, F1 and every kind of miss are what one counts by hand', () => {
  const report = scoreFirstErrors(
    rows([2, 2], [2, 0], [2, 3], [2, -1], [2, 'failed'], [0, 0], [-1, -1], [-1, -1], [-1, 4], [-1, 'abstained']),
  )
  expect(report).toMatchObject({ rows: 10, scored: 8, abstained: 1, failed: 1 })
  expect(report.erroneous).toEqual({ rows: 6, exact: 2, tooEarly: 1, tooLate: 1, missed: 1, noVerdict: 1 })
  expect(report.correct).toEqual({ rows: 4, exact: 2, falseAlarm: 1, noVerdict: 1 })
  expect(report.erroneousAccuracy.value).toBeCloseTo(1 / 3, 12)
  expect(report.correctAccuracy.value).toBe(0.5)
  expect(report.f1.value).toBeCloseTo((2 * (1 / 3) * 0.5) / (1 / 3 + 0.5), 12)
})

test('F1 is 0 where nothing is right, and not defined without rows of both kinds', () => {
  expect(scoreFirstErrors(rows([0, -1], [-1, 0])).f1).toEqual({ value: 0, low: 0, high: 0 })
  expect(scoreFirstErrors(rows([0, 0])).f1.value).toBeNull()
  expect(scoreFirstErrors(rows([0, 0])).correctAccuracy.value).toBeNull()
  expect(scoreFirstErrors([]).f1.value).toBeNull()
})

test('whatever is predicted, the counts add up and the intervals hold the values', () => {
  const predicted = fc.oneof(fc.integer({ min: -1, max: 4 }), fc.constantFrom('abstained' as const, 'failed' as const))
  const row = fc.record({ label: fc.integer({ min: -1, max: 4 }), predicted })
  fc.assert(
    fc.property(fc.array(row, { maxLength: 12 }), (all) => {
      const report = scoreFirstErrors(all)
      const { erroneous, correct } = report
      expect(report.scored + report.abstained + report.failed).toBe(all.length)
      expect(erroneous.rows + correct.rows).toBe(all.length)
      expect(erroneous.exact + erroneous.tooEarly + erroneous.tooLate + erroneous.missed + erroneous.noVerdict).toBe(
        erroneous.rows,
      )
      expect(correct.exact + correct.falseAlarm + correct.noVerdict).toBe(correct.rows)
      expect(erroneous.noVerdict + correct.noVerdict).toBe(report.abstained + report.failed)
      for (const { value, low, high } of [report.erroneousAccuracy, report.correctAccuracy, report.f1]) {
        if (value === null) continue
        expect(low).toBeGreaterThanOrEqual(0)
        expect(high).toBeLessThanOrEqual(1)
        expect(low).toBeLessThanOrEqual(high)
      }
    }),
    { numRuns: 30 },
  )
})

test('the interval of an accuracy is that of the binomial, nearly', () => {
  // 400 rows of which 100 are right: ¼ ± 1.96 · √(¼ · ¾ / 400) = ¼ ± .0424, and both classes vary in number.
  const all = Array.from({ length: 400 }, (_, index) => ({ label: 0, predicted: index % 4 === 0 ? 0 : 1 }))
  const { low, high } = scoreFirstErrors(all).erroneousAccuracy
  expect(low).toBeGreaterThan(0.2)
  expect(low).toBeLessThan(0.215)
  expect(high).toBeGreaterThan(0.285)
  expect(high).toBeLessThan(0.3)
})

describe('baselines', () => {
  const few: BaselineRow[] = [
    { stepCount: 3, label: 1, finalCorrect: false },
    { stepCount: 4, label: 0, finalCorrect: false },
    { stepCount: 2, label: 0, finalCorrect: true },
    { stepCount: 4, label: -1, finalCorrect: true },
  ]

  test('are worked by hand', () => {
    // Uniform: 1/4, 1/5, 1/3 and 1/5. Labels are −1, 0, 0, 1: drawn so, 1/4, 1/2, 1/2 and 1/4. Blind: step 0 has c = 2/3.
    // Knowing the answer: 1/3, 1/4, 0 and 1; middles are 1, 1, – and –.
    const none = Math.sqrt(2 / 3) / (1 + Math.sqrt(2 / 3))
    const expected = [
      [0, 1],
      [(1 / 4 + 1 / 5 + 1 / 3) / 3, 1 / 5],
      [(1 / 4 + 1 / 2 + 1 / 2) / 3, 1 / 4],
      [((1 - none) * 2) / 3, none],
      [(1 / 3 + 1 / 4) / 3, 1],
      [1 / 3, 1],
    ]
    BASELINES.forEach((name, index) => {
      const scores = scoreBaseline(few, name)
      expect(scores?.erroneousAccuracy, name).toBeCloseTo(expected[index][0], 12)
      expect(scores?.correctAccuracy, name).toBeCloseTo(expected[index][1], 12)
    })
  })

  test('that know the answer are not told of rows that do not say it, and none without rows of both kinds', () => {
    const unknown = few.map((row) => ({ ...row, finalCorrect: null }))
    expect(BASELINES.map((name) => scoreBaseline(unknown, name) === null)).toEqual([
      false,
      false,
      false,
      false,
      true,
      true,
    ])
    expect(scoreBaseline(few.slice(0, 2), 'uniform')).toBeNull()
  })

  test('no other share of "no error" is better than that of the best blind guess', () => {
    const blind = scoreBaseline(few, 'best-blind')?.f1 ?? 0
    for (let share = 0.01; share < 1; share += 0.01) {
      expect(harmonicMean(((1 - share) * 2) / 3, share)).toBeLessThanOrEqual(blind)
    }
  })
})

const PROCESSBENCH = join(import.meta.dirname, '../../../shared/data/processbench')

// The rows computed in evaluation.md, §4.3, in percent to one digit, but for the second and the third after the first: the
// distribution of the labels by itself, and with c = 61/207 (gsm8k) and 147/594 (math) 2c / (1 + √c)².
describe.skipIf(!existsSync(PROCESSBENCH)).each([
  ['gsm8k', [0, 17.2, 17.5, 24.8, 33.2, 45.5]],
  ['math', [0, 15.5, 16.5, 22.1, 26.5, 37.5]],
])('on ProcessBench %s', (name, published) => {
  test('the baselines are the published ones, and constant predictions score 0', async () => {
    const found: BaselineRow[] = []
    for await (const reading of readJudgeRows(join(PROCESSBENCH, `${name}.json`), 'auto')) {
      if (!('row' in reading)) throw new Error(`row ${reading.line}`)
      const { label, solution, finalCorrect } = reading.row
      if (label !== null) found.push({ stepCount: solution.steps.length, label, finalCorrect })
    }
    expect(BASELINES.map((baseline) => Math.round(1000 * (scoreBaseline(found, baseline)?.f1 ?? -1)) / 10)).toEqual(
      published,
    )
    const some = found.filter((_, index) => index % 10 === 0)
    for (const predicted of [-1, 3]) {
      expect(scoreFirstErrors(some.map(({ label }) => ({ label, predicted }))).f1.value).toBe(0)
    }
    // A predictor of the middle, scored like a judge, is the baseline's expectation.
    const middle = found.map(({ label, stepCount, finalCorrect }) => ({
      label,
      predicted: finalCorrect ? -1 : Math.floor((stepCount - 1) / 2),
    }))
    const { f1 } = scoreFirstErrors(middle)
    expect(f1.value).toBeCloseTo(scoreBaseline(found, 'final-answer-middle')?.f1 ?? -1, 12)
    expect(f1.low).toBeLessThan(f1.value ?? -1)
    expect(f1.high).toBeGreaterThan(f1.value ?? 2)
  })
})

test('the published table names each model once, with percentages', () => {
  expect(new Set(PROCESSBENCH_PUBLISHED.map(({ model }) => model)).size).toBe(PROCESSBENCH_PUBLISHED.length)
  for (const { gsm8k, math, average } of PROCESSBENCH_PUBLISHED) {
    // On every published row the two easier sets are above the average of the four.
    expect(gsm8k + math).toBeGreaterThan(2 * average)
    expect(Math.max(gsm8k, math)).toBeLessThan(100)
  }
})
