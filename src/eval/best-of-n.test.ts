import fc from 'fast-check'
import { expect, test } from 'vitest'
import { UserError } from '../base/errors.ts'
import { bestOfN, type ScoredCompletion } from './best-of-n.ts'
import { passAtK } from './pass-at-k.ts'

/** The mean over all subsets of n of the share of right ones among those with the best score. */
function bruteForce(completions: readonly ScoredCompletion[], n: number): number {
  let [sum, subsets] = [0, 0]
  for (let subset = 0; subset < 1 << completions.length; subset++) {
    const drawn = completions.filter((_, at) => (subset >> at) & 1)
    if (drawn.length !== n) continue
    const best = Math.max(...drawn.map(({ score }) => score ?? -1))
    const winners = drawn.filter(({ score }) => (score ?? -1) === best)
    sum += winners.filter(({ isRight }) => isRight).length / winners.length
    subsets++
  }
  return sum / subsets
}

const completion = fc.record({
  score: fc.constantFrom(0, 0.25, 0.5, 1, null), // few, so that there are ties
  isRight: fc.boolean(),
})
const completions = fc.array(completion, { minLength: 1, maxLength: 8 })

test('the best of n is right as often as over all subsets of n, with ties and without scores', () => {
  fc.assert(
    fc.property(completions, (all) => {
      for (let n = 1; n <= all.length; n++) expect(bestOfN(all, n)).toBeCloseTo(bruteForce(all, n), 12)
    }),
    { numRuns: 60 },
  )
})

test('a judge that knows the answer makes best-of-n pass@n, one that says the same of all makes it the accuracy', () => {
  const rights = fc.array(fc.boolean(), { minLength: 1, maxLength: 40 })
  fc.assert(
    fc.property(rights, (all) => {
      const right = all.filter(Boolean).length
      const n = Math.ceil(all.length / 3)
      const knowing = all.map((isRight) => ({ score: Number(isRight), isRight }))
      const blind = all.map((isRight) => ({ score: 0.7, isRight }))
      expect(bestOfN(knowing, n)).toBeCloseTo(passAtK(all.length, right, n), 12)
      expect(bestOfN(blind, n)).toBeCloseTo(right / all.length, 12)
    }),
    { numRuns: 40 },
  )
})

test('of scores .9 (wrong), .5 (right) and .1 (wrong) the best of two is right in one draw of three', () => {
  const all = [0.9, 0.5, 0.1].map((score) => ({ score, isRight: score === 0.5 }))
  expect(bestOfN(all, 2)).toBeCloseTo(1 / 3, 14)
})

test('a score of 0 is chosen before no score at all, and no score where nothing else was drawn', () => {
  const all = [
    { score: null, isRight: true },
    { score: 0, isRight: false },
  ]
  expect(bestOfN(all, 2)).toBe(0)
  expect(bestOfN(all, 1)).toBe(0.5)
})

test('there must be as many completions as are drawn', () => {
  expect(() => bestOfN([], 1)).toThrow(UserError)
  expect(() => bestOfN([{ score: 1, isRight: true }], 2)).toThrow('from 1 to 1, found 2')
})
