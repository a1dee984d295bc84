import { expect, test } from 'vitest'
import type { StepVerdict } from '../judge/port.ts'
import { type StepRow, scorePrm } from './prm-score.ts'

function row(category: string, labels: string, calls: string): StepRow {
  return {
    category,
    labels: [...labels].map((label) => (({ c: 'correct', i: 'incorrect', n: 'neutral' }) as const)[label] ?? null),
    verdicts: [...calls].map((call): StepVerdict => {
      if (call === 'a') return { state: 'abstained', why: '' }
      if (call === 'f') return { state: 'failed', kind: 'network', why: '' }
      return { state: 'scored', score: call === 'c' ? 0.9 : 0.1, label: 'neutral', why: '' }
    }),
  }
}

function only(rows: readonly StepRow[]) {
  const [score] = scorePrm(rows).categories.values()
  return score
}

test('the PRMScore is half of the F1 of correct steps and half of that of incorrect ones', () => {
  // Correct: 3 of 4 found, 4 called: F1 = 6/8. Incorrect: 1 of 2 found, 2 called: F1 = 2/4.
  const score = only([row('x', 'cci', 'cic'), row('x', 'cic', 'cic')])
  expect(score.f1.value).toBeCloseTo(0.75, 12)
  expect(score.negativeF1.value).toBeCloseTo(0.5, 12)
  expect(score.score.value).toBeCloseTo(0.625, 12)
})

test('a step without a score is counted, and lowers the recall of its side only', () => {
  // Correct: 1 of 3 found, 1 called: 2/4. Incorrect: 1 of 1 found, 1 called: 1.
  const score = only([row('x', 'ccci', 'cafi')])
  expect(score).toMatchObject({ steps: 4, scored: 2, abstained: 1, failed: 1 })
  expect(score.f1.value).toBeCloseTo(0.5, 12)
  expect(score.negativeF1.value).toBe(1)
})

test('neutral steps and those without a label are in neither class', () => {
  const score = only([row('x', 'cn?i', 'ciii')])
  expect(score).toMatchObject({ steps: 2, scored: 2 })
  expect(score.score.value).toBe(1)
})

test('the average is over categories, whatever their sizes, and leaves out those that have no score', () => {
  const report = scorePrm([
    row('good', 'ci', 'ci'),
    row('good', 'ci', 'ci'),
    row('bad', 'ci', 'ic'),
    row('unlabelled', 'nn', 'cc'),
  ])
  expect(report.categories.get('good')?.score.value).toBe(1)
  expect(report.categories.get('bad')?.score.value).toBe(0)
  expect(report.categories.get('unlabelled')?.score.value).toBeNull()
  expect(report.average).toBe(0.5)
  expect(report.overall.score.value).toBeCloseTo(2 / 3, 12) // each F1 is 2 · 2 / (3 + 3)
  expect(scorePrm([]).average).toBeNull()
  expect(scorePrm([]).overall.score.value).toBeNull()
})

test('where no step is incorrect the score is the F1 of the correct ones', () => {
  const score = only([row('multi_solutions', 'ccc', 'cci')])
  expect(score.score.value).toBeCloseTo((2 * 2) / (3 + 2), 12)
  expect(score.negativeF1.value).toBe(0)
})
