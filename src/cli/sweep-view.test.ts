import { describe, expect, test } from 'vitest'
import type { SweepEvent } from '../recipe/sweep.ts'
import { trialsOf } from '../recipe/sweep-grid.ts'
import { rankPoints } from '../recipe/sweep-report.ts'
import { sweepSchema } from '../recipe/sweep-settings.ts'
import type { Outcome } from '../recipe/sweep-trial.ts'
import { openStageView } from './stage-lines.ts'
import { jsonSweepView, reportLines, textSweepView } from './sweep-view.ts'
import { displayWidth } from './width.ts'

const settings = sweepSchema.parse({ base_model: 'm', dataset_path: 'd', sweep: ['beta=0.1,0.4', 'lr=1e-5,1e-4'] })
const trials = trialsOf(settings)
const ACCURACY = 'eval_rewards/accuracies'

/** Of ten problems with ten pairs each, so many pairs preferred in each. */
const outcomeOf = (right: number): Outcome => {
  const metrics = { [ACCURACY]: right / 10, [`${ACCURACY}_low`]: right / 10, [`${ACCURACY}_high`]: right / 10 }
  return {
    updates: 72,
    tokens: 123_456,
    seconds: 75,
    metrics: { ...metrics, eval_loss: 0.6, 'eval_rewards/margins': 0.1, eval_pairs: 100, eval_problems: 10 },
    problems: Array.from({ length: 10 }, (_, at) => ({
      problem: `p${at}`,
      pairs: 10,
      metrics: { [ACCURACY]: right / 10 },
    })),
  }
}
const report = rankPoints(
  trials,
  trials.map((trial, at) => ({ trial, folder: trial.name, outcome: outcomeOf(4 + at) })),
  { metric: ACCURACY, greaterIsBetter: true },
)

describe('the report', () => {
  const rowsOf = (width?: number): string[] =>
    reportLines(report, settings, width).filter((line) => /^(best|behind) /.test(line))

  test('has every column in a pipe, the best point first', () => {
    const [head] = reportLines(report, settings).filter((line) => line.includes('beta  '))
    for (const name of [
      'lr',
      'rewards/accuracies',
      'less the best',
      'eval loss',
      'margin',
      'updates',
      'tokens',
      'seconds',
    ]) {
      expect(head).toContain(name)
    }
    expect(rowsOf().map((row) => row.split(/ {2,}/).slice(0, 4))).toEqual([
      ['best', '0.4', '1e-4', '0.700 [0.700, 0.700]'],
      ['behind', '0.4', '1e-5', '0.600 [0.600, 0.600]'],
      ['behind', '0.1', '1e-4', '0.500 [0.500, 0.500]'],
      ['behind', '0.1', '1e-5', '0.400 [0.400, 0.400]'],
    ])
  })

  test('on a narrow terminal loses columns from the least telling on, never the metric and its interval', () => {
    for (const width of [120, 100, 80, 60, 48]) {
      const rows = rowsOf(width)
      expect(rows.length).toBe(4)
      for (const row of rows) expect(displayWidth(row)).toBeLessThanOrEqual(width)
      expect(rows[0]).toContain('0.700 [0.700, 0.700]')
    }
    expect(rowsOf(80)[1]).toContain('-0.100 [-0.100, -0.100]')
    expect(rowsOf(80)[0]).not.toContain('123,456')
  })
})

const begin: SweepEvent = {
  type: 'sweep-begin',
  folder: 'out',
  points: 4,
  updates: 72,
  heldOut: { pairs: 1200, problems: 40 },
  trials: trials.map(({ name, settings: { seed } }, at) => ({ name, settings: {}, seed, known: at === 0 })),
}
const update = (number: number): SweepEvent => ({
  type: 'update-end',
  update: number,
  updates: 72,
  epoch: 1,
  metrics: { loss: 0.5 },
  tokens: 10,
  seconds: 1,
  residentBytes: 1,
})

/** What is written while events come, a second apart. */
function shown(events: readonly SweepEvent[], isLive: boolean): string {
  const parts: string[] = []
  let clock = 0
  const stream = { columns: 200, write: (part: string) => parts.push(part) }
  const stages = openStageView(stream, { json: false, isLive })
  const view = textSweepView(stream, stages, settings, () => clock++)
  for (const event of events) view.show(event)
  stages.close()
  return parts.join('')
}

describe('the view', () => {
  const place = { trial: 3, trials: 4, name: 'beta-0.4_lr-1e-5' }
  const warned: SweepEvent = { type: 'rows-dropped', what: 'pairs', count: 1, total: 9, reason: 'long', example: 'a:1' }

  test('says which trial of how many is under way, and how much of all updates of this process is made', () => {
    const text = shown([begin, { type: 'trial-begin', ...place }, update(36)], true)
    expect(text).toContain('4 trials, 1 of them done before, 72 updates each; 1,200 held-out pairs of 40 problems')
    expect(text).toContain('36/216 updates')
    expect(text).toContain('trial 3 of 4 · beta-0.4_lr-1e-5 · loss 0.5000')
    const evaluating: SweepEvent = { type: 'evaluation-progress', done: 3, total: 12 }
    expect(shown([begin, { type: 'trial-begin', ...place }, update(36), evaluating], true)).toMatch(
      /36\/216 updates.*evaluation 3\/12/,
    )
  })

  test('says what a trial came to, also where it failed, and what the data lack once', () => {
    const text = shown(
      [
        warned,
        begin,
        { type: 'trial-begin', ...place },
        warned,
        { type: 'trial-end', ...place, outcome: outcomeOf(6) },
        { type: 'trial-end', ...place, outcome: { failure: 'update 3: NaN' } },
      ],
      false,
    )
    expect(text).toContain('trial 3 of 4 · beta-0.4_lr-1e-5: rewards/accuracies 0.600 [0.600, 0.600], 01:15\n')
    expect(text).toContain('failed: update 3: NaN\n')
    expect(text.split('1 of 9 pairs left out').length).toBe(2)
  })

  test('as JSON is a line for each event, without numbers that JSON lacks', () => {
    const lines: string[] = []
    const view = jsonSweepView({ write: (line) => lines.push(line) }, () => new Date(0))
    view.show({ type: 'trial-begin', ...place })
    view.show({ type: 'evaluation-end', update: 1, metrics: { eval_loss: Number.NaN }, seconds: 1 })
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      { time: '1970-01-01T00:00:00.000Z', type: 'trial-begin', ...place },
      {
        time: '1970-01-01T00:00:00.000Z',
        type: 'evaluation-end',
        update: 1,
        metrics: { eval_loss: 'NaN' },
        seconds: 1,
      },
    ])
  })
})
