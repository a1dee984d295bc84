/** Sums of losses, and losses that compare pairs: against TRL in float64, finite differences and pairs written out. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { goldenCases, goldenPairs, mean } from '../../test/golden-losses.ts'
import type { WeightedPair } from './batch-loss.ts'
import { losses } from './loss.ts'
import { lossesOf } from './objective.ts'

const names = ['aot', 'aot_unpaired'] as const
const cases = goldenCases.flatMap((one) => {
  const type = names.find((name) => name === one.loss_type)
  return type === undefined ? [] : [{ type, ...one }]
})

test('the golden file has both losses that compare pairs, with and without label smoothing', () => {
  expect(cases.map(({ type, label_smoothing }) => [type, label_smoothing])).toEqual([
    ['aot', 0],
    ['aot_unpaired', 0],
    ['aot', 0.1],
    ['aot_unpaired', 0.1],
  ])
})

test.each(cases)('$type, label smoothing $label_smoothing: values and gradients are those of TRL', (one) => {
  const terms = [{ type: one.type, weight: 1 }]
  const found = lossesOf(goldenPairs, { terms, beta: one.beta, labelSmoothing: one.label_smoothing })
  expect(mean(found.map(({ value }) => value))).toBeCloseTo(mean(one.per_sequence), 12)
  for (const [at, { dChosen, dRejected }] of found.entries()) {
    expect(dChosen / found.length).toBeCloseTo(one.grad_chosen[at], 12)
    expect(dRejected / found.length).toBeCloseTo(one.grad_rejected[at], 12)
  }
})

test('several losses are the sum of each by its weight, and so are their gradients', () => {
  const options = { beta: 0.1, labelSmoothing: 0 }
  const terms = [
    { type: 'hinge', weight: 2 },
    { type: 'aot', weight: 0.25 },
  ] as const
  const aot = lossesOf(goldenPairs, { terms: [{ type: 'aot', weight: 1 }], ...options })
  const both = lossesOf(goldenPairs, { terms, ...options })
  for (const [at, pair] of goldenPairs.entries()) {
    const hinge = losses.hinge(pair, options)
    expect(both[at].value).toBeCloseTo(2 * hinge.value + 0.25 * aot[at].value, 14)
    expect(both[at].dChosen).toBeCloseTo(2 * hinge.dChosen + 0.25 * aot[at].dChosen, 14)
    expect(both[at].dRejected).toBeCloseTo(2 * hinge.dRejected + 0.25 * aot[at].dRejected, 14)
  }
})

const anyLogp = fc.double({ min: -30, max: -1, noNaN: true })
const anyPair: fc.Arbitrary<WeightedPair> = fc.record({
  weight: fc.integer({ min: 1, max: 4 }),
  chosen: anyLogp,
  rejected: anyLogp,
  referenceChosen: anyLogp,
  referenceRejected: anyLogp,
  chosenTokens: fc.constant(1),
  rejectedTokens: fc.constant(1),
  meanChosenTokens: fc.constant(1),
})
const anyBatch = fc.array(anyPair, { minLength: 1, maxLength: 6 })

test.each(names)('%s: a pair of weight 3 is three pairs of weight 1, in value and gradient', (type) => {
  const objective = { terms: [{ type, weight: 1 }], beta: 0.3, labelSmoothing: 0.1 }
  fc.assert(
    fc.property(anyBatch, (batch) => {
      const weighed = lossesOf(batch, objective)
      const copies = batch.flatMap((pair, at) =>
        Array.from({ length: pair.weight }, () => ({ ...pair, weight: 1, at })),
      )
      const written = lossesOf(copies, objective)
      for (const [at, { weight }] of batch.entries()) {
        const own = written.filter((_, copy) => copies[copy].at === at)
        for (const key of ['value', 'dChosen', 'dRejected'] as const) {
          expect(weight * weighed[at][key]).toBeCloseTo(weight * mean(own.map((loss) => loss[key])), 10)
        }
      }
    }),
  )
})

test.each(names)('%s: gradients are the finite differences of the whole loss, on 250 random batches', (type) => {
  const objective = { terms: [{ type, weight: 1 }], beta: 0.3, labelSmoothing: 0.1 }
  const total = (batch: readonly WeightedPair[]): number =>
    lossesOf(batch, objective).reduce((sum, { value }, at) => sum + batch[at].weight * value, 0)
  const h = 1e-4
  fc.assert(
    fc.property(anyBatch, fc.nat(), fc.constantFrom('chosen', 'rejected'), (batch, any, side) => {
      const at = any % batch.length
      const moved = (by: number) => batch.map((pair, own) => (own === at ? { ...pair, [side]: pair[side] + by } : pair))
      // Where the order changes the loss has a corner.
      const samples = (pairs: readonly WeightedPair[]): number[] =>
        type === 'aot'
          ? pairs.map(({ chosen, rejected }) => chosen - rejected)
          : pairs.map((pair) => pair[side] - pair[side === 'chosen' ? 'referenceChosen' : 'referenceRejected'])
      const distances = samples(batch).map((value) => Math.abs(value - samples(batch)[at]))
      fc.pre(distances.every((distance, own) => own === at || distance > 3 * h))
      const { dChosen, dRejected } = lossesOf(batch, objective)[at]
      const slope = (total(moved(h)) - total(moved(-h))) / (2 * h)
      const expected = batch[at].weight * (side === 'chosen' ? dChosen : dRejected)
      expect(Math.abs(slope - expected)).toBeLessThanOrEqual(1e-6 * Math.max(1e-2, Math.abs(expected)))
    }),
    { numRuns: 250 },
  )
})
