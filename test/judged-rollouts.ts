/** @file Rollouts with verdicts, made by hand or at random, for tests of pairs. */
import fc from 'fast-check'
import type { JudgedStep } from '../src/data/judgement.ts'
import type { Rollout } from '../src/data/rollout.ts'
import { type JudgedRollout, judgedRollout } from '../src/pair/judged.ts'
import { splitSteps } from '../src/text/steps.ts'

export function rolloutOf(completion: string, more: Partial<Rollout> = {}): Rollout {
  return {
    id: `${more.problem ?? 'p'} ${more.sample ?? 0} ${completion}`,
    maker: 'policy@1 seed=1',
    problem: 'p',
    sample: 0,
    completion,
    steps: splitSteps(completion, 'newline').steps.map(({ text }) => text),
    finish: 'stop',
    tokens: 9,
    answer: '5',
    final_answer: '7',
    final_answer_correct: false,
    ...more,
  }
}

/** By one mark for each step: + right, 0 neutral, - wrong, ? abstained, ! failed. */
export function verdictsOf(steps: readonly string[], marks: string): JudgedStep[] {
  return steps.map((text, at): JudgedStep => {
    switch (marks[at]) {
      case '+':
        return { text, state: 'scored', score: 1, label: 'correct', why: 'it is right' }
      case '0':
        return { text, state: 'scored', score: 0.5, label: 'neutral', why: 'it says little' }
      case '-':
        return { text, state: 'scored', score: 0, label: 'incorrect', why: 'it is wrong' }
      case '!':
        return { text, state: 'failed', kind: 'timeout', why: 'no reply' }
      default:
        return { text, state: 'abstained', why: 'no equation' }
    }
  })
}

export function judgedOf(
  completion: string,
  marks: string,
  { score = null, ...more }: Partial<Rollout> & { readonly score?: number | null } = {},
): JudgedRollout {
  const rollout = rolloutOf(completion, more)
  return judgedRollout(rollout, { steps: verdictsOf(rollout.steps, marks), score })
}

/** Of two problems, one without a known answer, and few different steps, so that prefixes and steps come again; right and wrong, cut and repeated. */
export const manyJudged: fc.Arbitrary<JudgedRollout[]> = fc
  .array(
    fc.record({
      problem: fc.constantFrom('p', 'q'),
      lines: fc.array(fc.constantFrom('a', 'b', 'c', 'a '), { minLength: 1, maxLength: 4 }),
      marks: fc.string({ unit: fc.constantFrom('+', '+', '+', '0', '-', '-', '?', '!'), minLength: 4, maxLength: 4 }),
      isRight: fc.constantFrom(true, false, false),
      finish: fc.constantFrom('stop' as const, 'stop' as const, 'length' as const),
      score: fc.option(fc.integer({ min: 0, max: 4 }).map((quarters) => quarters / 4)),
    }),
    { minLength: 1, maxLength: 12 },
  )
  .map((drafts) =>
    drafts.map(({ problem, lines, marks, isRight, finish, score }, sample) =>
      judgedOf(lines.join('\n'), marks, {
        problem,
        sample,
        finish,
        final_answer_correct: problem === 'q' ? null : isRight,
        answer: problem === 'q' ? null : '5',
        score,
      }),
    ),
  )

export const by = { strategy: 'test', judge: 'judge@1', locatedBy: null }
