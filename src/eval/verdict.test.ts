/** The area under the curve against all pairs of steps. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { areaUnderCurve } from './verdict.ts'

const verdict = fc.record({
  isRight: fc.boolean(),
  weight: fc.integer({ min: 1, max: 3 }),
  logit: fc.integer({ min: -2, max: 2 }),
})

test('it is the share of pairs of a right and a wrong step in the right order, ties half', () => {
  fc.assert(
    fc.property(fc.array(verdict, { minLength: 1, maxLength: 12 }), (verdicts) => {
      let [wins, pairs] = [0, 0]
      for (const right of verdicts.filter(({ isRight }) => isRight)) {
        for (const wrong of verdicts.filter(({ isRight }) => !isRight)) {
          const weight = right.weight * wrong.weight
          pairs += weight
          wins += weight * (Math.sign(right.logit - wrong.logit) + 1) * 0.5
        }
      }
      if (pairs === 0) expect(areaUnderCurve(verdicts)).toBeNull()
      else expect(areaUnderCurve(verdicts)).toBeCloseTo(wins / pairs, 12)
    }),
    { numRuns: 200, seed: 1 },
  )
})
