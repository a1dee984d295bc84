import { describe, expect, test } from 'vitest'
import { type Random, random } from '../base/random.ts'
import { lengthCorrelation, lengthMoments } from './length.ts'
import { followTrends, NO_TRENDS, noiseOf, type Trends, trendMetrics } from './trends.ts'

/** Two independent standard normal numbers (Box & Muller 1958). */
function normals(draw: Random): [number, number] {
  const [radius, angle] = [Math.sqrt(-2 * Math.log(1 - draw.uniform())), 2 * Math.PI * draw.uniform()]
  return [radius * Math.cos(angle), radius * Math.sin(angle)]
}

const lengths = NO_TRENDS.lengths

describe('the noise scale', () => {
  test('solves |G_B|² = |G|² + tr Σ / B for both batches', () => {
    // |G|² = 3, tr Σ = 8: 3 + 8 / 2 = 7 and 3 + 8 / 16 = 3.5
    const found = noiseOf({ small: { norm: Math.sqrt(7), count: 2 }, big: { norm: Math.sqrt(3.5), count: 16 } })
    expect(found.noise).toBeCloseTo(8, 12)
    expect(found.signal).toBeCloseTo(3, 12)
  })

  test('comes near that of gradients drawn with a known one', () => {
    // Pairs whose gradient is (1, 0) with noise of variance 9 in both places: tr Σ / |G|² = 18.
    const draw = random(0, 'noise')
    const norm = (gradients: readonly (readonly [number, number])[]): number => {
      const sum = gradients.reduce(([a, b], [x, y]) => [a + x, b + y], [0, 0])
      return Math.hypot(...sum) / gradients.length
    }
    let trends = NO_TRENDS
    const scales: number[] = []
    for (let update = 0; update < 600; update++) {
      const all = Array.from({ length: 64 }, (): [number, number] => {
        const [x, y] = normals(draw)
        return [1 + 3 * x, 3 * y]
      })
      const small = { norm: norm(all.slice(0, 8)), count: 8 }
      trends = followTrends(trends, { lengths, gradients: { small, big: { norm: norm(all), count: 64 } } })
      scales.push(trendMetrics(trends)['grad_noise_scale'])
    }
    const late = scales.slice(100).filter((scale) => scale !== undefined)
    const mean = late.reduce((sum, scale) => sum + scale, 0) / late.length
    expect(Math.abs(mean / 18 - 1)).toBeLessThan(0.25)
  })

  test('is not told where the update had one part, nor where estimates cancel', () => {
    expect(trendMetrics(followTrends(NO_TRENDS, { lengths }))).toEqual({})
    const gradients = { small: { norm: 1, count: 1 }, big: { norm: 2, count: 4 } }
    expect(trendMetrics(followTrends(NO_TRENDS, { lengths, gradients }))).toEqual({})
  })

  test('goes on from its written state to the last bit', () => {
    const sample = (at: number) => ({
      lengths: [1, 2, 3, 4, 5, 6].map((value) => value * Math.sin(at)),
      gradients: { small: { norm: 2 + Math.sin(at), count: 3 }, big: { norm: 1.3, count: 7 } },
    })
    let [calm, written]: Trends[] = [NO_TRENDS, NO_TRENDS]
    for (let at = 0; at < 30; at++) {
      calm = followTrends(calm, sample(at))
      written = JSON.parse(JSON.stringify(followTrends(written, sample(at))))
    }
    expect(written).toEqual(calm)
  })
})

describe('the correlation of margins with lengths', () => {
  test('is Pearson’s of the pairs, each as often as it counts', () => {
    const draw = random(1, 'lengths')
    const pairs = Array.from({ length: 40 }, () => [draw.below(9) - 4, draw.uniform(), 1 + draw.below(3)])
    const totals = lengthMoments()
    for (const [x, y, weight] of pairs) totals.add(x, y, weight)
    const all = pairs.flatMap(([x, y, weight]) => Array.from({ length: weight }, () => [x, y]))
    const mean = (of: 0 | 1): number => all.reduce((sum, pair) => sum + pair[of], 0) / all.length
    const [mx, my] = [mean(0), mean(1)]
    const product = (a: 0 | 1, b: 0 | 1): number =>
      all.reduce((sum, pair) => sum + (pair[a] - (a === 0 ? mx : my)) * (pair[b] - (b === 0 ? mx : my)), 0)
    expect(lengthCorrelation(totals.moments)).toBeCloseTo(product(0, 1) / Math.sqrt(product(0, 0) * product(1, 1)), 10)
  })

  test('is not told of few pairs, nor where all are equally long', () => {
    const totals = lengthMoments()
    for (let at = 0; at < 29; at++) totals.add(at, at, 1)
    expect(lengthCorrelation(totals.moments)).toBeUndefined()
    totals.add(29, 29, 1)
    expect(lengthCorrelation(totals.moments)).toBeCloseTo(1, 12)
    const alike = lengthMoments()
    for (let at = 0; at < 50; at++) alike.add(3, at, 1)
    expect(lengthCorrelation(alike.moments)).toBeUndefined()
  })
})
