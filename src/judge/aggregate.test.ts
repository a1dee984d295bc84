import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { UserError } from '../base/errors.ts'
import { AGGREGATIONS, type AggregationName, aggregate, defaultAggregation } from './aggregate.ts'
import type { StepVerdict } from './port.ts'

const skipped: StepVerdict = { state: 'abstained', why: 'after the first error' }
const failed: StepVerdict = { state: 'failed', kind: 'timeout', why: 'no reply' }

function scored(score: number): StepVerdict {
  return { state: 'scored', score, label: score < 0.5 ? 'incorrect' : 'correct', why: '' }
}

/** Null stands for a step without a score. */
function of(...scores: readonly (number | null)[]): StepVerdict[] {
  return scores.map((score) => (score === null ? skipped : scored(score)))
}

// Scores .9, .5, .2 worked by hand.
const WORKED: readonly [AggregationName, number][] = [
  ['mean', 1.6 / 3],
  ['weighted', (2 * 0.9 + 0 * 0.5 + 3 * 0.2) / 5], // weights 2, 0, 3
  ['linear', (1 * 0.9 + 2 * 0.5 + 3 * 0.2) / 6],
  ['inverse', (0.9 + 0.25 + 0.2 / 3) / (1 + 1 / 2 + 1 / 3)],
  ['decay', (0.9 + 0.95 * 0.5 + 0.9025 * 0.2) / 2.8525],
  ['rise', (0.9025 * 0.9 + 0.95 * 0.5 + 0.2) / 2.8525],
  ['product', 0.09],
  ['geometric', 0.44814047465571644], // ∛0.09
  ['min', 0.2],
  ['softmin', (0.2 + 0.5 * Math.exp(-3) + 0.9 * Math.exp(-7)) / (1 + Math.exp(-3) + Math.exp(-7))],
  ['last', 0.2],
  ['max', 0.9],
  ['sum', 1.6],
  ['power', Math.sqrt((0.81 + 0.25 + 0.04) / 3)],
  ['first_error', 2 / 3],
  ['fraction_correct', 2 / 3],
]

test.each(WORKED)('%s of .9, .5, .2 is what one works out by hand', (method, expected) => {
  const found = aggregate(of(0.9, 0.5, 0.2), method, { weights: [2, 0, 3] })
  expect(found.score).toBeCloseTo(expected, 12)
  expect(found).toMatchObject({ scored: 3, steps: 3, coverage: 1 })
})

test('every method is among the worked examples', () => {
  expect(WORKED.map(([method]) => method)).toEqual([...AGGREGATIONS])
})

// Step 2 of 4 has no score; .8, .4 and .6 stand at 1, 3 and 4.
test.each<[AggregationName, number]>([
  ['mean', 0.6],
  ['weighted', (1 * 0.8 + 3 * 0.4 + 4 * 0.6) / 8], // weights 1, 2, 3, 4
  ['linear', (1 * 0.8 + 3 * 0.4 + 4 * 0.6) / 8],
  ['inverse', (0.8 + 0.4 / 3 + 0.6 / 4) / (1 + 1 / 3 + 1 / 4)],
  ['decay', (0.8 + 0.4 * 0.95 ** 2 + 0.6 * 0.95 ** 3) / (1 + 0.95 ** 2 + 0.95 ** 3)],
  ['rise', (0.8 * 0.95 ** 3 + 0.4 * 0.95 + 0.6) / (1 + 0.95 + 0.95 ** 3)],
  ['product', 0.192],
  ['first_error', 0.5], // two of four steps stand before step 3
  ['fraction_correct', 2 / 3],
])('%s leaves out a step without a score and keeps the positions of the others', (method, expected) => {
  for (const missing of [skipped, failed]) {
    const found = aggregate([scored(0.8), missing, scored(0.4), scored(0.6)], method, { weights: [1, 2, 3, 4] })
    expect(found.score).toBeCloseTo(expected, 12)
    expect(found).toMatchObject({ scored: 3, steps: 4, coverage: 0.75 })
  }
})

describe('a judge that stops at the first error', () => {
  const stopped = of(1, 1, 0, null, null)

  test.each<[AggregationName, number]>([
    ['product', 0],
    ['min', 0],
    ['last', 0],
    ['geometric', 0],
    ['first_error', 2 / 5],
    ['mean', 2 / 3],
  ])('gives %s of the steps up to it', (method, expected) => {
    expect(aggregate(stopped, method)).toEqual({ score: expected, scored: 3, steps: 5, coverage: 0.6 })
  })
})

test('without a score there is no aggregate, by any method, rather than 0 or ½', () => {
  for (const method of AGGREGATIONS) {
    expect(aggregate([skipped, failed], method, { weights: [1, 1] }).score).toBeNull()
    expect(aggregate([], method).score).toBeNull()
  }
  expect(aggregate([skipped, failed], 'mean').coverage).toBe(0)
  expect(aggregate([], 'mean').coverage).toBe(0)
})

test('where only steps without a score weigh anything, there is no aggregate', () => {
  expect(aggregate(of(0.3, null), 'weighted', { weights: [0, 1] }).score).toBeNull()
})

test('a function weighs by position and length', () => {
  const lastTwo = aggregate(of(0.1, 0.4, 0.8), (position, count) => Number(position > count - 2))
  expect(lastTwo.score).toBeCloseTo(0.6, 12)
})

test('weights and options that do not fit are refused by name', () => {
  const two = of(0.5, 0.5)
  expect(() => aggregate(two, 'weighted', { weights: [1] })).toThrow(/expected 2 weights.*found 1/)
  expect(() => aggregate(two, 'weighted', { weights: [1, -1] })).toThrow(/weight of step 2/)
  expect(() => aggregate(two, () => Number.NaN)).toThrow(UserError)
  expect(() => aggregate(two, 'softmin', { temperature: 0 })).toThrow(/temperature/)
  expect(() => aggregate(two, 'power', { power: Infinity })).toThrow(/power/)
  expect(() => aggregate(two, 'decay', { gamma: 0 })).toThrow(/gamma/)
  expect(() => aggregate(two, 'first_error', { threshold: 2 })).toThrow(/threshold/)
})

test('a long solution underflows neither the geometric mean nor a high or a low power', () => {
  const long = of(...Array.from({ length: 2000 }, () => 0.01))
  expect(aggregate(long, 'geometric').score).toBeCloseTo(0.01, 12)
  for (const power of [500, -500]) expect(aggregate(long, 'power', { power }).score).toBeCloseTo(0.01, 12)
})

test('correctness is aggregated by the product, values by the last', () => {
  expect(defaultAggregation('correctness')).toBe('product')
  expect(defaultAggregation('value')).toBe('last')
})

const score = fc.double({ min: 0, max: 1, noNaN: true })
const scores = fc.array(score, { minLength: 1, maxLength: 12 })
const MEANS = AGGREGATIONS.filter((method) => !['sum', 'product', 'first_error', 'fraction_correct'].includes(method))

function value(values: readonly (number | null)[], method: AggregationName, options = {}): number {
  const found = aggregate(of(...values), method, { weights: values.map(() => 1), ...options }).score
  if (found === null) throw new Error(`no ${method} of ${values}`)
  return found
}

test('every mean lies between the lowest score and the highest, whatever is missing', () => {
  fc.assert(
    fc.property(scores, fc.nat(12), fc.constantFrom(...MEANS), (values, gap, method) => {
      const found = value([...values.slice(0, gap), null, ...values.slice(gap)], method)
      expect(found).toBeGreaterThanOrEqual(Math.min(...values) - 1e-12)
      expect(found).toBeLessThanOrEqual(Math.max(...values) + 1e-12)
    }),
  )
})

test('all but the sum stay in [0, 1]; min ≤ softmin ≤ mean ≤ max and product ≤ min ≤ geometric ≤ mean', () => {
  fc.assert(
    fc.property(scores, (values) => {
      for (const method of AGGREGATIONS) {
        if (method === 'sum') continue
        const found = value(values, method)
        expect(found, method).toBeGreaterThanOrEqual(0)
        expect(found, method).toBeLessThanOrEqual(1 + 1e-12)
      }
      const chains: AggregationName[][] = [
        ['min', 'softmin', 'mean', 'power', 'max'],
        ['product', 'min', 'geometric', 'mean', 'sum'],
      ]
      for (const chain of chains) {
        const found = chain.map((method) => value(values, method))
        for (let index = 1; index < found.length; index++) {
          expect(found[index] - found[index - 1], chain[index]).toBeGreaterThanOrEqual(-1e-9)
        }
      }
    }),
  )
})

test('the order of the steps matters to the methods of position and to no other', () => {
  const symmetric = [
    'mean',
    'product',
    'geometric',
    'min',
    'softmin',
    'max',
    'sum',
    'power',
    'fraction_correct',
  ] as const
  fc.assert(
    fc.property(scores, (values) => {
      for (const method of symmetric) expect(value(values.toReversed(), method)).toBeCloseTo(value(values, method), 9)
    }),
  )
  for (const method of ['linear', 'inverse', 'decay', 'rise', 'last', 'first_error'] as const) {
    expect(value([0.9, 0.1], method)).not.toBeCloseTo(value([0.1, 0.9], method), 3)
  }
})

test('softmin is the minimum as T → 0 and the mean as T → ∞; power is the mean, the geometric mean, the maximum', () => {
  fc.assert(
    fc.property(scores, (values) => {
      expect(value(values, 'softmin', { temperature: 1e-6 })).toBeCloseTo(Math.min(...values), 4)
      expect(value(values, 'softmin', { temperature: 1e6 })).toBeCloseTo(value(values, 'mean'), 5)
      expect(value(values, 'power', { power: 1 })).toBeCloseTo(value(values, 'mean'), 12)
      expect(value(values, 'power', { power: 0 })).toBeCloseTo(value(values, 'geometric'), 12)
      expect(value(values, 'power', { power: 1e5 })).toBeCloseTo(Math.max(...values), 3)
    }),
  )
})
