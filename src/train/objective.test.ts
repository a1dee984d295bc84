/** Sums of losses, and losses that compare pairs: against TRL in float64, finite differences and pairs written out. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { goldenCases, goldenPairs, mean } from '../../test/golden-losses.ts'
import { plainObjective } from '../../test/plain-objective.ts'
import type { WeightedPair } from './batch-loss.ts'
import type { PairLoss } from './loss.ts'
import { entryOf, lossTypes } from './loss-table.ts'
import { asksKl, asksReference, comparesPairs, lossesOf, needsScores, unitOf } from './objective.ts'
import { NO_REWARDS, nextRewardShift } from './reward-loss.ts'

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
  const options = { beta: one.beta, labelSmoothing: one.label_smoothing }
  const found = lossesOf(goldenPairs, { ...plainObjective, terms, ...options })
  expect(mean(found.map(({ value }) => value))).toBeCloseTo(mean(one.per_sequence), 12)
  for (const [at, { dChosen, dRejected }] of found.entries()) {
    expect(dChosen / found.length).toBeCloseTo(one.grad_chosen[at], 12)
    expect(dRejected / found.length).toBeCloseTo(one.grad_rejected[at], 12)
  }
})

const parts = ['value', 'dChosen', 'dRejected', 'dChosenKl', 'dRejectedKl'] as const satisfies (keyof PairLoss)[]

test('several losses are the sum of each by its weight times that of the pair, and so are their gradients', () => {
  const pairs = goldenPairs.map((pair, at) => ({
    ...pair,
    chosenKl: 0.3,
    rejectedKl: 0.1 * at,
    policyWeight: 0.5 + at,
  }))
  const terms = [
    { type: 'hinge', weight: 2 },
    { type: 'aot', weight: 0.25 },
    { type: 'tdpo1', weight: 3 },
  ] as const
  const alone = terms.map(({ type }) =>
    lossesOf(
      pairs.map((pair) => ({ ...pair, policyWeight: 1 })),
      { ...plainObjective, terms: [{ type, weight: 1 }] },
    ),
  )
  for (const [at, loss] of lossesOf(pairs, { ...plainObjective, terms }).entries()) {
    for (const part of parts) {
      const [hinge, aot, tdpo] = alone.map((losses) => losses[at][part])
      expect(loss[part]).toBeCloseTo((0.5 + at) * (2 * hinge + 0.25 * aot + 3 * tdpo), 14)
    }
  }
})

test('what losses ask for is what one of them asks for', () => {
  expect(asksReference(['simpo', 'orpo', 'cpo', 'alphapo', 'sft'])).toBe(false)
  expect(asksReference(['sft', 'hinge'])).toBe(true)
  expect([asksKl(['sigmoid']), asksKl(['sigmoid', 'tdpo2'])]).toEqual([false, true])
  expect([needsScores(['sigmoid']), needsScores(['odpo'])]).toEqual([false, true])
  expect(lossTypes.filter((type) => comparesPairs([type]))).toEqual(['bco_delta', 'aot', 'aot_unpaired'])
  expect(lossTypes.filter((type) => unitOf([type]) === 'member')).toEqual(['kto', 'step_kto', 'apo_zero_unpaired'])
  expect(unitOf(['plackett_luce'])).toBe('list')
})

test.each(lossTypes.filter((type) => entryOf(type).unit !== 'pair'))('%s is not computed of pairs', (type) => {
  expect(() => lossesOf(goldenPairs, { ...plainObjective, terms: [{ type, weight: 1 }] })).toThrow(/not of a pair/)
})

const anyLogp = fc.double({ min: -30, max: -1, noNaN: true })
const anyPair: fc.Arbitrary<WeightedPair> = fc.record({
  weight: fc.integer({ min: 1, max: 4 }),
  chosen: anyLogp,
  rejected: anyLogp,
  referenceChosen: anyLogp,
  referenceRejected: anyLogp,
  chosenTokens: fc.integer({ min: 1, max: 9 }),
  rejectedTokens: fc.integer({ min: 1, max: 9 }),
  meanChosenTokens: fc.constant(5),
  chosenKl: fc.constant(0.5),
  rejectedKl: fc.constant(0.25),
  scoreGap: fc.constant(0.5),
  policyWeight: fc.constant(1),
})
const anyBatch = fc.array(anyPair, { minLength: 1, maxLength: 6 })

/** What losses of batches put in order. */
const compared: readonly ((pair: WeightedPair) => number)[] = [
  ({ chosen, rejected }) => chosen - rejected,
  ({ referenceChosen, referenceRejected }) => referenceChosen - referenceRejected,
  ({ chosen, referenceChosen }) => chosen - referenceChosen,
  ({ rejected, referenceRejected }) => rejected - referenceRejected,
]
const areApart = (values: readonly number[]): boolean =>
  values.toSorted((a, b) => a - b).every((value, at, sorted) => at === 0 || value - sorted[at - 1] > 1e-9)

test.each(lossTypes.filter((type) => entryOf(type).unit === 'pair'))(
  '%s: the losses of pairs in another order are theirs in that order',
  (type) => {
    const objective = { ...plainObjective, terms: [{ type, weight: 1 }], labelSmoothing: 0.1 }
    fc.assert(
      fc.property(anyBatch, fc.nat(), (batch, any) => {
        // Ties may be broken either way.
        fc.pre(compared.every((value) => areApart(batch.map(value))))
        const order = [...batch.keys()].sort((a, b) => ((a * 7 + any) % 5) - ((b * 7 + any) % 5))
        const moved = lossesOf(
          order.map((at) => batch[at]),
          objective,
        )
        const losses = lossesOf(batch, objective)
        const errors = order.flatMap((at, place) =>
          parts.map((part) => Math.abs(moved[place][part] - losses[at][part])),
        )
        const largest = Math.max(1, ...losses.flatMap((loss) => parts.map((part) => Math.abs(loss[part]))))
        expect(Math.max(...errors)).toBeLessThanOrEqual(1e-12 * largest)
      }),
      { numRuns: 20 },
    )
  },
)

test.each(names)('%s: a pair of weight 3 is three pairs of weight 1, in value and gradient', (type) => {
  const objective = { ...plainObjective, terms: [{ type, weight: 1 }], beta: 0.3, labelSmoothing: 0.1 }
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
  const objective = { ...plainObjective, terms: [{ type, weight: 1 }], beta: 0.3, labelSmoothing: 0.1 }
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

test("BCO's shift is the mean over batches of the mean reward of all sides, a pair as often as it counts", () => {
  const sides = { referenceChosen: -10, referenceRejected: -10 }
  // log ratios (1, 3) three times and (−2, −4) once: (3 · 4 − 6) / 8 = 0.75; then (0.5, 0.5); β = 2
  const first = [
    { ...goldenPairs[0], ...sides, chosen: -9, rejected: -7, weight: 3 },
    { ...goldenPairs[0], ...sides, chosen: -12, rejected: -14, weight: 1 },
  ]
  const second = [{ ...goldenPairs[0], ...sides, chosen: -9.5, rejected: -9.5 }]
  const after = nextRewardShift(NO_REWARDS, first, 2)
  expect(after).toEqual({ mean: 1.5, count: 1 })
  expect(nextRewardShift(after, second, 2)).toEqual({ mean: 1.25, count: 2 })
})
