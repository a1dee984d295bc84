/** @file Signs that a model does not write as it should: it repeats itself, or does not come to an answer. */
import type { Rollout } from '../data/rollout.ts'

/** Words and single signs: what phrases are made of. */
const WORD = /[\p{L}\p{N}]+|[^\s]/gu
/** `Step 3:`, `**Step 3**`, `3. `, `(3) ` before a step: steps that differ by it alone are the same. */
const STEP_NUMBER = /^[#*_\s]{0,8}(?:step\s{1,4}\d{1,4}[.:)*_\s]{0,8}|\(?\d{1,4}[.:)][*_]{0,3}\s)/i
/** A text is looked at from here to its end, which bounds the time: loops do not stop by themselves. */
const MOST_WORDS = 20_000
const LONGEST_PHRASE = 200
const COPIES = 3
/** Sums such as 1/4 + 1/4 + 1/4 + 1/4 are shorter. */
const LEAST_LOOP = 40
/** That of `5 + 3 = 8`. */
const LEAST_STEP = 5

/**
 * Whether a completion repeats itself: a phrase stands three times or more in a row, over at least 40 words and signs in
 * all, or the same step of at least 5, whatever its number, three times anywhere. Holtzman et al. 2020 (arXiv
 * 1904.09751) count phrases that stand three times at the end. Longer phrases that recur apart from each other are no
 * sign: in right solutions of ProcessBench one in ten has the same 8 words three times, and none is repetitive here.
 */
export function isRepetitive({ completion, steps }: Pick<Rollout, 'completion' | 'steps'>): boolean {
  return hasLoop(numberWords(completion)) || hasSameSteps(steps)
}

/** Whether a completion ends by itself, but without an answer. */
export function isStoppedEarly({ finish, final_answer }: Pick<Rollout, 'finish' | 'final_answer'>): boolean {
  return finish === 'stop' && final_answer === null
}

function wordsOf(text: string): string[] {
  return text.match(WORD) ?? []
}

/** Equal words as equal numbers. */
function numberWords(text: string): Uint32Array {
  const numbers = new Map<string, number>()
  return Uint32Array.from(wordsOf(text).slice(-MOST_WORDS), (word) => {
    const number = numbers.get(word) ?? numbers.size
    numbers.set(word, number)
    return number
  })
}

/** Where each of `run` words equals the one `length` before it, run + length words are copies of one phrase. */
function hasLoop(words: Uint32Array): boolean {
  for (let length = 1; length <= LONGEST_PHRASE && COPIES * length <= words.length; length++) {
    const needed = Math.max(COPIES * length, LEAST_LOOP) - length
    let run = 0
    for (let at = length; at < words.length; at++) {
      run = words[at] === words[at - length] ? run + 1 : 0
      if (run === needed) return true
    }
  }
  return false
}

function hasSameSteps(steps: readonly string[]): boolean {
  const counts = new Map<string, number>()
  return steps.some((step) => {
    const words = wordsOf(step.replace(STEP_NUMBER, ''))
    if (words.length < LEAST_STEP) return false
    const text = words.join(' ')
    const count = (counts.get(text) ?? 0) + 1
    counts.set(text, count)
    return count === COPIES
  })
}
