import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { JudgedStep } from '../data/judgement.ts'
import { explainAggregations } from './arithmetic.ts'

/** The value of an expression as a person would work it out. */
function workOut(expression: string): number {
  const code = expression
    .replaceAll('×', '*')
    .replaceAll('^', '**')
    .replaceAll('min', 'Math.min')
    .replaceAll('max', 'Math.max')
  return Number(new Function(`return ${code}`)())
}

const step = fc.oneof(
  fc.double({ min: 0, max: 1, noNaN: true }).map(
    (score): JudgedStep => ({
      text: '',
      state: 'scored',
      score,
      label: 'correct',
      why: '',
    }),
  ),
  fc.constant<JudgedStep>({ text: '', state: 'abstained', why: '' }),
)

test('every aggregation, worked out as it is shown, comes to its score but for four digits', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 8 }), (steps) => {
      for (const { name, score, arithmetic } of explainAggregations(steps, 'product')) {
        if (score === null) expect(arithmetic).toBe('')
        // A root of a product magnifies what is lost behind the fourth digit.
        else if (name !== 'geometric') expect(Math.abs(workOut(arithmetic) - score)).toBeLessThan(0.003 * steps.length)
      }
    }),
    { numRuns: 60 },
  )
})

test('the geometric mean of .9, .4 and an abstention is the root of .36', () => {
  const scored = (score: number): JudgedStep => ({ text: '', state: 'scored', score, label: 'correct', why: '' })
  const steps: JudgedStep[] = [scored(0.9), { text: '', state: 'abstained', why: '' }, scored(0.4)]
  const shown = explainAggregations(steps, 'min')
  expect(shown.find(({ name }) => name === 'geometric')).toMatchObject({ arithmetic: '(0.9 × 0.4) ^ (1 / 2)' })
  expect(shown.find(({ name }) => name === 'decay')?.arithmetic).toBe('(1 × 0.9 + 0.9025 × 0.4) / (1 + 0.9025)')
  expect(shown.find(({ isUsed }) => isUsed)?.name).toBe('min')
})
