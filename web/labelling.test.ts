/** @file Labelling by PRM800K's rules. */
import { describe, expect, test } from 'vitest'
import { move, newDraft, rate, takeBack, toInput, whatIsMissing } from './labelling.ts'

const task = { trace: 't', steps: ['a', 'b', 'c', 'd'] }

describe('a draft of a label', () => {
  test('goes to the next step with each rating and can be submitted when all are rated', () => {
    let draft = newDraft(task)
    for (const rating of [1, 0, 1] as const) draft = rate(draft, rating, true)
    expect(draft.current).toBe(3)
    expect(whatIsMissing(draft, true)).toBe('1 step is not rated')
    draft = rate(draft, 1, true)
    expect(whatIsMissing(draft, true)).toBeNull()
    expect(toInput(draft).ratings).toEqual([1, 0, 1, 1])
  })

  test('ends with the first incorrect step, and what followed is forgotten', () => {
    let draft = newDraft(task)
    for (const rating of [1, 1, 1] as const) draft = rate(draft, rating, true)
    draft = rate(move(draft, -2), -1, true)
    expect(whatIsMissing(draft, true)).toBeNull()
    expect(toInput(draft).ratings).toEqual([1, -1, null, null])
    expect(rate(move(draft, 1), 1, true).ratings).toEqual([1, -1])
  })

  test('goes on behind an incorrect step where that is wanted', () => {
    let draft = newDraft(task)
    for (const rating of [-1, 1] as const) draft = rate(draft, rating, false)
    expect(draft.current).toBe(2)
    expect(whatIsMissing(draft, false)).toBe('2 steps are not rated')
  })

  test('has no gap: nothing goes past the first step that is not rated', () => {
    const draft = move(rate(newDraft(task), 1, true), 3)
    expect(draft.current).toBe(1)
    expect(takeBack(draft)).toMatchObject({ ratings: [], current: 0 })
  })

  test('can be submitted as a bad problem, or with a step written in place of the next one', () => {
    const draft = rate(newDraft(task), 1, true)
    expect(whatIsMissing({ ...draft, badProblem: true }, true)).toBeNull()
    expect(whatIsMissing({ ...draft, ownStep: { step: 1, text: 'x' } }, true)).toBeNull()
    expect(whatIsMissing({ ...draft, ownStep: { step: 0, text: 'x' } }, true)).toBe('3 steps are not rated')
  })
})
