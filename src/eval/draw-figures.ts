/** @file Figures of k completions of a problem: pass@k, maj@k, best-of-k and weighted votes by any judge. */
import type { Rollout } from '../data/rollout.ts'
import { bestOfN } from './best-of-n.ts'
import type { ByProblem } from './compare.ts'
import { type Figure, onlyKnown, PLAIN_FIGURE, type Problems, type Scoring } from './figure.ts'
import { passAtK } from './pass-at-k.ts'
import { type Answers, type Draws, drawsOf, groupAnswers, voteOfN } from './vote-of-n.ts'

/** The completions of a problem of which it is known whether they are right. */
interface Candidates {
  readonly rollouts: readonly Rollout[]
  readonly isRight: readonly boolean[]
  readonly answers: Answers
}

type CandidatesByProblem = ReadonlyMap<string, Candidates>

/** For k = 1, 2, 4 … and the most that any problem has; of each k over the problems that have so many completions. */
export function drawFigures(
  samples: Problems,
  scorings: readonly Scoring[],
  sameAnswer: (a: string, b: string) => boolean,
): Figure[] {
  const problems = new Map(
    [...onlyKnown(samples)].map(([problem, own]) => [problem, candidatesOf(own, sameAnswer)] as const),
  )
  const sizes = drawSizes(problems)
  const several = sizes.filter((k) => k > 1)
  const vote = voterOver(problems)
  const sampled = { ...PLAIN_FIGURE, source: 'samples' } as const
  return [
    ...sizes.map((k) => ({ ...sampled, name: `pass@${k}`, values: overProblems(problems, k, passOf) })),
    ...several.map((k) => ({ ...sampled, name: `maj@${k}`, ...vote(k, () => 1) })),
    ...scorings.flatMap(({ judge, aggregation, scores }) => {
      const scoreOf = ({ id }: Rollout): number | null => scores.get(id) ?? null
      const best = ({ rollouts, isRight }: Candidates, k: number): number =>
        bestOfN(
          rollouts.map((one, at) => ({ score: scoreOf(one), isRight: isRight[at] })),
          k,
        )
      const judged = { ...sampled, judge, aggregation }
      return [
        ...several.map((k) => ({ ...judged, name: `best-of-${k}`, values: overProblems(problems, k, best) })),
        ...several.map((k) => ({ ...judged, name: `weighted@${k}`, ...vote(k, scoreOf) })),
      ]
    }),
  ]
}

function candidatesOf(rollouts: readonly Rollout[], sameAnswer: (a: string, b: string) => boolean): Candidates {
  const isRight = rollouts.map((one) => one.final_answer_correct === true)
  const answered = rollouts.map((one, at) => ({ answer: one.final_answer, isRight: isRight[at] }))
  return { rollouts, isRight, answers: groupAnswers(answered, sameAnswer) }
}

function drawSizes(problems: CandidatesByProblem): number[] {
  const most = [...problems.values()].reduce((largest, { rollouts }) => Math.max(largest, rollouts.length), 0)
  const sizes: number[] = []
  for (let k = 1; k < most; k *= 2) sizes.push(k)
  return most === 0 ? [] : [...sizes, most]
}

function overProblems(
  problems: CandidatesByProblem,
  k: number,
  measure: (candidates: Candidates, k: number) => number,
): ByProblem {
  const large = [...problems].filter(([, { rollouts }]) => rollouts.length >= k)
  return new Map(large.map(([problem, candidates]) => [problem, measure(candidates, k)]))
}

function passOf({ isRight }: Candidates, k: number): number {
  return passAtK(isRight.length, isRight.filter(Boolean).length, k)
}

type Vote = (k: number, weigh: (rollout: Rollout) => number | null) => Pick<Figure, 'values' | 'isExact'>

/** Votes on all problems. Those with as many completions share their draws. */
function voterOver(problems: CandidatesByProblem): Vote {
  const known = new Map<string, Draws>()
  const drawsFor = (total: number, k: number): Draws => {
    const key = `${total} ${k}`
    const draws = known.get(key) ?? drawsOf(total, k)
    known.set(key, draws)
    return draws
  }
  return (k, weigh) => {
    let isExact = true
    const values = overProblems(problems, k, ({ rollouts, answers }) => {
      const draws = drawsFor(rollouts.length, k)
      isExact &&= draws.isExact
      return voteOfN(answers, rollouts.map(weigh), draws)
    })
    return { values, isExact }
  }
}
