import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { by, judgedOf, manyJudged } from '../../test/judged-rollouts.ts'
import type { Pair } from '../data/pair-row.ts'
import { type JudgedRollout, locateError } from './judged.ts'
import type { Reasons } from './reasons.ts'
import { withoutSpace } from './spans.ts'
import { findChosen, findSites, stepPairs, VERIFICATIONS, type Verification } from './step-pairs.ts'

const byJudge = ({ verdicts }: JudgedRollout) => locateError(verdicts)

function pairsOf(judged: readonly JudgedRollout[], verification: Verification = 'both') {
  const reasons: Reasons = new Map()
  const sites = findSites(judged, byJudge, reasons)
  const chosen = findChosen(sites, judged, verification, 'rollout')
  return { pairs: stepPairs(sites, chosen, by, reasons), reasons: Object.fromEntries(reasons) }
}

const right = { final_answer_correct: true, final_answer: '5' }
const good = judgedOf('2 + 1 = 3\n3 + 2 = 5\nIt is 5', '++?', right)
const bad = judgedOf('2 + 1 = 3\n3 + 2 = 7\nIt is 7', '+-?')
const [pair] = pairsOf([bad, good]).pairs

test('a wrong step is paired with the right one after the same prefix, with where both come from', () => {
  expect(pair).toMatchObject({
    prompt: 'p',
    prefix: '2 + 1 = 3\n',
    chosen: '3 + 2 = 5\n',
    rejected: '3 + 2 = 7\n',
    chosen_terminal: false,
    rejected_terminal: false,
    step: 1,
    chosen_score: 1,
    rejected_score: 0,
    provenance: {
      judge: 'judge@1',
      why: 'it is wrong',
      chosen: { rollout: good.rollout.id, from: 'rollout', maker: 'policy@1 seed=1' },
      rejected: { rollout: bad.rollout.id, from: 'rollout', maker: 'policy@1 seed=1' },
    },
  })
})

test('a side that ends its solution says so, also beside one that does not', () => {
  const short = judgedOf('2 + 1 = 3\n3 + 2 = 7', '+-')
  expect(pairsOf([short, good]).pairs).toMatchObject([{ chosen_terminal: false, rejected_terminal: true }])
})

describe('what a chosen step must have', () => {
  const cases: [string, JudgedRollout, { readonly [V in Verification]: boolean }][] = [
    ['right by judge and answer', good, { both: true, answer: true, judge: true }],
    ['a wrong answer', judgedOf('2 + 1 = 3\n3 + 2 = 5\nno', '++?'), { both: false, answer: false, judge: true }],
    ['an error later', judgedOf('2 + 1 = 3\n3 + 2 = 5\nno', '++-', right), { both: false, answer: true, judge: true }],
    ['no verdict', judgedOf('2 + 1 = 3\nwell\nyes', '+?+', right), { both: false, answer: true, judge: false }],
    ['a neutral verdict', judgedOf('2 + 1 = 3\nwell\nyes', '+0+', right), { both: false, answer: true, judge: false }],
    [
      'a call that failed before',
      judgedOf('2 + 1 = 3\nwell', '!+', right),
      { both: false, answer: true, judge: false },
    ],
    ['an error before', judgedOf('2 + 1 = 3\nwell', '-+', right), { both: false, answer: true, judge: false }],
    [
      'no known answer',
      judgedOf('2 + 1 = 3\nwell', '++', { answer: null, final_answer_correct: null }),
      { both: true, answer: false, judge: true },
    ],
    [
      'no end',
      judgedOf('2 + 1 = 3\nwell\ncu', '++?', { finish: 'length' }),
      { both: false, answer: false, judge: true },
    ],
  ]
  test.each(cases)('%s', (_, candidate, expected) => {
    for (const verification of VERIFICATIONS) {
      const { pairs } = pairsOf([bad, candidate], verification)
      expect(pairs.length, verification).toBe(expected[verification] ? 1 : 0)
    }
  })
})

test('a step that is found wrong once is never chosen, whatever white space is around it', () => {
  const [wrong, same] = [judgedOf('a\nb', '+-'), judgedOf('a\nb \n\nc', '++?', right)]
  expect(pairsOf([wrong, same]).pairs).toEqual([])
})

test('of several right steps the one that is most like the wrong one is chosen, of equal ones the most frequent', () => {
  const others = ['2 + 1 = 3\nSo 3 + 2\nx', '2 + 1 = 3\nThus 5\ny', '2 + 1 = 3\nThus 5\nz'].map((text) =>
    judgedOf(text, '++?', right),
  )
  expect(pairsOf([bad, ...others, good]).pairs).toMatchObject([{ chosen: '3 + 2 = 5\n' }])
  expect(pairsOf([bad, ...others]).pairs).toMatchObject([{ chosen: 'Thus 5\n' }])
})

test('prompts that differ in a system message only are different places', () => {
  const asked = [
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: 'p' },
  ]
  const told = { ...bad, rollout: { ...bad.rollout, asked } }
  expect(pairsOf([told, good]).pairs).toEqual([])
  const both = pairsOf([told, { ...good, rollout: { ...good.rollout, asked } }]).pairs
  expect(both).toMatchObject([{ prompt: asked }])
  expect(both[0].id).not.toBe(pair.id)
})

test('steps that the policy was given are neither rejected nor chosen', () => {
  const given = { given: '2 + 1 = 3\n'.length }
  const { reasons } = pairsOf([judgedOf('2 + 1 = 3\n3 + 2 = 7', '-+', given)])
  expect(reasons).toEqual({ 'the wrong step was given to the policy': 1 })
  const continued = judgedOf('2 + 1 = 3\n3 + 2 = 5\nIt is 5', '++?', { ...right, ...given })
  expect(pairsOf([bad, continued]).pairs).toMatchObject([{ chosen: '3 + 2 = 5\n' }])
})

describe('of any judged rollouts', () => {
  const all = fc.tuple(manyJudged, fc.constantFrom(...VERIFICATIONS))
  const check = (holds: (judged: JudgedRollout[], pairs: readonly Pair[], reasons: Record<string, number>) => void) =>
    fc.assert(
      fc.property(all, ([judged, verification]) => {
        const { pairs, reasons } = pairsOf(judged, verification)
        holds(judged, pairs, reasons)
      }),
      { numRuns: 100 },
    )
  const find = (judged: readonly JudgedRollout[], id: string) => {
    const found = judged.find(({ rollout }) => rollout.id === id)
    if (found === undefined) throw new Error(`no rollout ${id}`)
    return found
  }

  test('every rollout gives a pair or is counted once', () => {
    check((judged, pairs, reasons) => {
      const left = Object.values(reasons).reduce((sum, times) => sum + times, 0)
      expect(pairs.length + left).toBe(judged.length)
    })
  })

  test('prefix and side join to the beginning of the rollout that the side is of', () => {
    check((judged, pairs) => {
      for (const { prefix, chosen, rejected, provenance } of pairs) {
        expect(find(judged, provenance.chosen.rollout).rollout.completion.startsWith(prefix + chosen)).toBe(true)
        expect(find(judged, provenance.rejected.rollout).rollout.completion.startsWith(prefix + rejected)).toBe(true)
      }
    })
  })

  test('the rejected step is the first that the judge calls incorrect, and no call failed before it', () => {
    check((judged, pairs) => {
      for (const { step, provenance } of pairs) {
        const { verdicts, rollout } = find(judged, provenance.rejected.rollout)
        expect(rollout.final_answer_correct).not.toBe(true)
        expect(verdicts[step]).toMatchObject({ label: 'incorrect' })
        for (const before of verdicts.slice(0, step)) {
          expect(before.state).not.toBe('failed')
          expect(before).not.toMatchObject({ label: 'incorrect' })
        }
      }
    })
  })

  test('both sides differ in more than white space, and no pair comes twice', () => {
    check((_, pairs) => {
      for (const { chosen, rejected } of pairs) expect(withoutSpace(chosen)).not.toBe(withoutSpace(rejected))
      expect(new Set(pairs.map(({ id }) => id)).size).toBe(pairs.length)
    })
  })
})
