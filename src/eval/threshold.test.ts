/** The fitted threshold against trying every threshold. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { StepVerdict } from '../judge/port.ts'
import { firstErrorOf, harmonicMean } from './first-error.ts'
import { fitThreshold, type LabelledVerdicts } from './threshold.ts'

const scored = (score: number): StepVerdict => ({ state: 'scored', score, label: 'correct', why: '' })

const verdict = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: 0, max: 8 }).map((eighth) => scored(eighth / 8)) },
  { weight: 1, arbitrary: fc.constant<StepVerdict>({ state: 'abstained', why: '' }) },
  { weight: 1, arbitrary: fc.constant<StepVerdict>({ state: 'failed', kind: 'stopped', why: '' }) },
)
const row = fc
  .array(verdict, { minLength: 1, maxLength: 5 })
  .chain((verdicts) => fc.integer({ min: -1, max: verdicts.length - 1 }).map((label) => ({ verdicts, label })))

function f1At(rows: readonly LabelledVerdicts[], threshold: number): number {
  const share = (part: readonly LabelledVerdicts[]): number =>
    part.filter(
      ({ verdicts, label }) =>
        verdicts.every(({ state }) => state !== 'failed') && firstErrorOf(verdicts, threshold) === label,
    ).length / part.length
  return harmonicMean(share(rows.filter(({ label }) => label >= 0)), share(rows.filter(({ label }) => label < 0)))
}

test('no threshold is better, and it has the F1 that it says', () => {
  fc.assert(
    fc.property(fc.array(row, { minLength: 2, maxLength: 12 }), (rows) => {
      const labels = new Set(rows.map(({ label }) => label >= 0))
      fc.pre(labels.size === 2)
      const tried = Array.from({ length: 17 }, (_, sixteenth) => f1At(rows, sixteenth / 16))
      const fitted = fitThreshold(rows)
      expect(fitted?.f1 ?? 0).toBeCloseTo(Math.max(...tried), 12)
      if (fitted !== null) expect(f1At(rows, fitted.threshold)).toBeCloseTo(fitted.f1, 12)
    }),
    { numRuns: 200, seed: 1 },
  )
})

test('rows of one kind, and none, tell nothing', () => {
  expect(fitThreshold([])).toBeNull()
  expect(fitThreshold([{ verdicts: [scored(0.2)], label: 0 }])).toBeNull()
  expect(fitThreshold([{ verdicts: [scored(0.2)], label: -1 }])).toBeNull()
})
