import fc from 'fast-check'
import { expect, test } from 'vitest'
import { cohenKappa, fleissKappa, type Ratings } from './agreement.ts'

type Pair = readonly [string | null, string | null]

/** Each item a solution of its own. */
function alone<T>(items: readonly T[]): T[][] {
  return items.map((item) => [item])
}

function times<T>(count: number, item: T): T[] {
  return Array.from({ length: count }, () => item)
}

test('Cohen’s κ of 20 yes-yes, 5 yes-no, 10 no-yes and 15 no-no is .4', () => {
  // Observed 35/50; expected ½ · .6 + ½ · .4 = ½; (.7 − .5) / .5.
  const pairs: Pair[] = [
    ...times<Pair>(20, ['y', 'y']),
    ...times<Pair>(5, ['y', 'n']),
    ...times<Pair>(10, ['n', 'y']),
    ...times<Pair>(15, ['n', 'n']),
  ]
  const { kappa, observed, expected, items } = cohenKappa(alone(pairs))
  expect(items).toBe(50)
  expect(observed).toBeCloseTo(0.7, 12)
  expect(expected).toBeCloseTo(0.5, 12)
  expect(kappa.value).toBeCloseTo(0.4, 12)
  // Its standard error is about √(.7 · .3 / 50) / .5 = .13.
  expect(kappa.low).toBeGreaterThan(0.08)
  expect(kappa.low).toBeLessThan(0.2)
  expect(kappa.high).toBeGreaterThan(0.58)
  expect(kappa.high).toBeLessThan(0.7)
})

test('the labels of one solution move together: in 10 solutions of 5 alike steps the interval is wider', () => {
  const solution = (pair: Pair): Pair[] => times(5, pair)
  const solutions = [
    ...times(4, solution(['y', 'y'])),
    ...times(3, solution(['n', 'n'])),
    ...times(3, solution(['y', 'n'])),
  ]
  const width = ({ kappa }: ReturnType<typeof cohenKappa>): number => (kappa.high ?? 0) - (kappa.low ?? 0)
  expect(cohenKappa(solutions).kappa.value).toBeCloseTo(cohenKappa(alone(solutions.flat())).kappa.value ?? 0, 12)
  expect(width(cohenKappa(solutions))).toBeGreaterThan(1.5 * width(cohenKappa(alone(solutions.flat()))))
})

test('κ is 1 for raters that always agree, and not defined where they know one label only, or no item', () => {
  expect(
    cohenKappa([
      [
        ['a', 'a'],
        ['b', 'b'],
      ],
    ]).kappa.value,
  ).toBe(1)
  expect(
    cohenKappa([
      [
        ['a', 'a'],
        ['a', 'a'],
      ],
    ]),
  ).toMatchObject({ kappa: { value: null }, observed: 1, expected: 1 })
  expect(cohenKappa([[['a', null]], []])).toMatchObject({ kappa: { value: null }, observed: null, items: 0 })
  expect(fleissKappa([])).toMatchObject({ kappa: { value: null }, items: 0 })
})

// Fleiss’ own kind of table: 10 items, 14 raters, 5 categories; P̄ = .378, P̄e = .213, κ = .210.
const COUNTS = [
  [0, 0, 0, 0, 14],
  [0, 2, 6, 4, 2],
  [0, 0, 3, 5, 6],
  [0, 3, 9, 2, 0],
  [2, 2, 8, 1, 1],
  [7, 7, 0, 0, 0],
  [3, 2, 6, 3, 0],
  [2, 5, 3, 2, 2],
  [6, 5, 2, 1, 0],
  [0, 2, 2, 3, 7],
]
const RATINGS = COUNTS.map((row) => row.flatMap((count, category) => times(count, String(category))))

test('Fleiss’ κ of the textbook table is .210', () => {
  const { kappa, observed, expected, items } = fleissKappa(alone(RATINGS))
  expect(items).toBe(10)
  expect(observed).toBeCloseTo(0.378, 3)
  expect(expected).toBeCloseTo(0.213, 3)
  expect(kappa.value).toBeCloseTo(0.21, 3)
})

test('items with one label or none do not count, and missing labels are no category', () => {
  const sparse: Ratings[][] = alone([...RATINGS.map((row) => [...row, null]), ['0'], [null, null], ['1', null]])
  expect(fleissKappa(sparse).kappa.value).toBeCloseTo(fleissKappa(alone(RATINGS)).kappa.value ?? 0, 12)
  expect(fleissKappa(sparse).items).toBe(10)
})

test('neither κ cares what labels are called or in which order raters stand, and none is above 1', () => {
  const label = fc.constantFrom('correct', 'incorrect', 'neutral', null)
  const items = fc.array(fc.tuple(label, label), { maxLength: 15 })
  const renamed = (one: string | null): string | null => (one === null ? null : `__proto__${one}`)
  fc.assert(
    fc.property(items, (pairs) => {
      const before = cohenKappa([pairs])
      const after = cohenKappa([pairs.map(([a, b]): Pair => [renamed(b), renamed(a)])])
      expect(after.expected ?? -1).toBeCloseTo(before.expected ?? -1, 12)
      expect(after.observed).toBe(before.observed)
      expect(before.kappa.value ?? 0).toBeLessThanOrEqual(1)
      const several = fleissKappa([pairs])
      expect(several.observed ?? -1).toBeCloseTo(before.observed ?? -1, 12)
    }),
    { numRuns: 30 },
  )
})
