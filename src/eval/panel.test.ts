import { expect, test } from 'vitest'
import type { StepLabel } from '../data/judgement.ts'
import { panel } from '../judge/consensus.ts'
import type { MergedVerdict, StepJudge, StepVerdict } from '../judge/port.ts'
import { NO_USAGE } from '../judge/port.ts'
import { measurePanel } from './panel.ts'

type Word = StepLabel | 'none' | 'failed'

function verdictOf(word: Word): StepVerdict {
  if (word === 'none') return { state: 'abstained', why: '' }
  if (word === 'failed') return { state: 'failed', kind: 'timeout', why: '' }
  return { state: 'scored', score: word === 'incorrect' ? 0 : 1, label: word, why: '' }
}

/** What a panel says of solutions of one step; each row is what its judges say of it. */
async function judged(rows: readonly (readonly Word[])[], needed?: number): Promise<MergedVerdict[][]> {
  const judges = rows[0].map(
    (_, at): StepJudge => ({
      name: 'ABC'[at],
      meaning: 'correctness',
      judge: async ({ problem }) => ({ steps: [verdictOf(rows[Number(problem)][at])], usage: NO_USAGE }),
    }),
  )
  const { judge } = panel(judges, needed)
  const { signal } = new AbortController()
  const solve = async (_: unknown, row: number) => [...(await judge({ problem: `${row}`, steps: ['s'] }, signal)).steps]
  return Promise.all(rows.map(solve))
}

function times(count: number, words: readonly Word[]): (readonly Word[])[] {
  return Array.from({ length: count }, () => words)
}

const table = [
  ...times(20, ['correct', 'correct']),
  ...times(5, ['correct', 'incorrect']),
  ...times(10, ['incorrect', 'correct']),
  ...times(15, ['incorrect', 'incorrect']),
]

test('two judges: 70 % the same, Cohen’s κ .4, Fleiss’ κ .195/.495', async () => {
  const [all, pair, ...others] = measurePanel(await judged(table))
  expect(others).toEqual([])
  // Cohen: expected ½ · .6 + ½ · .4. Fleiss: 55 of 100 labels are correct, expected .55² + .45² = .505.
  expect(pair).toMatchObject({ statistic: 'cohen', judges: ['A', 'B'], steps: 50, same: 0.7 })
  expect(pair.kappa).toBeCloseTo(0.4, 12)
  expect(all).toMatchObject({ statistic: 'fleiss', judges: ['A', 'B'], steps: 50, same: 0.7 })
  expect(all.kappa).toBeCloseTo(0.195 / 0.495, 12)
  expect([all.low, all.kappa, all.high].map(Number)).toEqual(
    [all.low, all.kappa, all.high].map(Number).sort((a, b) => a - b),
  )
})

test('a judge who said nothing of a step takes it from all together and from its own pairs, not from the others', async () => {
  const rows = table.map((words, at): Word[] => [...words, at < 2 ? 'neutral' : at % 2 === 0 ? 'none' : 'failed'])
  const [all, ab, ac, bc] = measurePanel(await judged(rows))
  expect(ab).toMatchObject({ judges: ['A', 'B'], steps: 50, same: 0.7 })
  // Of both steps that all scored, A and B said correct and C neutral: one of three pairs is the same.
  expect(all).toMatchObject({ judges: ['A', 'B', 'C'], steps: 2, same: 1 / 3 })
  expect([ac.steps, bc.steps, ac.same, bc.same]).toEqual([2, 2, 0, 0])
})

test('where all labels are the same κ is not defined, and where no step was scored by both there is no share either', async () => {
  const [, same] = measurePanel(await judged(times(3, ['correct', 'correct'])))
  expect(same).toMatchObject({ steps: 3, same: 1, kappa: null, low: null, high: null })
  const [all, none] = measurePanel(await judged(times(3, ['correct', 'failed'])))
  for (const one of [all, none]) expect(one).toMatchObject({ steps: 0, same: null, kappa: null })
})

test('one judge alone agrees with nobody, also beside judgements of old files, which have no members', async () => {
  expect(measurePanel(await judged(times(2, ['correct'])))).toEqual([])
  expect(measurePanel([])).toEqual([])
  const old = [[verdictOf('correct')]]
  expect(measurePanel([...old, ...(await judged(times(2, ['correct', 'correct'])))])[0].steps).toBe(2)
})

test('members keep what they said where the panel abstains for want of consensus', async () => {
  const [[step]] = await judged([['correct', 'incorrect']], 2)
  expect(step).toMatchObject({
    state: 'abstained',
    members: [
      { judge: 'A', state: 'scored', label: 'correct', score: 1 },
      { judge: 'B', state: 'scored', label: 'incorrect', score: 0 },
    ],
  })
})
