import fc from 'fast-check'
import { expect, test } from 'vitest'
import { vote } from '../judge/vote.ts'
import { answersEqual } from '../text/answer/equal.ts'
import { type AnsweredCompletion, drawsOf, groupAnswers, voteOfN } from './vote-of-n.ts'

interface Ballot extends AnsweredCompletion {
  readonly weight: number | null
}

function sameText(a: string, b: string): boolean {
  return a === b
}

function run(ballots: readonly Ballot[], n: number): number {
  const weights = ballots.map(({ weight }) => weight)
  return voteOfN(groupAnswers(ballots, sameText), weights, drawsOf(ballots.length, n))
}

/** The mean over all subsets of n, weights being whole numbers, of the share of right answers among those that win. */
function bruteForce(ballots: readonly Ballot[], n: number): number {
  let [sum, subsets] = [0, 0]
  for (let subset = 0; subset < 1 << ballots.length; subset++) {
    const drawn = ballots.filter((_, at) => (subset >> at) & 1)
    if (drawn.length !== n) continue
    subsets++
    const answered = drawn.filter(({ answer }) => answer !== null)
    const weighed = answered.filter(({ weight }) => weight !== null)
    const voters = weighed.length > 0 ? weighed : answered.map((one) => ({ ...one, weight: 1 }))
    const totals = new Map<string | null, number>()
    for (const { answer, weight } of voters) totals.set(answer, (totals.get(answer) ?? 0) + (weight ?? 0))
    const most = Math.max(...totals.values())
    const winners = [...totals].filter(([, total]) => total === most)
    if (winners.length > 0) sum += winners.filter(([answer]) => answer === 'right').length / winners.length
  }
  return sum / subsets
}

const ballot = fc.record({
  answer: fc.constantFrom('right', 'wrong', 'other', '__proto__', null),
  weight: fc.constantFrom(0, 1, 2, 3, null),
})

test('votes of n, plain and weighted, are those over all subsets of n, with ties, without answers and without scores', () => {
  fc.assert(
    fc.property(fc.array(ballot, { minLength: 1, maxLength: 8 }), (drawn) => {
      const ballots = drawn.map((one) => ({ ...one, isRight: one.answer === 'right' }))
      const plain = ballots.map((one) => ({ ...one, weight: 1 }))
      for (let n = 1; n <= ballots.length; n++) {
        expect(run(ballots, n)).toBeCloseTo(bruteForce(ballots, n), 12)
        expect(run(plain, n)).toBeCloseTo(bruteForce(plain, n), 12)
      }
    }),
    { numRuns: 40 },
  )
})

test('all completions together elect the answer that the judge room elects, where no two are level', () => {
  const candidate = fc.record({
    answer: fc.constantFrom('a', 'b', 'c', null),
    score: fc.nat(8).map((eighths) => eighths / 8), // sums without rounding
  })
  fc.assert(
    fc.property(fc.array(candidate, { minLength: 1, maxLength: 12 }), (candidates) => {
      const { answer } = vote(candidates, 'weighted')
      const totals = ['a', 'b', 'c'].map((one) =>
        candidates.reduce((sum, candidate) => sum + (candidate.answer === one ? candidate.score : 0), 0),
      )
      fc.pre(answer !== null && totals.filter((total) => total === Math.max(...totals)).length === 1)
      const ballots = candidates.map((one) => ({ ...one, isRight: one.answer === answer, weight: one.score }))
      expect(run(ballots, ballots.length)).toBe(1)
    }),
    { numRuns: 60 },
  )
})

test('scores that add up to the same in another order are a tie', () => {
  const ballots = [0.1, 0.2, 0.3, 0.3, 0.2, 0.1].map((weight, at) => {
    const answer = at < 3 ? 'right' : 'wrong'
    return { answer, isRight: at < 3, weight }
  })
  expect(0.1 + 0.2 + 0.3).not.toBe(0.3 + 0.2 + 0.1)
  expect(run(ballots, 6)).toBe(0.5)
})

test('up to 20,000 choices are all there, each once', () => {
  const { isExact, members } = drawsOf(16, 8) // C(16, 8) = 12,870
  expect(isExact).toBe(true)
  expect(members.length).toBe(12_870)
  expect(new Set(members.map((one) => one.join())).size).toBe(12_870)
  expect(members.every((one) => one.every((place, at) => place < 16 && (at === 0 || place > one[at - 1])))).toBe(true)
  expect(drawsOf(300, 300).members).toEqual([Uint32Array.from({ length: 300 }, (_, at) => at)])
})

test('of more choices some are drawn, the same in each run, with no completion twice and each as often as any other', () => {
  const { isExact, members } = drawsOf(20, 9) // C(20, 9) = 167,960
  expect(isExact).toBe(false)
  expect(members.join(';')).toBe(drawsOf(20, 9).members.join(';'))
  const times = new Array(20).fill(0)
  for (const one of members) {
    for (const place of one) times[place]++
  }
  expect(members.every((one) => one.length === 9 && new Set(one).size === 9)).toBe(true)
  // 1,000 draws take each 450 times, with a standard deviation of 16; allowed are five.
  for (const count of times) expect(Math.abs(count - 450)).toBeLessThan(80)
})

test('a sampled vote is near the exact one: 12 right and 8 wrong answers, 9 drawn, P(at least 5 right) = .795', () => {
  const ballots = Array.from({ length: 20 }, (_, at) => {
    const isRight = at % 5 < 3
    return { answer: isRight ? 'right' : 'wrong', isRight, weight: 1 }
  })
  // Σ C(12, i) C(8, 9 − i) / C(20, 9) by Python's fractions; the standard deviation of 1,000 draws is .013.
  expect(Math.abs(run(ballots, 9) - 0.7950702548225768)).toBeLessThan(0.05)
})

test('an answer joins the first class whose first answer is the same, also where equality is not transitive', () => {
  expect([answersEqual('40%', '40'), answersEqual('40%', '0.4'), answersEqual('40', '0.4')]).toEqual([
    true,
    true,
    false,
  ])
  const answers = ['40%', '40', null, '0.4', '40', '7'].map((answer) => ({ answer, isRight: answer === '0.4' }))
  expect(groupAnswers(answers, answersEqual)).toEqual({
    classes: Int32Array.of(0, 0, -1, 0, 0, 1),
    shareRight: [0.25, 0],
  })
  const turned = groupAnswers([...answers].reverse(), answersEqual)
  expect(turned).toEqual({ classes: Int32Array.of(0, 1, 2, -1, 1, 1), shareRight: [0, 0, 1] })
})
