/** Each loss by itself: against values and gradients of the originals in float64, and against finite differences. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { goldenCases, mean, openrlhfCases, goldenPairs as pairs } from '../../test/golden-losses.ts'
import { type LossOptions, losses, type PairLogps } from './loss.ts'

type PairLossType = keyof typeof losses

function isLossType(name: string): name is PairLossType {
  return Object.hasOwn(losses, name)
}

const types = Object.keys(losses).filter(isLossType)

function expectClose(found: readonly number[], expected: readonly number[]): void {
  expect(found.length).toBe(expected.length)
  for (const [at, value] of expected.entries()) {
    expect(Math.abs(found[at] - value), `${found[at]} for ${value}`).toBeLessThanOrEqual(
      1e-12 * Math.max(1, Math.abs(value)),
    )
  }
}

describe('on the six pairs of the golden file', () => {
  const cases = goldenCases.flatMap(({ loss_type, ...rest }) =>
    isLossType(loss_type) ? [{ type: loss_type, ...rest }] : [],
  )

  test.each(cases)('$type, label smoothing $label_smoothing: values and gradients are those of TRL', (one) => {
    const found = pairs.map((pair) => losses[one.type](pair, { beta: one.beta, labelSmoothing: one.label_smoothing }))
    expectClose(
      found.map(({ value }) => value),
      one.per_sequence,
    )
    expectClose(
      found.map(({ dChosen }) => dChosen / pairs.length),
      one.grad_chosen,
    )
    expectClose(
      found.map(({ dRejected }) => dRejected / pairs.length),
      one.grad_rejected,
    )
  })

  test('the golden file covers every loss but the two that it has elsewhere', () => {
    const covered = new Set(cases.map(({ type }) => type))
    expect(types.filter((type) => !covered.has(type))).toEqual(['ipo_sum', 'sft'])
  })

  test.each(openrlhfCases)('OpenRLHF, ipo $ipo, beta $beta, label smoothing $label_smoothing: the same', (one) => {
    const loss = losses[one.ipo ? 'ipo_sum' : 'sigmoid']
    const found = pairs.map((pair) => loss(pair, { beta: one.beta, labelSmoothing: one.label_smoothing }))
    expectClose([mean(found.map(({ value }) => value))], [one.mean])
    expectClose(
      found.map(({ dChosen }) => dChosen / pairs.length),
      one.grad_chosen,
    )
    expectClose(
      found.map(({ dRejected }) => dRejected / pairs.length),
      one.grad_rejected,
    )
  })

  test('sft is the mean over all chosen tokens, not over pairs', () => {
    const found = pairs.map((pair) => losses.sft(pair, { beta: 0.1, labelSmoothing: 0 }).value)
    // 12.5 + 30 + 3.25 + 101 + 7 + 55.5 nats over 10 + 24 + 3 + 80 + 6 + 40 tokens
    expectClose([mean(found)], [209.25 / 163])
  })
})

const anyLogp = fc.double({ min: -30, max: -1, noNaN: true })
const anyTokens = fc.integer({ min: 1, max: 40 })
const anyPair: fc.Arbitrary<PairLogps> = fc.record({
  chosen: anyLogp,
  rejected: anyLogp,
  referenceChosen: anyLogp,
  referenceRejected: anyLogp,
  chosenTokens: anyTokens,
  rejectedTokens: anyTokens,
  meanChosenTokens: fc.double({ min: 1, max: 40, noNaN: true }),
})
const anyOptions: fc.Arbitrary<LossOptions> = fc.record({
  beta: fc.double({ min: 0.05, max: 1, noNaN: true }),
  labelSmoothing: fc.double({ min: 0.001, max: 0.45, noNaN: true }),
})

/** d f / dx by five points: the error is of order h⁴. */
function differentiate(f: (x: number) => number, x: number): number {
  const h = 3e-4
  return (8 * (f(x + h) - f(x - h)) - (f(x + 2 * h) - f(x - 2 * h))) / (12 * h)
}

test.each(types)('%s: gradients are the finite differences of values to 1e-6, on 250 random pairs', (type) => {
  fc.assert(
    fc.property(anyPair, anyOptions, (pair, options) => {
      const margin = pair.chosen - pair.referenceChosen - pair.rejected + pair.referenceRejected
      fc.pre(type !== 'hinge' || Math.abs(margin * options.beta - 1) > 1e-2) // its corner has no gradient
      const { dChosen, dRejected } = losses[type](pair, options)
      const chosen = differentiate((x) => losses[type]({ ...pair, chosen: x }, options).value, pair.chosen)
      const rejected = differentiate((x) => losses[type]({ ...pair, rejected: x }, options).value, pair.rejected)
      // What is below 1e-3 is compared as if it were 1e-3: beyond that a difference of values around 1 is rounding.
      expect(Math.abs(dChosen - chosen)).toBeLessThanOrEqual(1e-6 * Math.max(1e-3, Math.abs(chosen)))
      expect(Math.abs(dRejected - rejected)).toBeLessThanOrEqual(1e-6 * Math.max(1e-3, Math.abs(rejected)))
    }),
    { numRuns: 250 },
  )
})

test.each(types)('%s: values and gradients are finite however far policy and reference are apart', (type) => {
  const options = { beta: 1, labelSmoothing: type === 'exo_pair' ? 0.001 : 0 }
  for (const [chosen, rejected] of [
    [-1e5, -1],
    [-1, -1e5],
    [-1e5, -1e5],
  ]) {
    const logps = { chosen, rejected, referenceChosen: -5, referenceRejected: -5 }
    const found = losses[type]({ ...logps, chosenTokens: 2, rejectedTokens: 3, meanChosenTokens: 2 }, options)
    expect(Object.values(found).every(Number.isFinite), JSON.stringify(found)).toBe(true)
  }
})

test('the losses of a margin are what their papers say where policy and reference agree', () => {
  const same = { ...pairs[0], referenceChosen: pairs[0].chosen, referenceRejected: pairs[0].rejected }
  const at = (type: PairLossType): number => losses[type](same, { beta: 0.5, labelSmoothing: 0 }).value
  expect(at('sigmoid')).toBeCloseTo(Math.LN2, 15)
  expect(at('hinge')).toBe(1)
  expect(at('ipo')).toBe(1) // (1 / 2β)²
  expect(at('ipo_sum')).toBe(1)
  expect(at('sppo_hard')).toBe(2)
  expect(at('discopop')).toBeCloseTo((Math.LN2 + 1) / 2, 15) // half of each: log 2 and e^0
})
