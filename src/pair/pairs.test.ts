import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Group } from '../data/records.ts'
import { groupPairs } from './pairs.ts'

function group(ratings: readonly number[], counts: readonly number[] = ratings.map(() => 1)): Group {
  const members = ratings.map((rating, index) => ({
    content: `${index}`,
    rating,
    terminal: false,
    count: counts[index],
  }))
  return { problem: 'p', prompt: { raw: 'p' }, prefix: [], separator: '', members, place: { file: 'f' } }
}

test('all pairs are every better member with every worse one, weighing the product of their counts', () => {
  expect(groupPairs(group([1, -1, 0, 1], [2, 3, 5, 7]), 'all')).toEqual([
    { chosen: 0, rejected: 1, weight: 6 },
    { chosen: 0, rejected: 2, weight: 10 },
    { chosen: 2, rejected: 1, weight: 15 },
    { chosen: 3, rejected: 1, weight: 21 },
    { chosen: 3, rejected: 2, weight: 35 },
  ])
})

test('best_worst takes the extremes, first the earliest of the best and the earliest that is worse', () => {
  const rated = group([0.2, 0.5, 0.9, 0.9, 0.1], [9, 9, 9, 9, 9])
  expect(groupPairs(rated, 'best_worst')).toEqual([{ chosen: 2, rejected: 4, weight: 1 }])
  expect(groupPairs(rated, 'first')).toEqual([{ chosen: 2, rejected: 0, weight: 1 }])
})

test('members rated alike make no pair under any policy', () => {
  for (const ratings of [[], [1], [1, 1], [0, 0, 0]]) {
    for (const policy of ['all', 'best_worst', 'first'] as const) expect(groupPairs(group(ratings), policy)).toEqual([])
  }
})

test('the weights of all pairs sum to the pairs of labelled completions with different ratings', () => {
  const rated = fc.array(fc.record({ rating: fc.constantFrom(-1, 0, 0.5, 1), count: fc.integer({ min: 1, max: 4 }) }))
  fc.assert(
    fc.property(rated, (drawn) => {
      // Each member written out as often as it counts; half of the ordered unequal pairs have the better one first.
      const copies = drawn.flatMap(({ rating, count }) => Array.from({ length: count }, () => rating))
      const unequal = copies.flatMap((a) => copies.filter((b) => a !== b)).length / 2
      const pairs = groupPairs(
        group(
          drawn.map(({ rating }) => rating),
          drawn.map(({ count }) => count),
        ),
        'all',
      )
      expect(pairs.reduce((sum, { weight }) => sum + weight, 0)).toBe(unequal)
      for (const { chosen, rejected } of pairs) expect(drawn[chosen].rating).toBeGreaterThan(drawn[rejected].rating)
    }),
  )
})
