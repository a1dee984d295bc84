import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { judgedOf } from '../../test/judged-rollouts.ts'
import {
  agreedLocation,
  beginSearch,
  type FallSearch,
  giveValue,
  locateFall,
  valueRow,
  wantedSteps,
} from './monte-carlo.ts'

/** Searches with the values of 0, 1, … steps; that of all steps is not asked. */
function searchIn(values: readonly number[]): FallSearch {
  let search = beginSearch(values.length)
  for (let steps = wantedSteps(search); steps !== undefined; steps = wantedSteps(search)) {
    search = giveValue(search, values[steps])
  }
  return search
}

const shares = fc
  .array(fc.integer({ min: 0, max: 4 }), { minLength: 1, maxLength: 40 })
  .map((all) => all.map((n) => n / 4))

test('where values do not rise again, the first of value 0 is found, as by looking at all', () => {
  fc.assert(
    fc.property(fc.nat(40), fc.nat(40), (positive, zeros) => {
      const values = [...Array.from({ length: positive }, () => 0.5), ...Array.from({ length: zeros }, () => 0)]
      const first = [...values, 0].indexOf(0)
      expect(searchIn(values).low).toBe(first)
    }),
  )
})

test('whatever the values are, what is found is a place where they fall to 0, and was asked about', () => {
  fc.assert(
    fc.property(shares, (values) => {
      const { low, values: asked } = searchIn(values)
      expect([...values, 0][low]).toBe(0)
      if (low > 0) expect(values[low - 1]).toBeGreaterThan(0)
      if (low > 0) expect(asked.get(low - 1)).toBe(values[low - 1])
      expect(asked.size).toBeLessThanOrEqual(Math.ceil(Math.log2(values.length + 1)))
    }),
  )
})

test('of several falls one is found, not always the first', () => {
  // Of 4 steps; 0 after the first, reached again after the second.
  expect(searchIn([1, 0, 0.5, 0]).low).toBe(3)
})

describe('what a search says', () => {
  test('the wrong step is the one at which the value falls', () => {
    expect(locateFall(searchIn([1, 0.25, 0]))).toEqual({
      step: 1,
      why: '25 % of the continuations reach the answer before this step, none behind it',
    })
  })

  test('the last step is wrong where all before it can be saved', () => {
    expect(locateFall(searchIn([1, 1, 1]))).toMatchObject({ step: 2 })
  })

  test('where the policy never reaches the answer, no step is to blame', () => {
    expect(locateFall(searchIn([0, 0, 0]))).toEqual({ none: 'no continuation from the beginning reaches the answer' })
  })

  test('judge and Monte Carlo must name the same step', () => {
    const [one, two] = [
      { step: 1, why: 'judge' },
      { step: 2, why: 'values' },
    ]
    expect(agreedLocation(one, { step: 1, why: 'values' })).toBe(one)
    expect(agreedLocation(one, two)).toHaveProperty('none')
    expect(agreedLocation({ none: 'a' }, two)).toEqual({ none: 'a' })
    expect(agreedLocation(one, { none: 'b' })).toEqual({ none: 'b' })
  })
})

test('a row of values has what stands between two prefixes that were valued, and 0 at its end', () => {
  const solution = judgedOf('a\nb\nc\nd', '????')
  expect(
    valueRow(
      solution,
      new Map([
        [2, 0.5],
        [0, 1],
        [3, 0],
      ]),
    ),
  ).toEqual({
    prompt: 'p',
    completions: ['a\nb', 'c', 'd'],
    labels: [0.5, 0, 0],
  })
  const given = judgedOf('So a\nb', '??', { given: 3 })
  expect(
    valueRow(
      given,
      new Map([
        [0, 1],
        [1, 0.5],
      ]),
    ),
  ).toMatchObject({ completions: ['So a', 'b'], labels: [0.5, 0] })
  expect(valueRow(solution, new Map())).toEqual({ prompt: 'p', completions: ['a\nb\nc\nd'], labels: [0] })
})
