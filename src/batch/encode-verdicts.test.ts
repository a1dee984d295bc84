/** Rated steps as verdicts: what is taught of labels of every kind, and what is left out. */
import { expect, test } from 'vitest'
import type { Group, Member } from '../data/records.ts'
import type { VerdictFrame } from '../judge/verdicts.ts'
import { encodeVerdicts, labelOf } from './encode-verdicts.ts'
import { pairCount } from './pack.ts'

const frame: VerdictFrame = {
  prompt: (problem) => [1, ...Buffer.from(problem)],
  step: (text) => [...Buffer.from(text), 10],
  right: 43,
  wrong: 45,
}
const options = { maxLength: 30, maxRowTokens: 100 }
const member = (content: Member['content'], rating: number, more: Partial<Member> = {}): Member => ({
  content,
  rating,
  terminal: false,
  count: 1,
  ...more,
})
const groupOf = (members: readonly Member[], more: Partial<Group> = {}): Group => ({
  problem: 'p',
  prompt: { messages: [{ role: 'user', content: 'p' }] },
  prefix: ['ab'],
  separator: '\n',
  members,
  place: { file: 'rows', line: 3 },
  ...more,
})

test('a label is the score, or the rating from −1 to 1, whatever a stranger wrote there', () => {
  const ratings = [1, -1, 0, 0.4, 7, -1e300]
  expect(ratings.map((rating) => labelOf({ rating }))).toEqual([1, 0, 0.5, 0.7, 1, 0])
  expect(labelOf({ rating: 0.3, score: 0.3 })).toBe(0.3)
})

test('each rated step ends a prefix of its own, with its verdicts behind it; alike ratings are enough', () => {
  const { groups, dropped } = encodeVerdicts([groupOf([member('x', 1, { count: 3 }), member('y', 1)])], frame, options)
  expect(dropped.size).toBe(0)
  expect(groups.map(({ prefix }) => prefix.flat())).toEqual([
    [1, 112, 97, 98, 10, 120, 10],
    [1, 112, 97, 98, 10, 121, 10],
  ])
  expect(groups.map(({ members }) => members)).toEqual([
    [[43], [45]],
    [[43], [45]],
  ])
  expect(groups.map(({ pairs }) => pairs)).toEqual([
    [{ chosen: 0, rejected: 1, weight: 3 }],
    [{ chosen: 0, rejected: 1, weight: 1 }],
  ])
})

test('a soft label weighs both verdicts, together as much as a hard one; the end of a solution changes nothing', () => {
  const soft = member('x', 0.25, { score: 0.25, count: 2, terminal: true })
  const { groups } = encodeVerdicts([groupOf([soft, member('x', -1)])], frame, options)
  expect(groups[0].pairs).toEqual([
    { chosen: 0, rejected: 1, weight: 0.5 },
    { chosen: 1, rejected: 0, weight: 1.5 },
  ])
  expect(groups[0].prefix).toEqual(groups[1].prefix)
  expect(pairCount(groups)).toBe(3)
})

test('token ids and what is too long are left out with the reason, not cut', () => {
  const long = member('z'.repeat(23), 1, { count: 2 })
  const { groups, dropped } = encodeVerdicts(
    [
      groupOf([long, member('z'.repeat(22), 1), member([5, 6], 1)]),
      groupOf([member('x', 1)], { prefix: [[7]] }),
      groupOf([member('x', 1)], { prompt: { raw: [7] } }),
    ],
    frame,
    options,
  )
  expect(groups).toHaveLength(1) // 2 + 3 + 23 + 2 tokens
  expect([...dropped].map(([reason, { count }]) => [reason, count])).toEqual([
    ['problem and steps are longer than max_length or max_row_tokens: 30', 2],
    ['token ids, where a process reward model is taught text', 3],
  ])
})
