/** Filters against transformers' logits processors (test/fixtures/rollout/make.py), and draws against probabilities. */
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { random } from '../base/random.ts'
import { type Filters, logProbability, makeChooser, penalise } from './choose.ts'

interface Case {
  readonly settings: {
    readonly temperature: number
    readonly top_k: number
    readonly top_p: number
    readonly min_p?: number
    readonly repetition_penalty: number
  }
  readonly occurred: readonly number[]
  readonly logits: readonly number[]
  readonly probabilities: readonly number[]
}

const path = new URL('../../test/fixtures/rollout/filters.json', import.meta.url)
const cases: readonly Case[] = JSON.parse(readFileSync(path, 'utf8'))
const plain: Filters = { temperature: 1, topK: 0, topP: 1, minP: 0 }

test.each(cases.map((one, at) => ({ ...one, name: `${at}: ${JSON.stringify(one.settings)}` })))(
  'what is left and how likely it is equals transformers, case $name',
  ({ settings, occurred, logits, probabilities }) => {
    const { temperature, top_k: topK, top_p: topP, min_p: minP = 0 } = settings
    const penalised = penalise(Float32Array.from(logits), new Set(occurred), settings.repetition_penalty)
    const found = makeChooser(logits.length).probabilities(penalised, { temperature, topK, topP, minP })
    expect([...found].map((p) => p > 0)).toEqual(probabilities.map((p) => p > 0))
    probabilities.forEach((p, id) => {
      expect(Math.abs(found[id] - p)).toBeLessThan(1e-6)
    })
  },
)

test('top-p keeps the tokens that reach it, worked by hand', () => {
  const logits = Float32Array.from([0.5, 0.3, 0.15, 0.05], Math.log)
  const left = (filters: Partial<Filters>) =>
    [...makeChooser(4).probabilities(logits, { ...plain, ...filters })].filter((p) => p > 0).length
  expect(left({ topP: 0.49 })).toBe(1)
  expect(left({ topP: 0.51 })).toBe(2)
  expect(left({ topP: 0.94 })).toBe(3)
  expect(left({ topP: 0.96 })).toBe(4)
  expect(left({ topP: 0 })).toBe(1)
  expect(left({ topK: 3, topP: 0.85 })).toBe(3) // 0.3 + 0.15 of 0.95: the best two are 0.842
  expect(left({ topK: 3, topP: 0.84 })).toBe(2)
  expect(left({ minP: 0.31 })).toBe(2) // 0.15 / 0.5 = 0.3
})

describe('a vocabulary of 50,000', () => {
  const source = random(1, 'logits')
  const logits = Float32Array.from({ length: 50_000 }, () => 12 * source.uniform())

  test.each([1, 7, 300, 20_000])('top-k %i leaves the k most likely tokens', (topK) => {
    const found = makeChooser(logits.length).probabilities(logits, { ...plain, topK })
    const least = logits.toSorted().at(-topK) ?? 0
    expect([...found].map((p) => p > 0)).toEqual([...logits].map((logit) => logit >= least))
  })

  test.each([0.1, 0.5, 0.9, 0.999])('top-p %f leaves the fewest tokens of so much probability', (topP) => {
    const all = makeChooser(logits.length).probabilities(logits, plain)
    const kept = makeChooser(logits.length).probabilities(logits, { ...plain, topP })
    const masses = all.filter((_, id) => kept[id] > 0).toSorted()
    const mass = masses.reduce((total, p) => total + p, 0)
    expect(mass).toBeGreaterThanOrEqual(topP - 1e-12)
    expect(mass - masses[0]).toBeLessThan(topP)
  })
})

test('draws come as often as their probability says', () => {
  const logits = Float32Array.from([0.1, 0.6, 0, 0.3], Math.log)
  const chooser = makeChooser(4)
  const source = random(3, 'draws')
  const counts = [0, 0, 0, 0]
  for (let draw = 0; draw < 20_000; draw++) counts[chooser.choose(logits, plain, source.uniform())]++
  // Standard deviations are at most √(20,000 · 0.6 · 0.4) = 69.
  expect(counts[2]).toBe(0)
  expect(Math.abs(counts[0] - 2000)).toBeLessThan(4 * 69)
  expect(Math.abs(counts[1] - 12_000)).toBeLessThan(4 * 69)
})

test('a draw is never a token that the filters took away, also at the ends of [0, 1)', () => {
  const logit = fc.float({ min: -30, max: 30, noNaN: true })
  const filters = fc.record({
    temperature: fc.double({ min: 0.05, max: 5, noNaN: true }),
    topK: fc.nat(6),
    topP: fc.double({ min: 0, max: 1, noNaN: true }),
    minP: fc.double({ min: 0, max: 1, noNaN: true }),
  })
  const uniform = fc.oneof(fc.constant(0), fc.constant(1 - 2 ** -32), fc.double({ min: 0, max: 0.999, noNaN: true }))
  fc.assert(
    fc.property(fc.array(logit, { minLength: 1, maxLength: 8 }), filters, uniform, (numbers, chosen, at) => {
      const logits = Float32Array.from(numbers)
      const chooser = makeChooser(logits.length)
      const probabilities = chooser.probabilities(logits, chosen)
      expect(probabilities[chooser.choose(logits, chosen, at)]).toBeGreaterThan(0)
      expect(probabilities[logits.indexOf(Math.max(...logits))]).toBeGreaterThan(0)
    }),
  )
})

test('nothing is drawn from logits that are no numbers', () => {
  const { choose } = makeChooser(2)
  expect(choose(Float32Array.of(1, Number.NaN), plain, 0.5)).toBe(-1)
  expect(choose(Float32Array.of(Number.POSITIVE_INFINITY, 0), { ...plain, topP: 0.5, topK: 1 }, 0)).toBe(-1)
})

test('log-probabilities are those of softmax, also of what is very unlikely', () => {
  const logits = Float32Array.from([0, 100, -200])
  expect(logProbability(logits, 1)).toBeCloseTo(0, 12)
  expect(logProbability(logits, 2)).toBeCloseTo(-300, 9)
  expect(logProbability(Float32Array.from([1, 1]), 0)).toBeCloseTo(-Math.log(2), 12)
})
