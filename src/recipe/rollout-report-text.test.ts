import { expect, test } from 'vitest'
import type { Rollout } from '../data/rollout.ts'
import type { ModelRollouts } from '../eval/rollout-figures.ts'
import { reportRollouts } from '../eval/rollout-report.ts'
import { comparisonLines, rolloutReportText, rolloutTables } from './rollout-report-text.ts'

const NAMES = { data: 'test.jsonl', model: 'tuned', base: 'base' }
const OPTIONS = { aggregations: ['min'], sameAnswer: (a: string, b: string) => a === b } as const

/** Greedy answers, right (1) or wrong (0), and two samples of each problem with the same answer. */
function model(answers: string, problem = (at: number): string => `problem ${at}`): ModelRollouts {
  const rollouts = (sample: string): Rollout[] =>
    Array.from(answers, (isRight, at) => ({
      id: sample + at,
      maker: 'm',
      problem: problem(at),
      sample: 0,
      completion: isRight,
      steps: [isRight],
      finish: 'stop',
      tokens: 12,
      answer: '1',
      final_answer: isRight,
      final_answer_correct: isRight === '1',
    }))
  const greedy = rollouts('g')
  const verdicts = greedy.map(({ id }) => [id, [{ state: 'scored', score: 0.5, label: 'correct', why: '' }]] as const)
  return { greedy, samples: [...rollouts('a'), ...rollouts('b')], judgements: new Map([['rule', new Map(verdicts)]]) }
}

test('a difference that chance explains is called not significant, with its p and its interval', () => {
  // 3 gained, 1 lost: p = 2 · (1 + 4) / 16.
  const report = reportRollouts(model('0111100'), model('1100000'), OPTIONS)
  const [counts, meaning] = comparisonLines(report, NAMES)
  expect(counts).toBe('Of 7 problems, tuned solves 4 and base 2: 3 gained, 1 lost, 1 solved by both, 2 by none.')
  expect(meaning).toMatch(
    /^The difference of \+28\.6 \[-\d+\.\d, \+\d+\.\d\] points is not significant \(.*, p = 0\.63\):/,
  )
})

test('a difference that chance does not explain is called significant', () => {
  const [, worse] = comparisonLines(reportRollouts(model('0'.repeat(20)), model('1'.repeat(20)), OPTIONS), NAMES)
  expect(worse).toMatch(/^The difference of -100\.0 \[-100\.0, -100\.0\] points is significant \(.*, p < 0\.001\)\.$/)
})

test('without greedy answers the samples are compared', () => {
  const samples = (answers: string): ModelRollouts => ({ ...model(answers), greedy: [] })
  const [shares, meaning] = comparisonLines(reportRollouts(samples('0111100'), samples('1100000'), OPTIONS), NAMES)
  expect(shares).toBe('Of the samples of 7 problems, 57.1 % by tuned are right and 28.6 % by base.')
  expect(meaning).toContain('is not significant (the interval')
  expect(comparisonLines(reportRollouts(samples(''), samples('1'), OPTIONS), NAMES)).toEqual([
    'No problem has answers of both models that can be compared.',
  ])
})

test('tables hold both models and the difference', () => {
  const tables = rolloutTables(reportRollouts(model('1111100000'), model('0000011111'), OPTIONS), NAMES)
  expect(tables.map(({ title }) => title)).toEqual(['Greedy answers', '2 samples of each problem'])
  const [greedy, samples] = tables.map(({ rows }) => rows)
  const [label, before, now, difference, isSignificant] = greedy[0]
  // Wilson's interval of 5 of 10.
  expect([label, before, now, isSignificant]).toEqual([
    'accuracy',
    ' 50.0 [ 23.7,  76.3]',
    ' 50.0 [ 23.7,  76.3]',
    'no',
  ])
  expect(difference).toMatch(/^ {3}0\.0 \[ -\d\d\.\d, {2}\+\d\d\.\d\]$/)
  expect(greedy[1].slice(0, 2)).toEqual(['judged score (rule, min)', '0.500 [0.500, 0.500]'])
  expect(samples.map(([first]) => first)).toContain('best-of-2 (rule, min)')
  for (const { head, rows } of tables) expect(rows.every((row) => row.length === head.length)).toBe(true)
})

test('a difference over fewer problems than a model has says so', () => {
  const own = model('1100')
  const [table] = rolloutTables(reportRollouts(own, { ...own, greedy: own.greedy.slice(1) }, OPTIONS), NAMES)
  expect(table.rows[0][3]).toBe('   0.0 [   0.0,    0.0] on 3 problems')
})

test('a model alone has no differences, and figures of fewer problems say so', () => {
  const own = model('1100')
  const half = { ...own, samples: own.samples.slice(0, 6) } // problems 2 and 3 have one sample only
  const report = reportRollouts(half, null, OPTIONS)
  const [greedy, samples] = rolloutTables(report, { ...NAMES, base: null })
  expect(greedy.head).toEqual(['', 'tuned'])
  expect(samples.title).toBe('1 to 2 samples of each problem')
  expect(samples.rows.map(([label]) => label)).toContain('maj@2 on 2 of 4 problems')
  const text = rolloutReportText(report, { ...NAMES, base: null })
  expect(text).toMatch(/^# tuned on test\.jsonl\n\n## Greedy answers\n/)
  expect(text).not.toMatch(/significant|Gained|Lost|undefined|NaN|null/)
})

test('the report lists the first ten flips by the beginning of their problem, as text and not as Markdown', () => {
  const nasty = (at: number): string => `# ${at}\n| \`<b>\` 🙂${'x'.repeat(100)}`
  const text = rolloutReportText(
    reportRollouts(model('1'.repeat(12), nasty), model('0'.repeat(12), nasty), OPTIONS),
    NAMES,
  )
  const listed = text.slice(text.indexOf('## Gained (12)')).split('\n').slice(2, 13)
  expect(listed[0]).toBe(`- \`# 0 | '<b>' 🙂${'x'.repeat(67)}\` …`)
  expect(listed[10]).toBe('- and 2 more, in report.json')
  expect(text).not.toContain('## Lost')
  expect(text).toContain('- base: 12 problems, 12 completions, 0 without a final answer (wrong).')
  expect(text).toContain('- tuned, judged by rule: 24 completions not judged, 0 without a scored step; 0 steps scored')
})

test('Markdown tables have as many cells in each line, also where a judge’s name holds a bar', () => {
  const own = model('10')
  const barred = { ...own, judgements: new Map([['a|b\nc', own.judgements.get('rule') ?? new Map()]]) }
  const lines = rolloutReportText(reportRollouts(barred, barred, OPTIONS), NAMES).split('\n')
  const cells = lines.filter((line) => line.startsWith('|')).map((line) => line.split(/(?<!\\)\|/).length)
  expect(cells.length).toBeGreaterThan(20)
  expect(new Set(cells)).toEqual(new Set([7]))
})
