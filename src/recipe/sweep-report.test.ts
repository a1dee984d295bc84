import { describe, expect, test } from 'vitest'
import { bootstrap } from '../eval/interval.ts'
import { type Trial, trialsOf } from './sweep-grid.ts'
import { type EndedTrial, rankPoints } from './sweep-report.ts'
import { keepMeans } from './sweep-score.ts'
import { sweepSchema } from './sweep-settings.ts'
import { noteLines, sweepMarkdown, verdictLines } from './sweep-text.ts'
import type { Outcome } from './sweep-trial.ts'

const ACCURACY = 'eval_rewards/accuracies'
const ranking = { metric: ACCURACY, greaterIsBetter: true }

const settingsOf = (more: object = {}) =>
  sweepSchema.parse({ base_model: 'm', dataset_path: 'd', sweep: ['beta=0.1,0.2,0.4'], ...more })

/** A trial that preferred so many of the pairs of each problem. */
function outcomeOf(right: readonly number[], pairs: readonly number[], more: Record<string, number> = {}): Outcome {
  const total = pairs.reduce((sum, count) => sum + count, 0)
  const mean = right.reduce((sum, count) => sum + count, 0) / total
  return {
    updates: 10,
    tokens: 1000,
    seconds: 2,
    metrics: { [ACCURACY]: mean, eval_pairs: total, eval_problems: pairs.length, 'eval_rewards/chosen': 0.2, ...more },
    problems: right.map((count, at) => ({
      problem: `p${at}`,
      pairs: pairs[at],
      metrics: { [ACCURACY]: count / pairs[at] },
    })),
  }
}

const end = (trials: readonly Trial[], outcomes: readonly Outcome[]): EndedTrial[] =>
  outcomes.map((outcome, at) => ({ trial: trials[at], folder: trials[at].name, outcome }))

const trials = trialsOf(settingsOf())
const pairs = [4, 2, 2, 8]

describe('points', () => {
  const outcomes = [outcomeOf([2, 1, 1, 4], pairs), outcomeOf([4, 2, 2, 8], pairs), outcomeOf([4, 2, 1, 8], pairs)]
  const report = rankPoints(trials, end(trials, outcomes), ranking)

  test('are ranked by the metric, each with the interval over problems of its own', () => {
    expect(report.rows.map(({ name }) => name)).toEqual(['beta-0.2', 'beta-0.4', 'beta-0.1'])
    const clusters = [2, 1, 1, 4].map((sum, at) => [sum, pairs[at]])
    const own = bootstrap(clusters, ([sum, weight]) => sum / weight)
    const { value } = report.rows[2]
    expect(value?.mean).toBe(own.value)
    expect(value?.low).toBeCloseTo(own.low ?? Number.NaN, 12)
    expect(value?.high).toBeCloseTo(own.high ?? Number.NaN, 12)
  })

  test('are compared with the best problem by problem: half of every problem wrong is behind, one pair may be chance', () => {
    const [best, open, behind] = report.rows
    expect([best.standing, open.standing, behind.standing]).toEqual(['best', 'open', 'behind'])
    expect(open.difference.value).toBeCloseTo(-1 / 16, 12)
    // Every problem loses one half of its pairs, so that every draw of problems does.
    expect(behind.difference.value).toBeCloseTo(-0.5, 12)
    expect(behind.difference.low).toBeCloseTo(-0.5, 12)
    expect(behind.difference.high).toBeCloseTo(-0.5, 12)
    expect(verdictLines(report)[1]).toBe('1 of the 2 others cannot be told from it (≈).')
  })

  test('are ranked the other way round where less is better', () => {
    const turned = rankPoints(trials, end(trials, outcomes), { ...ranking, greaterIsBetter: false })
    expect(turned.rows.map(({ name }) => name)).toEqual(['beta-0.1', 'beta-0.4', 'beta-0.2'])
    expect(turned.rows.map(({ standing }) => standing)).toEqual(['best', 'behind', 'behind'])
  })

  test('of equal value keep the order of the grid, and none can be told from the best', () => {
    const same = rankPoints(trials, end(trials, [outcomes[2], outcomes[2], outcomes[2]]), ranking)
    expect(same.rows.map(({ name }) => name)).toEqual(['beta-0.1', 'beta-0.2', 'beta-0.4'])
    expect(same.rows.map(({ standing }) => standing)).toEqual(['best', 'open', 'open'])
    expect(verdictLines(same)[1]).toContain('No other point can be told from it')
  })

  test('that failed come last, with their reason', () => {
    const failed = rankPoints(trials, end(trials, [{ failure: 'update 3: NaN' }, outcomes[0], outcomes[1]]), ranking)
    expect(failed.rows.map(({ name, standing }) => [name, standing])).toEqual([
      ['beta-0.4', 'best'],
      ['beta-0.2', 'behind'],
      ['beta-0.1', 'failed'],
    ])
    expect(noteLines(failed, settingsOf())).toContain('failed: beta 0.1: update 3: NaN.')
    const none = rankPoints(
      trials,
      end(
        trials,
        outcomes.map(() => ({ failure: 'no' })),
      ),
      ranking,
    )
    expect(verdictLines(none)).toEqual(['No point has a result.'])
    expect(sweepMarkdown(none, settingsOf())).toContain('failed: beta 0.4: no.')
  })

  test('whose trials have not all ended are left out and counted', () => {
    const part = rankPoints(trials, end(trials, outcomes.slice(0, 1)), ranking)
    expect([part.rows.length, part.missing]).toEqual([1, 2])
  })
})

describe('without the same problems', () => {
  const other = (outcome: Outcome): Outcome =>
    'failure' in outcome
      ? outcome
      : { ...outcome, problems: outcome.problems.map((one) => ({ ...one, problem: `other ${one.problem}` })) }

  test('points are compared by whether their intervals overlap, and the report says so', () => {
    const far = other(outcomeOf([1, 0, 0, 1], pairs))
    const near = other(outcomeOf([4, 2, 1, 8], pairs))
    const report = rankPoints(trials, end(trials, [outcomeOf([4, 2, 2, 7], pairs), far, near]), ranking)
    expect(report.rows.map(({ name, standing }) => [name, standing])).toEqual([
      ['beta-0.1', 'best'],
      ['beta-0.4', 'open'],
      ['beta-0.2', 'behind'],
    ])
    expect(report.rows.map(({ difference }) => difference.value)).toEqual([null, null, null])
    expect(noteLines(report, settingsOf()).join('\n')).toContain('Intervals are not paired')
  })

  test('a metric without intervals tells nothing of chance, one with bounds of its own is compared by them', () => {
    const metric = 'eval_accuracy'
    const solved = [0.2, 0.5, 0.9].map((value) => outcomeOf([1, 1, 1, 1], pairs, { [metric]: value }))
    const bare = rankPoints(trials, end(trials, solved), { metric, greaterIsBetter: true })
    expect(bare.rows.map(({ standing }) => standing)).toEqual(['best', 'unknown', 'unknown'])
    expect(verdictLines(bare)[1]).toContain('nothing says which differences are chance')
    const bounded = [0.2, 0.5, 0.9].map((value) =>
      outcomeOf([1, 1, 1, 1], pairs, {
        [metric]: value,
        [`${metric}_low`]: value - 0.25,
        [`${metric}_high`]: value + 0.25,
      }),
    )
    const wide = rankPoints(trials, end(trials, bounded), { metric, greaterIsBetter: true })
    expect(wide.rows.map(({ standing }) => standing)).toEqual(['best', 'open', 'behind'])
  })
})

describe('several seeds', () => {
  const settings = settingsOf({ sweep: ['beta=0.1,0.4'], sweep_seeds: [1, 2] })
  const seeded = trialsOf(settings)

  test('are one row: the mean of both, whatever the number of pairs that each holds out', () => {
    // Accuracies 1/4 and 12/12 for beta 0.1; 2/4 and 6/12 for beta 0.4.
    const outcomes = [outcomeOf([1], [4]), outcomeOf([12], [12]), outcomeOf([2], [4]), outcomeOf([6], [12])]
    const report = rankPoints(seeded, end(seeded, outcomes), ranking)
    expect(report.rows.map(({ value, seedRange }) => [value?.mean, seedRange])).toEqual([
      [0.625, [0.25, 1]],
      [0.5, [0.5, 0.5]],
    ])
    expect(report.rows[1].difference.value).toBeCloseTo(-0.125, 12)
    expect(report.rows[0].trials).toEqual(['beta-0.1_seed-1', 'beta-0.1_seed-2'])
    expect(noteLines(report, settings).join('\n')).toContain('2 points × 2 seeds')
  })

  test('of which one failed are a failed point', () => {
    const outcomes = [outcomeOf([1], [4]), { failure: 'NaN' }, outcomeOf([2], [4]), outcomeOf([6], [12])]
    const [, failed] = rankPoints(seeded, end(seeded, outcomes), ranking).rows
    expect(failed).toMatchObject({ name: 'beta-0.1', standing: 'failed', failure: '1 of 2 seeds, first 2: NaN' })
  })
})

test('of the metrics of problems those are kept whose mean over pairs is what the whole evaluation says', () => {
  const problem = (name: string, pairs: number, accuracy: number, bound: number) => ({
    problem: name,
    pairs,
    metrics: { [ACCURACY]: accuracy, [`${ACCURACY}_low`]: bound },
  })
  const scored = [problem('a', 1, 0, 0), problem('b', 3, 1, 1)]
  const kept = keepMeans(scored, { [ACCURACY]: 0.75, [`${ACCURACY}_low`]: 0.6, eval_other: 1 })
  expect(kept.map(({ metrics }) => metrics)).toEqual([{ [ACCURACY]: 0 }, { [ACCURACY]: 1 }])
})

test('the table says the change of chosen sides in nats, whatever the beta of a row', () => {
  const outcomes = trials.map(() => outcomeOf([1, 1, 1, 1], pairs))
  const text = sweepMarkdown(rankPoints(trials, end(trials, outcomes), ranking), settingsOf())
  const rows = text.split('\n').filter((line) => line.startsWith('| ') && line.includes('0.250'))
  // A reward of 0.2 is a change of 0.2 / beta.
  expect(rows.map((line) => line.split('|')[7].trim())).toEqual(['+2.00', '+1.00', '+0.50'])
})
