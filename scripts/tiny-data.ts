/** @file Step-labelled arithmetic word problems of our own, in PRM800K's schema. Every rating is true. */
import { permutation, type Random, random } from '../src/base/random.ts'
import { type Calculation, resultOf, type WordProblem, wordProblems } from './word-problems.ts'

interface Rated {
  readonly text: string
  readonly rating: -1 | 0 | 1
  readonly flagged: boolean
}

interface Written {
  readonly text: string
  readonly rating: null
  readonly source: 'human'
  readonly flagged: boolean
}

interface TinyStep {
  readonly completions: readonly Rated[]
  readonly human_completion: Written | null
  readonly chosen_completion: number | null
}

/** A PRM800K row. */
export interface TinyRow {
  readonly labeler: string
  readonly timestamp: string
  readonly generation: null
  readonly is_quality_control_question: boolean
  readonly is_initial_screening_question: boolean
  readonly question: { readonly problem: string; readonly ground_truth_answer: string }
  readonly label: { readonly steps: readonly TinyStep[]; readonly total_time: number; readonly finish_reason: string }
}

/** Row `index` of the data set of a seed: a solution of 2 to 5 steps, each with rated siblings. */
export function makeTinyRow(seed: number, index: number): TinyRow {
  const source = random(seed, 'tiny', index)
  const problem = wordProblems[index % wordProblems.length](source)
  const last = problem.calculations[problem.calculations.length - 1]
  return {
    labeler: 'stepdpo',
    timestamp: '2026-01-01T00:00:00.000Z',
    generation: null,
    is_quality_control_question: false,
    is_initial_screening_question: false,
    question: { problem: problem.text, ground_truth_answer: String(resultOf(last)) },
    label: {
      steps: problem.calculations.map((calculation) => makeStep(problem, calculation, source)),
      total_time: 0,
      finish_reason: 'solution',
    },
  }
}

/** Right, wrong and idle completions in random order. At one step in eight only a person finds a right one. */
function makeStep(problem: WordProblem, calculation: Calculation, source: Random): TinyStep {
  const isLast = calculation === problem.calculations.at(-1)
  const say = (sentence: string, result: number): string => {
    const { left, operator, right } = calculation
    const stated = sentence.replace('@', `${left} ${operator} ${right} = ${result}`).replace('#', String(result))
    return isLast ? `${stated}\n\n# Answer\n\n${result}` : stated
  }
  const right = shuffle(calculation.sentences, source).map((sentence) => say(sentence, resultOf(calculation)))
  const wrong = shuffle(slipsOf(calculation), source).map((slip) => say(pick(calculation.sentences, source), slip))
  const isHuman = source.below(8) === 0
  const rated: Rated[] = [
    ...rate(right.slice(0, isHuman ? 0 : 1 + source.below(2)), 1),
    ...rate(wrong.slice(0, 1 + source.below(3)), -1),
    ...rate(source.below(4) === 0 ? [problem.remark] : [], 0),
  ]
  const completions = shuffle(rated, source)
  if (!isHuman) {
    const chosen = completions.findIndex(({ rating }) => rating === 1)
    return { completions, human_completion: null, chosen_completion: chosen }
  }
  const human = { text: right[0], rating: null, source: 'human', flagged: false } as const
  return { completions, human_completion: human, chosen_completion: null }
}

function rate(texts: readonly string[], rating: Rated['rating']): Rated[] {
  return texts.map((text) => ({ text, rating, flagged: false }))
}

/** Wrong results a person might write: a lost carry or borrow, the wrong operation, one too many. */
function slipsOf({ left, operator, right }: Calculation): number[] {
  const result = resultOf({ left, operator, right })
  const slips = {
    '+': [(left % 10) + (right % 10) > 9 ? result - 10 : result + 10, Math.abs(left - right), result + 1],
    '-': [left % 10 < right % 10 ? result + 10 : result + 1, left + right, result + 2],
    '*': [left + right, left * (right - 1), result + 10],
    '/': [left - right, result + 1, result + 2],
  }[operator]
  return [...new Set(slips)].filter((slip) => slip !== result)
}

function pick<T>(items: readonly T[], source: Random): T {
  return items[source.below(items.length)]
}

function shuffle<T>(items: readonly T[], source: Random): T[] {
  return Array.from(permutation(items.length, source), (index) => items[index])
}
