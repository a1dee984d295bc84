/** @file Votes of n completions, plain (maj@n) or weighted by scores: how often the answer that wins is right. */
import { random } from '../base/random.ts'
import { checkDrawn } from './pass-at-k.ts'

/** Where there are no more choices, all of them are counted. */
const MOST_DRAWS = 20_000
/** Where there are more: on one problem the error is below 0.016 (one standard deviation), over many it vanishes. */
const SAMPLED_DRAWS = 1000
/** Totals this close are a tie: the same scores, added in another order, differ by less. */
const ROUNDING = 1e-9

/** Which n of all completions vote: every choice there is, or a sample of them. */
export interface Draws {
  readonly isExact: boolean
  /** Positions of completions, n in each. */
  readonly members: readonly Uint32Array[]
}

/**
 * The choices of n among `total` completions: all where there are at most 20,000, else 1,000 at random, always the same.
 * @throws UserError for n that is not from 1 to `total`.
 */
export function drawsOf(total: number, n: number): Draws {
  checkDrawn(n, total)
  if (countChoices(total, n) <= MOST_DRAWS) return { isExact: true, members: allChoices(total, n) }
  const source = random(0, 'draws', total, n)
  return { isExact: false, members: Array.from({ length: SAMPLED_DRAWS }, () => someChoice(total, n, source.below)) }
}

/** C(total, n), or something above the most that is counted. */
function countChoices(total: number, n: number): number {
  const least = Math.min(n, total - n)
  let count = 1
  for (let chosen = 0; chosen < least && count <= MOST_DRAWS; chosen++) count *= (total - chosen) / (chosen + 1)
  return Math.round(count)
}

/** In lexicographic order. */
function allChoices(total: number, n: number): Uint32Array[] {
  const choice = Uint32Array.from({ length: n }, (_, place) => place)
  const choices: Uint32Array[] = []
  for (;;) {
    choices.push(choice.slice())
    let place = n - 1
    while (place >= 0 && choice[place] === total - n + place) place--
    if (place < 0) return choices
    choice[place]++
    for (let next = place + 1; next < n; next++) choice[next] = choice[next - 1] + 1
  }
}

/** Floyd's way: n draws, whatever the total (Bentley & Floyd 1987). */
function someChoice(total: number, n: number, below: (bound: number) => number): Uint32Array {
  const chosen = new Set<number>()
  for (let last = total - n; last < total; last++) {
    const drawn = below(last + 1)
    chosen.add(chosen.has(drawn) ? last : drawn)
  }
  return Uint32Array.from(chosen)
}

/** The completions of one problem by what they answer. */
export interface Answers {
  /** The class of each completion's answer; −1 where none was found, which is no vote. */
  readonly classes: Int32Array
  /** The share of each class that is right: one, or none, but for answers that are equal to each other in part only. */
  readonly shareRight: readonly number[]
}

export interface AnsweredCompletion {
  readonly answer: string | null
  readonly isRight: boolean
}

/**
 * Sorts completions by their answers. An answer is of the first class whose first answer it is the same as, so the
 * order of completions decides where equality is not transitive.
 */
export function groupAnswers(
  completions: readonly AnsweredCompletion[],
  sameAnswer: (a: string, b: string) => boolean,
): Answers {
  const first: string[] = []
  const known = new Map<string, number>()
  const classOf = (answer: string): number => {
    const found = known.get(answer) ?? first.findIndex((other) => sameAnswer(other, answer))
    const own = found === -1 ? first.push(answer) - 1 : found
    known.set(answer, own)
    return own
  }
  const classes = Int32Array.from(completions, ({ answer }) => (answer === null ? -1 : classOf(answer)))
  const counts = first.map(() => ({ right: 0, count: 0 }))
  completions.forEach(({ isRight }, at) => {
    if (classes[at] === -1) return
    counts[classes[at]].count++
    counts[classes[at]].right += Number(isRight)
  })
  return { classes, shareRight: counts.map(({ right, count }) => right / count) }
}

/**
 * How often the answer with the highest total weight is right, over draws; answers with equal totals share. Weights are
 * one for each completion; one without (null) does not vote, unless nobody in the draw has one: then all count alike. A
 * draw without any answer is wrong.
 */
export function voteOfN(answers: Answers, weights: readonly (number | null)[], draws: Draws): number {
  if (answers.shareRight.every((share) => share === 0)) return 0 // no vote can find what nobody says
  const totals = new Float64Array(answers.shareRight.length)
  const alike = weights.map(() => 1)
  let sum = 0
  for (const members of draws.members) {
    const most = tally(totals, answers, members, weights) ?? tally(totals, answers, members, alike)
    if (most !== null) sum += shareOfWinners(totals, answers, most)
  }
  return sum / draws.members.length
}

/** Writes what stands for each answer, −∞ where nothing does, and gives the most; null where nobody votes. */
function tally(
  totals: Float64Array,
  { classes }: Answers,
  members: Uint32Array,
  weights: readonly (number | null)[],
): number | null {
  totals.fill(-Infinity)
  for (const at of members) {
    const own = classes[at]
    const weight = weights[at]
    if (own === -1 || weight === null) continue
    totals[own] = totals[own] === -Infinity ? weight : totals[own] + weight
  }
  let most = -Infinity
  for (const total of totals) if (total > most) most = total
  return most === -Infinity ? null : most
}

function shareOfWinners(totals: Float64Array, { shareRight }: Answers, most: number): number {
  const least = most - ROUNDING * Math.abs(most)
  let winners = 0
  let right = 0
  for (let own = 0; own < totals.length; own++) {
    if (totals[own] < least) continue
    winners++
    right += shareRight[own]
  }
  return right / winners
}
