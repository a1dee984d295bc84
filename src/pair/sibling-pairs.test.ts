import fc from 'fast-check'
import { expect, test } from 'vitest'
import { by, judgedOf, manyJudged } from '../../test/judged-rollouts.ts'
import type { Reasons } from './reasons.ts'
import { siblingPairs } from './sibling-pairs.ts'

function pairsOf(judged: Parameters<typeof siblingPairs>[0], minMargin: number) {
  const reasons: Reasons = new Map()
  const pairs = siblingPairs(judged, minMargin, by, reasons)
  return { sides: pairs.map(({ prefix, chosen, rejected }) => [prefix, chosen, rejected]), pairs, reasons }
}

// After `a`: b scored 1, c scored 0.5, d scored 0. Behind d and behind a failed call nothing is compared.
const judged = [
  judgedOf('a\nb\nx', '++!'),
  judgedOf('a\nc\ny', '+0!'),
  judgedOf('a\nd\nz', '+-+'),
  judgedOf('a\nd\nw', '+--'),
]

test('steps after one prefix are paired by their margin, the largest first', () => {
  expect(pairsOf(judged, 0.5).sides).toEqual([
    ['a\n', 'b\n', 'd\n'],
    ['a\n', 'b\n', 'c\n'],
    ['a\n', 'c\n', 'd\n'],
  ])
  const { sides, reasons } = pairsOf(judged, 0.6)
  expect(sides).toEqual([['a\n', 'b\n', 'd\n']])
  expect(reasons.get('the scores differ by less than min_margin')).toBe(2)
})

test('of any judged rollouts: the margin holds, nothing stands behind an error or a failed call, no pair comes twice', () => {
  fc.assert(
    fc.property(manyJudged, (many) => {
      const { pairs } = pairsOf(many, 0.5)
      for (const { chosen_score: chosen, rejected_score: rejected, prefix, provenance, step } of pairs) {
        expect((chosen ?? 0) - (rejected ?? 0)).toBeGreaterThanOrEqual(0.5)
        for (const { rollout: id } of [provenance.chosen, provenance.rejected]) {
          const source = many.find(({ rollout }) => rollout.id === id)
          expect(source?.rollout.completion.startsWith(prefix)).toBe(true)
          for (const before of source?.verdicts.slice(0, step) ?? []) {
            expect(before).not.toMatchObject({ label: 'incorrect' })
            expect(before.state).not.toBe('failed')
          }
        }
      }
      expect(new Set(pairs.map(({ id }) => id)).size).toBe(pairs.length)
    }),
    { numRuns: 100 },
  )
})
