/** Plackett–Luce's loss of a group: against DPO, members written out and finite differences. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { goldenPairs } from '../../test/golden-losses.ts'
import { plainObjective } from '../../test/plain-objective.ts'
import { type ListMember, listLoss } from './list-loss.ts'
import { lossesOf } from './objective.ts'

test('of two members it is the sigmoid loss of their pair, in value and gradient', () => {
  for (const [at, pair] of goldenPairs.entries()) {
    const { value, dChosen, dRejected } = lossesOf(goldenPairs, plainObjective)[at]
    const found = listLoss(
      [
        { logp: pair.rejected, reference: pair.referenceRejected, rating: -1, count: 1 },
        { logp: pair.chosen, reference: pair.referenceChosen, rating: 1, count: 1 },
      ],
      plainObjective,
    )
    expect(found.value).toBeCloseTo(value, 14)
    expect(found.dLogps[0]).toBeCloseTo(dRejected, 14)
    expect(found.dLogps[1]).toBeCloseTo(dChosen, 14)
  }
})

test('of three ratings it is the probability of the whole ranking', () => {
  // s = 2, 0 and 1, ranked in this order: e² / (e² + e⁰ + e¹) · e⁰ / (e⁰ + e¹)
  const scores = [2, 0, 1]
  const members = scores.map((logp, at) => ({ logp, reference: 0, rating: -at, count: 1 }))
  const probability = (Math.E ** 2 / (Math.E ** 2 + 1 + Math.E)) * (1 / (1 + Math.E))
  expect(listLoss(members, { beta: 1 }).value).toBeCloseTo(-Math.log(probability), 14)
})

test('members of one rating are not compared, and one above two of them competes with both', () => {
  const member = (logp: number, rating: number) => ({ logp, reference: 0, rating, count: 1 })
  const silent = listLoss([member(-1, 1), member(-5, 1)], { beta: 1 })
  expect(silent).toEqual({ value: 0, dLogps: [0, 0] })
  expect(listLoss([], { beta: 1 })).toEqual({ value: 0, dLogps: [] })
  // e⁻¹ / (e⁻¹ + e⁻² + e⁻³), once, for the other two are equal
  const found = listLoss([member(-2, 0), member(-1, 1), member(-3, 0)], { beta: 1 })
  expect(found.value).toBeCloseTo(Math.log(1 + Math.exp(-1) + Math.exp(-2)), 14)
})

const anyMember: fc.Arbitrary<ListMember> = fc.record({
  logp: fc.double({ min: -30, max: -1, noNaN: true }),
  reference: fc.double({ min: -30, max: -1, noNaN: true }),
  rating: fc.integer({ min: -1, max: 2 }),
  count: fc.integer({ min: 1, max: 3 }),
})
const anyList = fc.array(anyMember, { minLength: 2, maxLength: 7 })
const beta = 0.3

test('members in another order have the same loss, each the same gradient', () => {
  fc.assert(
    fc.property(anyList, fc.nat(), (members, any) => {
      const order = [...members.keys()].sort((a, b) => ((a * 5 + any) % 7) - ((b * 5 + any) % 7))
      const moved = listLoss(
        order.map((at) => members[at]),
        { beta },
      )
      const found = listLoss(members, { beta })
      expect(moved.value).toBeCloseTo(found.value, 11)
      for (const [place, at] of order.entries()) expect(moved.dLogps[place]).toBeCloseTo(found.dLogps[at], 11)
    }),
  )
})

test('a member that counts three times is three members, in value and gradient', () => {
  fc.assert(
    fc.property(anyList, (members) => {
      const copies = members.flatMap((member, at) =>
        Array.from({ length: member.count }, () => ({ ...member, count: 1, at })),
      )
      const written = listLoss(copies, { beta })
      const found = listLoss(members, { beta })
      expect(found.value).toBeCloseTo(written.value, 10)
      for (const at of members.keys()) {
        const own = written.dLogps.filter((_, copy) => copies[copy].at === at).reduce((sum, slope) => sum + slope, 0)
        expect(found.dLogps[at]).toBeCloseTo(own, 10)
      }
    }),
  )
})

test('gradients are the finite differences, and add up to 0', () => {
  const h = 1e-4
  fc.assert(
    fc.property(anyList, fc.nat(), (members, any) => {
      const at = any % members.length
      const moved = (by: number) => members.map((one, own) => (own === at ? { ...one, logp: one.logp + by } : one))
      const { dLogps } = listLoss(members, { beta })
      const slope = (listLoss(moved(h), { beta }).value - listLoss(moved(-h), { beta }).value) / (2 * h)
      expect(Math.abs(dLogps[at] - slope)).toBeLessThanOrEqual(1e-7)
      expect(dLogps.reduce((sum, one) => sum + one, 0)).toBeCloseTo(0, 12)
    }),
  )
})

test('values and gradients are finite however far members are apart', () => {
  const members = [0, -1e5, -3, -1e5].map((logp, at) => ({ logp, reference: -5, rating: at, count: 1 }))
  const { value, dLogps } = listLoss(members, { beta: 1 })
  expect([value, ...dLogps].every(Number.isFinite)).toBe(true)
})
