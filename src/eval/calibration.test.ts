import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { UserError } from '../base/errors.ts'
import { random } from '../base/random.ts'
import { type Calibration, calibrate, calibrationSchema, fitCalibration } from './calibration.ts'
import { brierScore, expectedCalibrationError, type Outcome, reliability } from './reliability.ts'

/** `right` and `wrong` outcomes of one score. */
function at(score: number, right: number, wrong: number): Outcome[] {
  return Array.from({ length: right + wrong }, (_, index) => ({ score, isRight: index < right }))
}

describe('reliability', () => {
  const outcomes = [...at(0.05, 1, 3), ...at(0.15, 1, 0), ...at(1, 2, 1)]

  test('the table has a row for each bin, and a score of 1 is in the last', () => {
    const bins = reliability(outcomes)
    expect(bins).toHaveLength(10)
    expect(bins[0]).toMatchObject({ low: 0, high: 0.1, count: 4, shareRight: 0.25 })
    expect(bins[0].meanScore).toBeCloseTo(0.05, 12)
    expect(bins[9]).toMatchObject({ count: 3, meanScore: 1 })
    expect(bins[5]).toMatchObject({ count: 0, meanScore: null, shareRight: null })
  })

  test('ECE and Brier are what one works out by hand', () => {
    // Gaps: .25 − .05, 1 − .15, 2/3 − 1.
    expect(expectedCalibrationError(outcomes)).toBeCloseTo((4 * 0.2 + 1 * 0.85 + 3 * (1 / 3)) / 8, 12)
    // 1 × .95² + 3 × .05², .85², 1 × 1².
    expect(brierScore(outcomes)).toBeCloseTo((0.9025 + 3 * 0.0025 + 0.7225 + 1) / 8, 12)
    expect(expectedCalibrationError([])).toBeNull()
    expect(brierScore([])).toBeNull()
  })

  test('a judge that is always sure and always right errs by 0, one that is always wrong by 1', () => {
    expect(expectedCalibrationError([...at(1, 5, 0), ...at(0, 0, 5)])).toBe(0)
    expect(brierScore([...at(0, 5, 0), ...at(1, 0, 5)])).toBe(1)
  })
})

test('temperature: the sureness of one score becomes the share that is right', () => {
  // logit(.8) = ln 4; six of ten are right: ln 4 / T = ln 1.5.
  const fitted = fitCalibration('temperature', [...at(0.8, 3, 2), ...at(0.2, 2, 3)])
  expect(fitted).toMatchObject({ kind: 'temperature' })
  expect(fitted.kind === 'temperature' && fitted.temperature).toBeCloseTo(Math.log(4) / Math.log(1.5), 9)
  expect(calibrate(fitted, 0.8)).toBeCloseTo(0.6, 9)
  expect(calibrate(fitted, 0.5)).toBe(0.5)
})

test('temperature: a judge that is never wrong ends at the lowest, one that is upside down at the highest', () => {
  const temperature = (outcomes: Outcome[]): number => {
    const fitted = fitCalibration('temperature', outcomes)
    return fitted.kind === 'temperature' ? fitted.temperature : Number.NaN
  }
  expect(temperature([...at(0.9, 4, 0), ...at(0.1, 0, 4)])).toBeCloseTo(0.01, 9)
  expect(temperature([...at(0.9, 0, 4), ...at(0.1, 4, 0)])).toBeCloseTo(100, 6)
})

test('Platt: two scores become the mean of their targets, which are those of Platt 1999', () => {
  // 5 right, 4 wrong: targets 6/7 and 1/6. A line through two points fits both means.
  const fitted = fitCalibration('platt', [...at(0.9, 4, 1), ...at(0.3, 1, 3)])
  expect(calibrate(fitted, 0.9)).toBeCloseTo((4 * (6 / 7) + 1 / 6) / 5, 9)
  expect(calibrate(fitted, 0.3)).toBeCloseTo((6 / 7 + 3 * (1 / 6)) / 4, 9)
})

test('Platt: one score alone becomes the mean of its targets, whatever their number', () => {
  for (const [score, count] of [
    [0.8, 3],
    [1, 30_000],
  ]) {
    const fitted = fitCalibration('platt', at(score, 2 * count, count))
    const [high, low] = [(2 * count + 1) / (2 * count + 2), 1 / (count + 2)]
    expect(calibrate(fitted, score)).toBeCloseTo((2 * high + low) / 3, 9)
  }
})

const someOutcomes = fc
  .array(fc.record({ score: fc.double({ min: 0, max: 1, noNaN: true }), isRight: fc.boolean() }), { minLength: 2 })
  .filter((all) => all.some(({ isRight }) => isRight) && all.some(({ isRight }) => !isRight))

test('Platt: at the fitted line the loss has no slope, whatever the outcomes', () => {
  fc.assert(
    fc.property(someOutcomes, (outcomes) => {
      const fitted = fitCalibration('platt', outcomes)
      const right = outcomes.filter(({ isRight }) => isRight).length
      const [high, low] = [(right + 1) / (right + 2), 1 / (outcomes.length - right + 2)]
      let [slope, intercept] = [0, 0]
      for (const { score, isRight } of outcomes) {
        const inside = Math.min(1 - 1e-6, Math.max(1e-6, score))
        const error = calibrate(fitted, score) - (isRight ? high : low)
        slope += error * Math.log(inside / (1 - inside))
        intercept += error
      }
      expect(Math.abs(slope)).toBeLessThan(1e-6)
      expect(Math.abs(intercept)).toBeLessThan(1e-6)
    }),
  )
})

test('Platt: scores that were bent by a known line are bent back', () => {
  // Truth p; the judge says σ(2 logit p + 1), so the line back is half of it less ½.
  const draw = random(1, 'platt')
  const outcomes = Array.from({ length: 20_000 }, () => {
    const truth = 0.05 + 0.9 * draw.uniform()
    const said = 2 * Math.log(truth / (1 - truth)) + 1
    return { score: 1 / (1 + Math.exp(-said)), isRight: draw.uniform() < truth }
  })
  const fitted = fitCalibration('platt', outcomes)
  if (fitted.kind !== 'platt') throw new Error(fitted.kind)
  expect(Math.abs(fitted.slope - 0.5)).toBeLessThan(0.03)
  expect(Math.abs(fitted.intercept + 0.5)).toBeLessThan(0.06)
  expect(expectedCalibrationError(outcomes)).toBeGreaterThan(0.1)
  const after = outcomes.map(({ score, isRight }) => ({ score: calibrate(fitted, score), isRight }))
  expect(expectedCalibrationError(after)).toBeLessThan(0.02)
})

test('isotonic: neighbours that fall are pooled, by hand', () => {
  // Shares 0, 1, ½, 1 of 1, 1, 2, 1 outcomes: .4 and .6 are pooled to 2/3.
  const fitted = fitCalibration('isotonic', [...at(0.2, 0, 1), ...at(0.4, 1, 0), ...at(0.6, 1, 1), ...at(0.9, 1, 0)])
  expect(fitted).toEqual({ kind: 'isotonic', scores: [0.2, 0.4, 0.6, 0.9], values: [0, 2 / 3, 2 / 3, 1] })
  expect([0, 0.3, 0.5, 0.75, 1].map((score) => calibrate(fitted, score))).toEqual([
    0,
    expect.closeTo(1 / 3, 12),
    2 / 3,
    expect.closeTo(5 / 6, 12),
    1,
  ])
})

test('isotonic: equal scores are pooled before neighbours are, so that their order does not matter', () => {
  const outcomes = [...at(0.3, 2, 3), ...at(0.5, 1, 1)]
  expect(calibrate(fitCalibration('isotonic', outcomes), 0.3)).toBe(0.4)
  expect(fitCalibration('isotonic', outcomes.toReversed())).toEqual(fitCalibration('isotonic', outcomes))
})

test('isotonic: the fit is max over starts of min over ends of the mean, at every score', () => {
  const coarse = someOutcomes.map((all) => all.map((one) => ({ ...one, score: Math.round(one.score * 8) / 8 })))
  fc.assert(
    fc.property(coarse, (outcomes) => {
      const fitted = fitCalibration('isotonic', outcomes)
      const scores = [...new Set(outcomes.map(({ score }) => score))].sort((a, b) => a - b)
      const mean = (from: number, to: number): number => {
        const own = outcomes.filter(({ score }) => score >= scores[from] && score <= scores[to])
        return own.filter(({ isRight }) => isRight).length / own.length
      }
      scores.forEach((score, index) => {
        const ends = scores.map((_, end) => end).slice(index)
        const starts = scores.map((_, start) => start).slice(0, index + 1)
        const expected = Math.max(...starts.map((start) => Math.min(...ends.map((end) => mean(start, end)))))
        expect(calibrate(fitted, score)).toBeCloseTo(expected, 12)
      })
    }),
  )
})

test('a fitted map of any kind rises or stays in [0, 1], and comes out of JSON as it went in', () => {
  fc.assert(
    fc.property(
      someOutcomes,
      fc.constantFrom('temperature' as const, 'platt' as const, 'isotonic' as const),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (outcomes, kind, score) => {
        const fitted = fitCalibration(kind, outcomes)
        const value = calibrate(fitted, score)
        expect(value).toBeGreaterThanOrEqual(0)
        expect(value).toBeLessThanOrEqual(1)
        const read: Calibration = calibrationSchema.parse(JSON.parse(JSON.stringify(fitted)))
        expect(calibrate(read, score)).toBe(value)
      },
    ),
  )
})

test('what is not a calibration is refused when it is read', () => {
  for (const value of [
    { kind: 'isotonic', scores: [0.5, 0.2], values: [0, 1] },
    { kind: 'isotonic', scores: [0.2], values: [0, 1] },
    { kind: 'isotonic', scores: [], values: [] },
    { kind: 'temperature', temperature: 0 },
    { kind: 'platt', slope: 1 },
    { kind: 'other' },
  ]) {
    expect(calibrationSchema.safeParse(value).success, JSON.stringify(value)).toBe(false)
  }
})

test('nothing is fitted on outcomes that are all right, all wrong or none', () => {
  for (const outcomes of [at(0.5, 3, 0), at(0.5, 0, 3), []]) {
    expect(() => fitCalibration('platt', outcomes)).toThrow(UserError)
  }
  expect(() => fitCalibration('isotonic', at(0.5, 3, 0))).toThrow(/found 3 right of 3/)
})
