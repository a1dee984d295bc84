import { expect, test } from 'vitest'
import type { Rollout } from '../data/rollout.ts'
import type { StepVerdict } from '../judge/port.ts'
import { wilson } from './mean-interval.ts'
import { type FigureOptions, type ModelRollouts, measureRollouts } from './rollout-figures.ts'
import { type FigureReport, type ModelReport, reportRollouts } from './rollout-report.ts'

const OPTIONS: FigureOptions = { aggregations: ['min'], sameAnswer: (a, b) => a === b }

/** `id` is the problem and a letter; the right answer is 7. */
function rollout(id: string, answer: string | null, changes: Partial<Rollout> = {}): Rollout {
  return {
    id,
    maker: 'm',
    problem: `What is ${id.slice(0, -1)}?`,
    sample: 0,
    completion: `It is ${answer}.`,
    steps: [`It is ${answer}.`],
    finish: 'stop',
    tokens: 4,
    answer: '7',
    final_answer: answer,
    final_answer_correct: answer === '7',
    ...changes,
  }
}

const UNKNOWN = { answer: null, final_answer_correct: null }

function scored(...scores: readonly number[]): StepVerdict[] {
  return scores.map((score) => ({ state: 'scored', score, label: 'neutral', why: '' }))
}

const FAILED: StepVerdict = { state: 'failed', kind: 'network', why: '' }

function model(parts: Partial<ModelRollouts>): ModelRollouts {
  return { greedy: [], samples: [], judgements: new Map(), ...parts }
}

function figureOf({ figures }: ModelReport, name: string, source: FigureReport['source'] = 'samples'): FigureReport {
  const found = figures.filter((figure) => figure.name === name && figure.source === source)
  expect(found.length, name).toBe(1)
  return found[0]
}

// Problem 1: two right of four, the wrong ones agree. Problem 2: none right, one without an answer. Problem 3: unknown.
const SAMPLES = [
  rollout('1a', '7'),
  rollout('1b', '5'),
  rollout('1c', '7'),
  rollout('1d', '5', { finish: 'length', tokens: 8 }),
  rollout('2a', null),
  rollout('2b', '3'),
  rollout('2c', null, { finish: 'length', tokens: 8 }),
  rollout('2d', '4'),
  rollout('3a', '1', UNKNOWN),
]
const JUDGED = new Map([
  ['1a', scored(0.9, 0.5)],
  ['1b', scored(0.8)],
  ['1c', [FAILED]],
  ['1d', scored(0.2)],
  ['2b', [...scored(0.6), FAILED]],
  ['3a', scored(0.4)],
])

test('the figures of samples are those worked by hand', () => {
  const { model: report } = reportRollouts(
    model({ samples: SAMPLES, judgements: new Map([['j', JUDGED]]) }),
    null,
    OPTIONS,
  )
  const meanOf = (name: string): number | null => figureOf(report, name).mean.value
  expect(meanOf('pass@1')).toBe(0.25) // (2/4 + 0) / 2
  expect(meanOf('pass@2')).toBeCloseTo(5 / 12, 14) // (1 − 1/6 + 0) / 2
  expect(meanOf('pass@4')).toBe(0.5)
  expect(meanOf('maj@4')).toBe(0.25) // two against two
  expect(meanOf('best-of-4')).toBe(0) // .8 is wrong
  expect(meanOf('weighted@4')).toBe(0) // 7: .5; 5: .8 + .2
  // Of problem 1's six pairs: ab b, ac a, ad a, bc b, bd b, cd d: a third is right; problem 2 has none.
  expect(meanOf('best-of-2')).toBeCloseTo(1 / 6, 14)
  expect(meanOf('judged')).toBeCloseTo((0.5 + 0.6 + 0.4) / 3, 14) // problem 1: (.5 + .8 + .2) / 3
  expect(meanOf('coverage')).toBeCloseTo((3 / 4 + 1 / 2 + 1) / 3, 14)
  expect(meanOf('truncated')).toBeCloseTo((1 / 4 + 1 / 4 + 0) / 3, 14)
  expect(meanOf('stopped-early')).toBeCloseTo(1 / 12, 14) // 2a alone: 2c was cut
  expect(meanOf('tokens')).toBeCloseTo((5 + 5 + 4) / 3, 14)
  expect(figureOf(report, 'pass@1')).toMatchObject({ problems: 2, interval: 'bootstrap', isExact: true, unit: 'share' })
  expect(figureOf(report, 'pass@4')).toMatchObject({ problems: 2, interval: 'wilson', mean: wilson(1, 2) })
  expect(figureOf(report, 'judged')).toMatchObject({ problems: 3, judge: 'j', aggregation: 'min', unit: 'score' })
})

test('what could not be counted is counted', () => {
  const { model: report } = reportRollouts(
    model({ samples: SAMPLES, judgements: new Map([['j', JUDGED]]) }),
    null,
    OPTIONS,
  )
  expect(report.greedy).toBeNull()
  expect(report.samples).toEqual({
    problems: 3,
    rollouts: 9,
    fewest: 1,
    most: 4,
    unknownAnswer: 1,
    noAnswer: 2,
    judges: [{ judge: 'j', notJudged: 3, notScored: 1, steps: { scored: 6, abstained: 0, failed: 2 } }],
  })
})

test('a rollout that comes twice counts once, and of greedy rollouts of one problem the first', () => {
  const twice = reportRollouts(model({ samples: [...SAMPLES, ...SAMPLES.slice(0, 3)] }), null, OPTIONS)
  expect(twice).toEqual(reportRollouts(model({ samples: SAMPLES }), null, OPTIONS))
  const greedy = [rollout('1a', '7'), rollout('1b', '5')]
  expect(figureOf(reportRollouts(model({ greedy }), null, OPTIONS).model, 'accuracy', 'greedy').mean).toEqual(
    wilson(1, 1),
  )
})

test('a k that only some problems have samples for is measured on those', () => {
  const samples = [...SAMPLES, rollout('4a', '7'), rollout('4b', '7')]
  const { model: report } = reportRollouts(model({ samples }), null, OPTIONS)
  expect(figureOf(report, 'pass@2')).toMatchObject({ problems: 3 })
  expect(figureOf(report, 'maj@4')).toMatchObject({ problems: 2 })
})

function greedyOf(answers: string): Rollout[] {
  return Array.from(answers, (answer, at) => rollout(`${at}g`, answer === '-' ? null : answer))
}

test('greedy answers of two models are compared problem by problem', () => {
  // Right before: 0, 1; right now: 1 to 4; problem 6 is in the second alone.
  const base = model({ greedy: greedyOf('771115') })
  const tuned = model({ greedy: greedyOf('-777757') })
  const { comparison, model: report } = reportRollouts(tuned, base, OPTIONS)
  const question = (at: number): string => `What is ${at}?`
  expect(comparison?.answers).toEqual({
    bothRight: 1,
    bothWrong: 1,
    gained: [question(2), question(3), question(4)],
    lost: [question(0)],
    p: 0.625, // 2 · (1 + 4) / 16
  })
  const accuracy = comparison?.differences.find(({ name }) => name === 'accuracy')
  expect(accuracy).toMatchObject({ problems: 6, isSignificant: false })
  expect(accuracy?.difference.value).toBeCloseTo(1 / 3, 14)
  expect(accuracy?.base).toBeCloseTo(2 / 6, 14)
  expect(figureOf(report, 'accuracy', 'greedy').mean.value).toBeCloseTo(5 / 7, 14)
})

test('greedy accuracy is as significant as McNemar’s test has it, other figures as their intervals', () => {
  // Five gained and none lost: the bootstrap's interval leaves out 0, but p = 1/16.
  const base = model({ greedy: greedyOf('1111177'), samples: [] })
  const tuned = model({ greedy: greedyOf('7777777').map((one) => ({ ...one, tokens: 3 })) })
  const differences = reportRollouts(tuned, base, OPTIONS).comparison?.differences ?? []
  const [accuracy, tokens] = ['accuracy', 'tokens'].map((name) => differences.find((one) => one.name === name))
  expect(accuracy?.difference.low).toBeGreaterThan(0)
  expect(accuracy?.isSignificant).toBe(false)
  expect(tokens).toMatchObject({ isSignificant: true, difference: { value: -1, low: -1, high: -1 } })
})

test('figures of another judge, or of other draws, are not compared', () => {
  const judged = (judge: string): ModelRollouts =>
    model({ greedy: greedyOf('77'), judgements: new Map([[judge, new Map()]]) })
  const names = reportRollouts(judged('a'), judged('b'), OPTIONS).comparison?.differences.map(({ name }) => name)
  expect(names).toEqual(['accuracy', 'repetitive', 'truncated', 'stopped-early', 'tokens', 'steps'])
})

test.each([
  ['nothing at all', model({}), 0],
  ['no known answer', model({ greedy: [rollout('1g', '7', UNKNOWN)], samples: [rollout('1a', '7', UNKNOWN)] }), 11],
  ['all right', model({ greedy: [rollout('1g', '7')], samples: [rollout('1a', '7'), rollout('1b', '7')] }), 14],
  ['no answers', model({ greedy: [rollout('1g', null)], samples: [rollout('1a', null), rollout('1b', null)] }), 14],
  ['empty completions', model({ samples: [rollout('1a', null, { completion: '', steps: [], tokens: 0 })] }), 6],
])('%s is reported without a number that is none', (_, own, figures) => {
  const judgements = new Map([['j', new Map([['1a', []]])]])
  for (const rollouts of [own, { ...own, judgements }]) {
    const report = reportRollouts(rollouts, rollouts, OPTIONS)
    const numbers = JSON.stringify(report, (_key, value: unknown) => {
      if (typeof value === 'number' && !Number.isFinite(value)) throw new Error(`a number is ${value}`)
      return value
    })
    expect(JSON.parse(numbers)).toEqual(report)
    for (const { mean } of report.model.figures) {
      if (mean.value !== null) expect(mean.low <= mean.value && mean.value <= mean.high).toBe(true)
    }
  }
  expect(measureRollouts(own, OPTIONS).length).toBe(figures)
})
