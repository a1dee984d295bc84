/** KTO's loss of single members: against TRL's own code in float64, finite differences and what its signs must be. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { goldenPairs, trlCases } from '../../test/golden-losses.ts'
import { klBaseline, type MemberLogps, type MemberLossOptions, memberLoss } from './member-loss.ts'

const chosen = goldenPairs.map((pair) => ({ logp: pair.chosen, reference: pair.referenceChosen, desirable: true }))
const rejected = goldenPairs.map((pair) => ({
  logp: pair.rejected,
  reference: pair.referenceRejected,
  desirable: false,
}))

test.each(trlCases.members)('$loss, weights $desirable_weight and $undesirable_weight: as in TRL', (one) => {
  const options = {
    beta: one.beta,
    desirableWeight: one.desirable_weight,
    undesirableWeight: one.undesirable_weight,
    klBaseline: klBaseline(one.mismatched),
  }
  if (one.loss === 'kto') expect(options.klBaseline).toBeCloseTo(one.kl, 15)
  const found = [...chosen, ...rejected].map((member) => memberLoss(one.loss, member, options))
  for (const [at, { value, dLogp }] of found.entries()) {
    expect(value).toBeCloseTo(one.values[at], 14)
    expect(dLogp).toBeCloseTo([...one.grad_chosen, ...one.grad_rejected][at], 14)
  }
})

test('the baseline is the mean log ratio, never below 0, and 0 of nothing', () => {
  expect(klBaseline([1, 4, -2])).toBe(1)
  expect(klBaseline([1, -4])).toBe(0)
  expect(klBaseline([])).toBe(0)
})

const anyMember: fc.Arbitrary<MemberLogps> = fc.record({
  logp: fc.double({ min: -30, max: -1, noNaN: true }),
  reference: fc.double({ min: -30, max: -1, noNaN: true }),
  desirable: fc.boolean(),
})
const weight = fc.double({ min: 0.1, max: 2, noNaN: true })
const anyOptions: fc.Arbitrary<MemberLossOptions> = fc.record({
  beta: fc.double({ min: 0.05, max: 1, noNaN: true }),
  desirableWeight: weight,
  undesirableWeight: weight,
  klBaseline: fc.double({ min: 0, max: 5, noNaN: true }),
})
const types = ['kto', 'apo_zero_unpaired'] as const

test.each(types)('%s: the gradient is the finite difference, and points up for what is desirable alone', (type) => {
  fc.assert(
    fc.property(anyMember, anyOptions, (member, options) => {
      const { dLogp } = memberLoss(type, member, options)
      const h = 1e-4
      const at = (by: number) => memberLoss(type, { ...member, logp: member.logp + by }, options).value
      expect(Math.abs(dLogp - (at(h) - at(-h)) / (2 * h))).toBeLessThanOrEqual(1e-8)
      expect(Math.sign(dLogp)).toBe(member.desirable ? -1 : 1)
    }),
  )
})

test('the desirable and the undesirable loss of one member add up to 1, its gradients to 0', () => {
  fc.assert(
    fc.property(anyMember, anyOptions, (member, options) => {
      const even = { ...options, desirableWeight: 1, undesirableWeight: 1 }
      const [up, down] = [true, false].map((desirable) => memberLoss('kto', { ...member, desirable }, even))
      expect(up.value + down.value).toBeCloseTo(1, 14)
      expect(up.dLogp + down.dLogp).toBeCloseTo(0, 14)
    }),
  )
})

test.each(types)('%s: values and gradients are finite however far policy and reference are apart', (type) => {
  const options = { beta: 1, desirableWeight: 1, undesirableWeight: 1, klBaseline: 0 }
  for (const logp of [-1e5, 0]) {
    for (const desirable of [true, false]) {
      const { value, dLogp } = memberLoss(type, { logp, reference: -5e4, desirable }, options)
      expect(value).toBe((logp === 0) === desirable ? 0 : 1)
      expect(Math.abs(dLogp)).toBe(0)
    }
  }
})
