import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Group } from '../data/records.ts'
import { splitByProblem } from './split.ts'

function group(problem: string): Group {
  return { problem, prompt: { raw: problem }, prefix: [], separator: '', members: [], place: { file: 'f' } }
}

const problemsOf = (groups: readonly Group[]) => [...new Set(groups.map(({ problem }) => problem))].sort()

test('a split keeps every group once, never parts a problem, and holds out the rounded share of problems', () => {
  const problems = fc.array(fc.constantFrom(...'abcdefghij'), { minLength: 1, maxLength: 40 })
  fc.assert(
    fc.property(problems, fc.double({ min: 0.01, max: 0.99, noNaN: true }), fc.nat(), (names, fraction, seed) => {
      const groups = names.map(group)
      const { train, heldOut } = splitByProblem(groups, fraction, seed)
      expect([...train, ...heldOut].map(({ problem }) => problem).sort()).toEqual([...names].sort())
      expect(problemsOf(train).filter((problem) => problemsOf(heldOut).includes(problem))).toEqual([])
      const all = problemsOf(groups).length
      const rounded = Math.min(Math.max(1, Math.round(fraction * all)), all - 1)
      expect(problemsOf(heldOut)).toHaveLength(rounded)
    }),
  )
})

test('the held-out problems depend on the seed, not on the order of the file or how many rows a problem has', () => {
  const names = Array.from({ length: 50 }, (_, index) => `problem ${index}`)
  const heldOut = (list: readonly string[], seed: number) =>
    problemsOf(splitByProblem(list.map(group), 0.2, seed).heldOut)
  expect(heldOut([...names].reverse(), 1)).toEqual(heldOut(names, 1))
  expect(heldOut(names.concat(names.slice(0, 9)), 1)).toEqual(heldOut(names, 1))
  expect(heldOut(names, 1)).not.toEqual(heldOut(names, 2))
  // Other problems leave the order of drawing as it is: a smaller share is part of a larger one.
  const tenth = problemsOf(splitByProblem(names.map(group), 0.1, 1).heldOut)
  expect(heldOut(names, 1)).toEqual(expect.arrayContaining(tenth))
})

test('nothing is held out of one problem, or where the fraction is 0', () => {
  expect(splitByProblem([group('a'), group('a')], 0.5, 1).heldOut).toEqual([])
  expect(splitByProblem([group('a'), group('b')], 0, 1).heldOut).toEqual([])
  expect(splitByProblem([], 0.5, 1)).toEqual({ train: [], heldOut: [] })
})
