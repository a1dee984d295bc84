import { expect, test } from 'vitest'
import { judgedOf } from '../../test/judged-rollouts.ts'
import { makePair, placeOf, stepSide } from './make-pair.ts'
import { auditLines, auditPairs } from './pair-audit.ts'

const by = { strategy: 'step_dpo', judge: 'j', locatedBy: 'judge', why: '' } as const
const making = {
  rollouts: 9,
  problems: 4,
  dropped: new Map([['the solution is right', 5]]),
  verdicts: new Map([
    ['correct', 7],
    ['incorrect', 2],
  ]),
  agreement: { agreed: 1, of: 4 },
}

test('an audit of made pairs counts as worked out by hand', () => {
  const long = judgedOf('aa\nbbbb\nc', '+++')
  const end = judgedOf('aa\nx', '+-')
  const pairs = [
    makePair(placeOf(long, 1), stepSide(long, 1, 'continuation'), stepSide(end, 1, 'rollout'), by),
    makePair(placeOf(long, 0), stepSide(judgedOf('b\nz', '+'), 0, 'rollout'), stepSide(long, 0, 'rollout'), by),
  ]
  const audit = auditPairs(pairs, making)
  expect(audit).toMatchObject({
    rollouts: 9,
    pairs: 2,
    problems: { paired: 1, all: 4 },
    prefixes: 2,
    prefixLength: { min: 0, max: 3 },
    chosenLength: { min: 2, max: 5 }, // 'b\n', 'bbbb\n'
    rejectedLength: { min: 1, max: 3 }, // 'x', 'aa\n'
    chosenLonger: 1,
    chosenTerminal: 0,
    rejectedTerminal: 1,
    oneTerminal: 1,
    continued: 1,
    steps: [1, 1],
    dropped: { 'the solution is right': 5 },
    verdicts: { correct: 7, incorrect: 2 },
    agreement: { agreed: 1, of: 4 },
  })
  const lines = auditLines(audit)
  expect(lines[0]).toBe('2 pairs from 9 rollouts, of 1 of 4 problems, after 2 prefixes')
  expect(lines.join('\n')).toMatch(/left out: the solution is right: 5\n.*correct: 7; incorrect: 2\n25 % \(1 of 4\)/)
  expect(lines.join('\n')).toContain('in 1 pairs one side only ends the solution')
})

test('an audit of no pairs says what was left out, and nothing of lengths', () => {
  const lines = auditLines(auditPairs([], { ...making, agreement: null }))
  expect(lines).toEqual([
    '0 pairs from 9 rollouts, of 0 of 4 problems, after 0 prefixes',
    'left out: the solution is right: 5',
    'steps by verdict: correct: 7; incorrect: 2',
  ])
})
