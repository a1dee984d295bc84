import { expect, test } from 'vitest'
import { type Candidate, VOTES, vote } from './vote.ts'

function candidates(...pairs: readonly [string | null, number | null][]): Candidate[] {
  return pairs.map(([answer, score]) => ({ answer, score }))
}

test('the most frequent answer, the one of most score and the one of the best solution can all differ', () => {
  const votes = candidates(['a', 0.1], ['a', 0.1], ['a', 0.2], ['b', 0.5], ['b', 0.6], ['c', 0.9])
  // a: 3 votes, sum .4, max .2; b: 2, 1.1, .6; c: 1, .9, .9
  expect(VOTES.map((method) => vote(votes, method).answer)).toEqual(['a', 'b', 'c'])
})

test('of equals the answer that stands first is taken', () => {
  const votes = candidates(['b', 0.5], ['a', 0.5])
  for (const method of VOTES) {
    expect(vote(votes, method).answer).toBe('b')
    expect(vote(votes.toReversed(), method).answer).toBe('a')
  }
})

test('a missing score is no vote where scores count, and answers that were not found never win', () => {
  const votes = candidates(['a', null], ['a', null], ['b', 0], [null, 1])
  expect(vote(votes, 'majority')).toEqual({ answer: 'a', counted: 3, candidates: 4 })
  expect(vote(votes, 'weighted')).toEqual({ answer: 'b', counted: 1, candidates: 4 })
  expect(vote(votes, 'max')).toEqual({ answer: 'b', counted: 1, candidates: 4 })
})

test('without any vote there is no answer', () => {
  for (const method of VOTES) expect(vote([], method).answer).toBeNull()
  expect(vote(candidates(['a', null]), 'weighted')).toEqual({ answer: null, counted: 0, candidates: 1 })
})

test('answers named like members of every object are answers', () => {
  expect(vote(candidates(['__proto__', 0.2], ['constructor', 0.1]), 'weighted').answer).toBe('__proto__')
})
