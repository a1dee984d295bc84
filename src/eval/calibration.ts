/** @file Maps that make chances of a judge's scores: fitted on one set, kept in a file, applied on another. */
import { z } from 'zod'
import { UserError } from '../base/errors.ts'
import type { Outcome } from './reliability.ts'

const share = z.number().min(0).max(1)

/** A fitted map as it stands in a file. */
export const calibrationSchema = z.discriminatedUnion('kind', [
  /** σ(logit(score) / temperature). */
  z.strictObject({ kind: z.literal('temperature'), temperature: z.number().positive() }),
  /** σ(slope · logit(score) + intercept). */
  z.strictObject({ kind: z.literal('platt'), slope: z.number(), intercept: z.number() }),
  /** Linear between the points, which rise in both; constant outside. */
  z
    .strictObject({ kind: z.literal('isotonic'), scores: z.array(share).min(1), values: z.array(share) })
    .refine(({ scores, values }) => scores.length === values.length && isRising(scores) && isRising(values), {
      message: 'expected as many values as scores, both rising',
    }),
])

export type Calibration = z.infer<typeof calibrationSchema>
export type CalibrationKind = Calibration['kind']

function isRising(values: readonly number[]): boolean {
  return values.every((value, index) => index === 0 || value >= values[index - 1])
}

/** A map of scores, in [0, 1] both ways. */
export function calibrate(calibration: Calibration, score: number): number {
  if (calibration.kind === 'temperature') return sigmoid(logit(score) / calibration.temperature)
  if (calibration.kind === 'platt') return sigmoid(calibration.slope * logit(score) + calibration.intercept)
  return interpolate(calibration.scores, calibration.values, score)
}

const fits: { readonly [K in CalibrationKind]: (outcomes: readonly Outcome[]) => Calibration } = {
  temperature: fitTemperature,
  platt: fitPlatt,
  isotonic: fitIsotonic,
}

/** @throws UserError where the outcomes are all right or all wrong: nothing tells them apart then. */
export function fitCalibration(kind: CalibrationKind, outcomes: readonly Outcome[]): Calibration {
  const right = outcomes.filter(({ isRight }) => isRight).length
  if (right === 0 || right === outcomes.length) {
    throw new UserError(`calibration: expected right and wrong outcomes, found ${right} right of ${outcomes.length}`)
  }
  return fits[kind](outcomes)
}

/** Scores of 0 and 1, which judges give, would have no finite logit. */
const LOGIT_MARGIN = 1e-6

function logit(score: number): number {
  const inside = Math.min(1 - LOGIT_MARGIN, Math.max(LOGIT_MARGIN, score))
  return Math.log(inside / (1 - inside))
}

function sigmoid(value: number): number {
  return 1 / (1 + Math.exp(-value))
}

const LOG_TEMPERATURE_BOUND = Math.log(100)

/**
 * The temperature of the highest likelihood in [1/100, 100] (Guo et al. 2017, §4.2). The loss is convex in 1/T, so its
 * derivative Σ z·(σ(z/T) − y) is bisected; separable or reversed scores end at a bound.
 */
function fitTemperature(outcomes: readonly Outcome[]): Calibration {
  const points = outcomes.map(({ score, isRight }) => ({ z: logit(score), target: Number(isRight) }))
  let [low, high] = [-LOG_TEMPERATURE_BOUND, LOG_TEMPERATURE_BOUND]
  for (let round = 0; round < 60; round++) {
    const middle = (low + high) / 2
    const temperature = Math.exp(middle)
    const slope = points.reduce((sum, { z, target }) => sum + z * (sigmoid(z / temperature) - target), 0)
    if (slope > 0) low = middle
    else high = middle
  }
  return { kind: 'temperature', temperature: Math.exp((low + high) / 2) }
}

const MAX_ROUNDS = 100

/**
 * Logistic regression on logit(score) with Platt's targets (N₊+1)/(N₊+2) and 1/(N₋+2) in place of 1 and 0, by Newton's
 * method with step halving (Platt 1999; Lin, Lin & Weng 2007, algorithm 1).
 */
function fitPlatt(outcomes: readonly Outcome[]): Calibration {
  const right = outcomes.filter(({ isRight }) => isRight).length
  const [high, low] = [(right + 1) / (right + 2), 1 / (outcomes.length - right + 2)]
  const points = outcomes.map(({ score, isRight }) => ({ z: logit(score), target: isRight ? high : low }))
  let line: StraightLine = { slope: 0, intercept: Math.log((right + 1) / (outcomes.length - right + 1)) }
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const { step, descent } = newtonStep(points, line)
    // So near the minimum a whole step squares the error, and the loss is too coarse to tell.
    if (descent < 1e-10 * points.length) return { kind: 'platt', ...move(line, step, 1) }
    const before = crossEntropy(points, line)
    let size = 1
    while (size > 1e-10 && crossEntropy(points, move(line, step, size)) > before - 1e-4 * size * descent) {
      size /= 2
    }
    line = move(line, step, size)
  }
  return { kind: 'platt', ...line }
}

function move(line: StraightLine, step: StraightLine, size: number): StraightLine {
  return { slope: line.slope - size * step.slope, intercept: line.intercept - size * step.intercept }
}

interface Point {
  readonly z: number
  readonly target: number
}

interface StraightLine {
  readonly slope: number
  readonly intercept: number
}

/** H⁻¹g, and gᵀH⁻¹g, which is how much it promises to descend. */
function newtonStep(points: readonly Point[], { slope, intercept }: StraightLine) {
  const ridge = 1e-8 * points.length // scores may be all alike
  let [g0, g1, h00, h01, h11] = [0, 0, ridge, 0, ridge]
  for (const { z, target } of points) {
    const chance = sigmoid(slope * z + intercept)
    const weight = chance * (1 - chance)
    g0 += z * (chance - target)
    g1 += chance - target
    h00 += z * z * weight
    h01 += z * weight
    h11 += weight
  }
  const determinant = h00 * h11 - h01 * h01
  const step = { slope: (h11 * g0 - h01 * g1) / determinant, intercept: (h00 * g1 - h01 * g0) / determinant }
  return { step, descent: g0 * step.slope + g1 * step.intercept }
}

/** Σ log(1 + e^f) − t·f, without overflow. */
function crossEntropy(points: readonly Point[], { slope, intercept }: StraightLine): number {
  return points.reduce((sum, { z, target }) => {
    const f = slope * z + intercept
    return sum + Math.max(f, 0) + Math.log1p(Math.exp(-Math.abs(f))) - target * f
  }, 0)
}

/** A run of scores that share one value. */
interface Block {
  readonly first: number
  readonly last: number
  readonly sum: number
  readonly count: number
}

/** Least squares among rising functions: pool adjacent violators (Barlow et al. 1972), equal scores pooled first. */
function fitIsotonic(outcomes: readonly Outcome[]): Calibration {
  const blocks: Block[] = []
  for (const own of groupByScore(outcomes)) {
    let block = own
    for (let before = blocks.at(-1); before !== undefined && isViolated(before, block); before = blocks.at(-1)) {
      blocks.pop()
      block = { first: before.first, last: block.last, sum: before.sum + block.sum, count: before.count + block.count }
    }
    blocks.push(block)
  }
  const ends = blocks.flatMap(({ first, last, sum, count }) => {
    const value = sum / count
    return first === last ? [{ score: first, value }] : [first, last].map((score) => ({ score, value }))
  })
  return { kind: 'isotonic', scores: ends.map(({ score }) => score), values: ends.map(({ value }) => value) }
}

/** A block for each score, from the lowest. */
function groupByScore(outcomes: readonly Outcome[]): Block[] {
  const groups = new Map<number, Block>()
  for (const { score, isRight } of outcomes.toSorted((a, b) => a.score - b.score)) {
    const { sum, count } = groups.get(score) ?? { sum: 0, count: 0 }
    groups.set(score, { first: score, last: score, sum: sum + Number(isRight), count: count + 1 })
  }
  return [...groups.values()]
}

function isViolated(before: Block, block: Block): boolean {
  return before.sum * block.count >= block.sum * before.count
}

function interpolate(scores: readonly number[], values: readonly number[], score: number): number {
  let [low, high] = [0, scores.length - 1]
  if (score <= scores[low]) return values[low]
  if (score >= scores[high]) return values[high]
  while (high - low > 1) {
    const middle = (low + high) >> 1
    if (scores[middle] <= score) low = middle
    else high = middle
  }
  const part = (score - scores[low]) / (scores[high] - scores[low])
  return values[low] + part * (values[high] - values[low])
}
