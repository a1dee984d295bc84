/** Weights of steps on random solutions: which are the same objective, and what is not computed. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Group, Member } from '../data/records.ts'
import { type EncodedGroup, encodeGroups } from './encode.ts'
import type { StepObjective } from './step-weights.ts'

const ids = fc.array(fc.integer({ min: 5, max: 90 }), { minLength: 1, maxLength: 5 })
const step = fc.record({
  content: ids,
  score: fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { freq: 3 }),
  weight: fc.double({ min: 0.01, max: 3, noNaN: true }),
})
const solution = fc.array(step, { minLength: 1, maxLength: 5 })
const sides = fc
  .record({ chosen: solution, rejected: solution, prefix: fc.array(ids, { maxLength: 3 }) })
  .filter(({ chosen, rejected }) => String(chosen[0].content) !== String(rejected[0].content))

type Sides = typeof sides extends fc.Arbitrary<infer T> ? T : never
type Step = Sides['chosen'][number]

function member(rating: number, steps: readonly Step[]): Member {
  return { content: steps[0].content, rating, terminal: false, count: 1, solution: { steps, terminal: false } }
}

function groupOf({ chosen, rejected, prefix }: Sides, weights?: (steps: readonly Step[]) => readonly number[]): Group {
  const weigh = (steps: readonly Step[]): readonly Step[] => {
    const own = weights?.(steps)
    return steps.map((one, at) => ({ ...one, weight: own?.[at] ?? one.weight }))
  }
  const members = [member(1, weigh(chosen)), member(-1, weigh(rejected))]
  return { problem: 'p', prompt: { raw: [1, 2] }, prefix, separator: '', members, place: { file: 'none' } }
}

function encode(group: Group, objective: StepObjective, stepTemperature?: number): EncodedGroup[] {
  const limits = { maxLength: 500, maxPromptLength: 500, maxRowTokens: 999, pairs: 'all', vocabularySize: 99 } as const
  const temperature = stepTemperature === undefined ? {} : { stepTemperature }
  return [...encodeGroups([group], undefined, { ...limits, ...temperature, objective }).groups]
}

/** The tokens that count, with their weights as the chosen side; those of weight 0 at the end do not stand there. */
function tokens([group]: EncodedGroup[]) {
  return {
    prefix: group.prefix.flat(),
    members: group.members.map((own, at) =>
      own.map((id, place) => [id, group.details?.[at].weights?.chosen[place] ?? 1]),
    ),
  }
}

test('one-hot weights are Step-DPO, weights of one SCDPO, both with the prefix DPO', () => {
  fc.assert(
    fc.property(sides, (any) => {
      const oneHot = groupOf(any, (steps) => steps.map((_, at) => Number(at === 0)))
      expect(tokens(encode(oneHot, 'custom'))).toEqual(tokens(encode(groupOf(any), 'step_dpo')))
      const ones = groupOf(any, (steps) => steps.map(() => 1))
      const scdpo = tokens(encode(groupOf(any), 'scdpo'))
      expect(tokens(encode(ones, 'custom'))).toEqual(scdpo)
      const dpo = tokens(encode(groupOf(any), 'dpo'))
      const read = any.prefix.flat()
      expect(dpo.prefix).toEqual([1, 2])
      expect(dpo.members).toEqual(scdpo.members.map((own) => [...read.map((id) => [id, 1]), ...own]))
    }),
  )
})

test('a last step of weight 0 is absent; the steps of Full-Step-DPO weigh 1 in the mean over scored tokens', () => {
  fc.assert(
    fc.property(sides, fc.double({ min: 0, max: 5, noNaN: true }), (any, temperature) => {
      const longer = { ...any, chosen: [...any.chosen, any.rejected[0]] }
      const zeroed = groupOf(longer, (steps) => steps.map(({ weight }, at) => (at === any.chosen.length ? 0 : weight)))
      const given = encode(groupOf(any), 'custom')
      if (any.rejected.length <= any.chosen.length) expect(tokens(encode(zeroed, 'custom'))).toEqual(tokens(given))
      const full = encode(groupOf(any), 'full_step_dpo', temperature)
      if (full.length === 0) return // no step of a side has a score
      for (const [at, own] of [any.chosen, any.rejected].entries()) {
        const isScored = own.flatMap(({ content, score }) => content.map(() => score !== null))
        const weights = full[0].details?.[at].weights?.[at === 0 ? 'chosen' : 'rejected'] ?? []
        const scored = weights.filter((_, place) => isScored[place])
        expect(scored.reduce((sum, weight) => sum + weight, 0)).toBeCloseTo(scored.length, 9)
        expect(weights.filter((_, place) => !isScored[place]).every((weight) => weight === 1)).toBe(true)
      }
    }),
  )
})
