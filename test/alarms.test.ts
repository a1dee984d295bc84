import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { type RaisedAlarm, watchAlarms } from '../src/eval/alarms.ts'
import { trainSchema } from '../src/recipe/config.ts'
import type { LogEntry } from '../src/train/log.ts'
import { lossTypes } from '../src/train/loss-table.ts'
import { isSlow } from './slow.ts'

/** What watching a log raises in the end. */
function raisedBy(log: readonly LogEntry[]): readonly RaisedAlarm[] {
  const watch = watchAlarms()
  for (const entry of log) watch.see(entry)
  return watch.raised()
}

const names = (log: readonly LogEntry[]): string[] => [...new Set(raisedBy(log).map(({ name }) => name))].sort()

function recorded(name: string): LogEntry[] {
  return JSON.parse(readFileSync(new URL(`./fixtures/alarms/${name}.json`, import.meta.url), 'utf8'))
}

/** The alarms of runs that were really made (test/fixtures/alarms/make.ts). */
const expected: Readonly<Record<string, readonly string[]>> = {
  healthy: [],
  'healthy-lora': [],
  'rate-too-high': [
    'far-from-reference',
    'fewer-solved',
    'length',
    'likelihood-displacement',
    'overfitting',
    'repetition',
  ],
  'rate-too-low': ['no-learning'],
  'beta-too-small': ['likelihood-displacement'],
  'too-many-epochs': ['far-from-reference', 'likelihood-displacement', 'saturation'],
  'random-labels': ['far-from-reference', 'overfitting'],
  padded: ['far-from-reference', 'length'],
}

/**
 * Whether the problems that a run solved say so. At far too high a rate each rounding leads elsewhere: with AVX-512 all answers
 * repeat themselves for a while, with AVX2 none does.
 */
function repeatsItself(log: readonly LogEntry[]): boolean {
  const solved = log.filter((entry) => entry['eval_repetitive'] !== undefined)
  const before = solved.at(0)?.['eval_repetitive'] ?? 0
  return solved.some((entry) => entry['eval_repetitive'] >= before + 0.1 && entry['eval_repetitive_low'] > before)
}

describe('recorded runs', () => {
  test.each(Object.entries(expected))('%s: %j', (name, alarms) => {
    expect(names(recorded(name))).toEqual(alarms)
    expect(alarms.includes('repetition')).toBe(repeatsItself(recorded(name)))
  })

  test.runIf(isSlow).each(Object.entries(expected))(
    '%s trained again: %j',
    async (name, alarms) => {
      const { record } = await import('./fixtures/alarms/make.ts')
      const log = await record(name)
      expect(names(log)).toEqual(alarms.filter((alarm) => alarm !== 'repetition' || repeatsItself(log)))
    },
    120_000,
  )
})

/** A log of updates in which one metric changes. */
function logOf(count: number, change: (at: number) => LogEntry): LogEntry[] {
  return Array.from({ length: count }, (_, at) => ({
    step: at + 1,
    loss: 0.6,
    learning_rate: 1e-4,
    grad_norm: 1,
    'rewards/margins': at / 100,
    'rewards/ties': 0,
    'rewards/saturated': 0,
    'kl/token': 0.01,
    'logps/displacement': 0,
    'weights/ess': 1,
    ...change(at),
  }))
}

describe('an alarm', () => {
  test('of each other kind comes with its sign', () => {
    expect(names(logOf(60, () => ({})))).toEqual([])
    expect(names(logOf(60, () => ({ 'rewards/ties': 0.2 })))).toEqual(['ties'])
    expect(names(logOf(60, () => ({ 'weights/ess': 0.2 })))).toEqual(['few-effective-pairs'])
    expect(names(logOf(60, (at) => ({ grad_norm: at < 30 ? 1 : 11 })))).toEqual(['growing-gradients'])
    expect(names(logOf(60, () => ({ 'rewards/saturated': 0.95 })))).toEqual(['saturation'])
  })

  test('of repetition comes where the share has grown beyond chance', () => {
    const solved = (share: number, low: number) => ({
      step: 1,
      eval_accuracy: 0,
      eval_repetitive: share,
      eval_repetitive_low: low,
    })
    expect(names([solved(0.1, 0.05), solved(0.4, 0.3)])).toEqual(['repetition'])
    expect(names([solved(0.1, 0.05), solved(0.4, 0.09)])).toEqual([])
    expect(names([solved(0.8, 0.7), solved(0.85, 0.81)])).toEqual([])
  })

  test('of problems that are no longer solved comes where that is beyond chance', () => {
    const solved = (share: number, high: number) => ({ step: 1, eval_accuracy: share, eval_accuracy_high: high })
    // As measured at a rate too high: 15 of 30 before, 5 of 30 after 8 updates.
    expect(names([solved(0.5, 0.668), solved(0.167, 0.336)])).toEqual(['fewer-solved'])
    expect(names([solved(0.5, 0.668), solved(0.4, 0.578)])).toEqual([])
    expect(names([solved(0.5, 0.668), solved(0.9, 0.966)])).toEqual([])
  })

  test('is raised once, and again when its sign was gone for a while', () => {
    const watch = watchAlarms()
    const isSick = (at: number): boolean => (at >= 40 && at < 80) || at >= 140
    const raisedAt = logOf(200, (at) => ({ 'rewards/ties': isSick(at) ? 1 : 0 })).flatMap((entry) => watch.see(entry))
    // The mean of 20 entries passes 0.1 with the third tie.
    expect(raisedAt.map(({ since }) => since)).toEqual([43, 143])
    // It falls to 0.1 with the 18th entry after the last tie.
    expect(watch.raised()).toMatchObject([
      { since: 43, until: 97 },
      { since: 143, until: 200 },
    ])
  })

  test('says nothing of a log too short to tell, and nothing of demonstrations', () => {
    expect(names(logOf(39, () => ({ 'rewards/ties': 1, 'rewards/saturated': 1, 'kl/token': 9 })))).toEqual([])
    const lesson = Array.from({ length: 90 }, (_, at) => ({ step: at, loss: 1, grad_norm: 1, learning_rate: 1 }))
    expect(names(lesson)).toEqual([])
  })

  test('names settings and losses that there are', () => {
    const sick = logOf(60, () => ({ 'kl/token': 1, 'logps/displacement': 1, 'rewards/saturated': 1, 'weights/ess': 0 }))
    const evaluated = [1, 2, 3, 4].map((loss) => ({ step: loss, eval_loss: loss }))
    const others = ['rate-too-low', 'padded'].map((name) => recorded(name))
    const log = logOf(60, (at) => ({
      loss: -at,
      'rewards/ties': 1,
      grad_norm: at ** 3,
      'rewards/length_correlation': 1,
    }))
    const texts = [sick, [...log.slice(0, 50), ...evaluated, ...log.slice(50)], ...others].flatMap(raisedBy)
    expect(new Set(texts.map(({ name }) => name)).size).toBe(9)
    for (const { remedy } of texts) {
      for (const [, flag] of remedy.matchAll(/--(\w+)/g)) expect(Object.keys(trainSchema.shape)).toContain(flag)
      const losses = /--loss_type ([\w, ]+?) (keep|compare)/.exec(remedy)?.[1] ?? ''
      for (const loss of losses.split(/, | or |,/).filter((one) => one !== '')) expect(lossTypes).toContain(loss)
    }
  })
})
