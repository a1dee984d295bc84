import { expect, test } from 'vitest'
import type { StepVerdict } from '../judge/port.ts'
import { measureDrift, measureLengthBias, measurePositionBias, measureWrongProcess, spearman } from './diagnostics.ts'

function verdicts(...scores: readonly (number | null)[]): StepVerdict[] {
  return scores.map((score) =>
    score === null ? { state: 'abstained', why: '' } : { state: 'scored', score, label: 'neutral', why: '' },
  )
}

test('drift: the lowest score must be the last one alone', () => {
  const drifts = [verdicts(0.9, 0.8, 0.3), verdicts(0.9, null, 0.3)]
  const stays = [verdicts(0.3, 0.9), verdicts(0.5, 0.5), verdicts(1, 0, null)]
  const single = [verdicts(0.1), verdicts(null, 0.1), []]
  const { share, of } = measureDrift([...drifts, ...stays, ...single])
  expect(of).toBe(5)
  expect(share.value).toBe(0.4)
  expect(measureDrift(single).share.value).toBeNull()
})

test('wrong process: among solutions with a right answer and a verdict', () => {
  const { share, of } = measureWrongProcess([
    { finalCorrect: true, predicted: -1 },
    { finalCorrect: true, predicted: 0 },
    { finalCorrect: true, predicted: 4 },
    { finalCorrect: true, predicted: 'failed' },
    { finalCorrect: false, predicted: 0 },
    { finalCorrect: null, predicted: 0 },
  ])
  expect(of).toBe(3)
  expect(share.value).toBeCloseTo(2 / 3, 12)
})

test('position bias: comparisons without two answers do not count', () => {
  const { share, of } = measurePositionBias([true, false, null, true, true, null].map((one) => ({ isConsistent: one })))
  expect(of).toBe(4)
  expect(share.value).toBe(0.25)
  expect(measurePositionBias([{ isConsistent: null }]).share.value).toBeNull()
})

test('Spearman: the textbook’s IQ and hours of television correlate at −29/165', () => {
  const iq = [106, 100, 86, 101, 99, 103, 97, 113, 112, 110]
  const hours = [7, 27, 2, 50, 28, 29, 20, 12, 6, 17]
  expect(spearman(iq, hours)).toBeCloseTo(-29 / 165, 12)
})

test('Spearman: equal values share their mean rank, and values that are all alike say nothing', () => {
  // Ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4: 4.5 / √(4.5 · 5).
  expect(spearman([1, 2, 2, 3], [1, 2, 3, 4])).toBeCloseTo(4.5 / Math.sqrt(22.5), 12)
  expect(spearman([1, 1], [1, 2])).toBeNull()
  expect(spearman([], [])).toBeNull()
})

test('length bias: scores that fall with every step are at −1, and solutions without a score are left out', () => {
  const solutions = [1, 2, 3, 4].map((steps) => ({ score: 0.9 ** steps, steps }))
  const { rho, of } = measureLengthBias([...solutions, { score: null, steps: 9 }])
  expect(rho).toBeCloseTo(-1, 12)
  expect(of).toBe(4)
})
