import fc from 'fast-check'
import { expect, test } from 'vitest'
import { by, judgedOf, manyJudged, rolloutOf } from '../../test/judged-rollouts.ts'
import { cutPairs, cutSolutions, endsWrong } from './cut-pairs.ts'
import type { JudgedRollout } from './judged.ts'
import type { Reasons } from './reasons.ts'

const right = { final_answer_correct: true, final_answer: '5' }
const solution = judgedOf('a\nb\nIt is 5', '++?', right)

test('a right solution is cut behind a step and before another; which one, the seed and its id decide', () => {
  const cutAt = (seed: number, judged: JudgedRollout) => cutSolutions([judged], true, seed, new Map())[0].place.step
  const steps = Array.from({ length: 30 }, (_, seed) => cutAt(seed, solution))
  expect(new Set(steps)).toEqual(new Set([1, 2]))
  expect(Array.from({ length: 30 }, (_, seed) => cutAt(seed, solution))).toEqual(steps)
  const other = { ...solution, rollout: { ...solution.rollout, id: 'other' } }
  expect(Array.from({ length: 30 }, (_, seed) => cutAt(seed, other))).not.toEqual(steps)
})

test('every rollout is cut once or counted, and only what nobody found wrong is cut', () => {
  fc.assert(
    fc.property(manyJudged, fc.boolean(), (judged, isJudged) => {
      const reasons: Reasons = new Map()
      const cuts = cutSolutions(judged, isJudged, 1, reasons)
      const left = [...reasons.values()].reduce((sum, times) => sum + times, 0)
      expect(cuts.length + left).toBe(judged.length)
      for (const { solution: cut, place } of cuts) {
        expect(cut.rollout).toMatchObject({ final_answer_correct: true, finish: 'stop' })
        if (isJudged)
          expect(cut.verdicts.some((verdict) => 'label' in verdict && verdict.label === 'incorrect')).toBe(false)
        expect(place.prefix.trim()).not.toBe('')
        expect(cut.rollout.completion.slice(place.prefix.length).trim()).not.toBe('')
      }
    }),
  )
})

test('only a finished continuation with another answer ends wrong', () => {
  expect(endsWrong(rolloutOf('x'))).toBe(true)
  expect(endsWrong(rolloutOf('x', right))).toBe(false)
  expect(endsWrong(rolloutOf('x', { finish: 'length' }))).toBe(false)
  expect(endsWrong(rolloutOf('x', { final_answer: null }))).toBe(false)
  expect(endsWrong(rolloutOf('x', { final_answer_correct: null }))).toBe(false)
})

test('the rest of the right solution is chosen, that of the wrong one rejected; a judge must see the error in it', () => {
  const place = { prompt: 'p', answer: '5', prefix: 'a\n', step: 1 }
  const cut = { solution, place }
  const given = { given: 2 }
  const cases: [string, JudgedRollout | undefined, boolean, string | null][] = [
    ['an error', judgedOf('a\nb\nIt is 7', '+?-', given), true, null],
    ['none that the judge sees', judgedOf('a\nb\nIt is 7', '+++', given), true, 'no step was found wrong'],
    ['none, and nobody judges', judgedOf('a\nb\nIt is 7', '+++', given), false, null],
    [
      'an error before',
      judgedOf('a\nb\nIt is 7', '-', given),
      true,
      'the error of the continuation stands before the cut',
    ],
    ['a failed call', judgedOf('a\nb\nIt is 7', '+!', given), true, 'the judge failed before a first error'],
    ['nothing', undefined, true, 'no continuation ends wrong'],
  ]
  for (const [name, other, isJudged, reason] of cases) {
    const reasons: Reasons = new Map()
    const pairs = cutPairs([cut], new Map(other === undefined ? [] : [[cut, other]]), { ...by, isJudged }, reasons)
    expect([...reasons.keys()], name).toEqual(reason === null ? [] : [reason])
    expect(pairs, name).toHaveLength(reason === null ? 1 : 0)
    if (reason !== null) continue
    expect(pairs[0]).toMatchObject({
      prefix: 'a\n',
      chosen: 'b\nIt is 5',
      rejected: 'b\nIt is 7',
      chosen_terminal: true,
      rejected_terminal: true,
      step: 1,
      provenance: { chosen: { from: 'rollout' }, rejected: { from: 'continuation' } },
    })
  }
})
