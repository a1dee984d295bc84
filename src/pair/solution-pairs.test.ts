import fc from 'fast-check'
import { expect, test } from 'vitest'
import { by, judgedOf, manyJudged } from '../../test/judged-rollouts.ts'
import type { JudgedRollout } from './judged.ts'
import type { Reasons } from './reasons.ts'
import { solutionPairs } from './solution-pairs.ts'

function pairsOf(judged: readonly JudgedRollout[], minMargin = 0.5) {
  const reasons: Reasons = new Map()
  const pairs = solutionPairs(judged, minMargin, by, reasons)
  return { pairs, sides: pairs.map(({ chosen, rejected }) => [chosen, rejected]), reasons: Object.fromEntries(reasons) }
}

const right = (text: string, score: number | null) => judgedOf(text, '+', { score, final_answer_correct: true })
const wrong = (text: string, score: number | null) => judgedOf(text, '+', { score })
const unknown = (text: string, score: number | null) =>
  judgedOf(text, '+', { score, final_answer_correct: null, answer: null })

test('the best right solution stands against the worst wrong one, and so on; the fewer come again', () => {
  const { sides, reasons } = pairsOf([
    wrong('w9', 0.9),
    right('r5', 0.5),
    wrong('w1', 0.1),
    right('r8', 0.8),
    wrong('w?', null),
  ])
  expect(sides).toEqual([
    ['r8', 'w1'],
    ['r5', 'w9'],
    ['r8', 'w?'],
  ])
  expect(reasons).toEqual({})
})

test('without known answers scores decide, by the margin, each solution once', () => {
  const { sides, reasons } = pairsOf([
    unknown('a', 0.2),
    unknown('b', 0.9),
    unknown('c', 0.6),
    unknown('d', 0.5),
    unknown('e', null),
  ])
  expect(sides).toEqual([['b', 'a']])
  expect(reasons).toEqual({ 'no step was scored': 1, 'the scores differ by less than min_margin': 2 })
  expect(pairsOf([unknown('a', 0.5), unknown('b', 0.5)], 0).pairs).toEqual([])
})

test('what was given to the policy is the prefix, and the white space at the end of an answer stays', () => {
  const given = { given: 'Well,\n'.length }
  const { pairs } = pairsOf([
    judgedOf('Well,\nyes\n', '?+', { ...given, final_answer_correct: true }),
    judgedOf('Well,\nno', '?+', given),
  ])
  expect(pairs).toMatchObject([
    { prefix: 'Well,\n', chosen: 'yes\n', rejected: 'no', chosen_terminal: true, rejected_terminal: true, step: 0 },
  ])
})

test('solutions that are cut, judged in part or seen before are counted and in no pair', () => {
  const { sides, reasons } = pairsOf([
    right('r', 1),
    right('r ', 1),
    wrong('w', 0),
    judgedOf('x\ny', '+!', { score: 1 }),
    judgedOf('z', '+', { finish: 'length' }),
    judgedOf('only', '+', { problem: 'q' }),
  ])
  expect(sides).toEqual([['r', 'w']])
  expect(reasons).toEqual({
    'the same solution again': 1,
    'the judge failed before a first error': 1,
    'cut at max_new_tokens': 1,
    'no right solution of the problem': 1,
  })
})

test('every rollout is in a pair or counted, and no side has a failed step', () => {
  fc.assert(
    fc.property(manyJudged, (judged) => {
      const { pairs, reasons } = pairsOf(judged, 0.25)
      const used = new Set(pairs.flatMap(({ provenance: { chosen, rejected } }) => [chosen.rollout, rejected.rollout]))
      for (const { rollout, verdicts } of judged) {
        if (used.has(rollout.id)) expect(verdicts.every(({ state }) => state !== 'failed')).toBe(true)
      }
      const left = Object.values(reasons).reduce((sum, times) => sum + times, 0)
      expect(used.size + left).toBe(judged.length)
      expect(new Set(pairs.map(({ id }) => id)).size).toBe(pairs.length)
    }),
    { numRuns: 100 },
  )
})
