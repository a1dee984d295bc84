/** @file TRL's preference rows: a prompt (or one shared by both sides) and two whole answers, as text or messages. */
import { z } from 'zod'
import { type AnswerPair, labelAnswers, type Reading } from './labelled.ts'
import type { Message } from './records.ts'
import { type Bad, list, parseRow, textOrMessages } from './schema.ts'

const schema = z.object({
  prompt: textOrMessages.nullish(),
  chosen: textOrMessages,
  rejected: textOrMessages,
  // They would change the prompt's template.
  tools: list(z.unknown(), 0).nullish(),
})

/** Raw text gets no template and no separator, as in TRL. */
export function readPreference(value: unknown): Reading {
  return labelEnds(parsePreference(value), value)
}

const marks = z.object({ chosen_terminal: z.boolean().nullish(), rejected_terminal: z.boolean().nullish() })

/**
 * The answers of a row whose trainer knows whole answers only: both end the solution, unless the columns
 * `chosen_terminal` and `rejected_terminal`, which `data convert` writes, say otherwise.
 */
export function labelEnds(answers: AnswerPair | Bad, value: unknown): Reading {
  if ('bad' in answers) return answers
  const parsed = parseRow(marks, value)
  if ('bad' in parsed) return parsed
  const { chosen_terminal, rejected_terminal } = parsed.row
  return { labelled: labelAnswers(answers, { chosen: chosen_terminal ?? true, rejected: rejected_terminal ?? true }) }
}

/**
 * The prompt is what both sides begin with where none is given, and where it is text beside answers that are
 * messages: it only repeats them then (`maybe_extract_prompt` in TRL's data_utils.py).
 */
export function parsePreference(value: unknown): AnswerPair | Bad {
  const parsed = parseRow(schema, value)
  if ('bad' in parsed) return parsed
  const { prompt, chosen, rejected } = parsed.row
  if (typeof chosen !== 'string' && typeof rejected !== 'string') {
    if (prompt != null && typeof prompt !== 'string') return fromMessages(prompt, chosen, rejected)
    const shared = countShared(chosen, rejected, (a, b) => a.role === b.role && a.content === b.content)
    return fromMessages(chosen.slice(0, shared), chosen.slice(shared), rejected.slice(shared))
  }
  if (typeof chosen !== 'string' || typeof rejected !== 'string' || (prompt != null && typeof prompt !== 'string')) {
    return { bad: 'expected all of prompt, chosen and rejected as text, or all as messages' }
  }
  return prompt != null ? { prompt: { raw: prompt }, chosen, rejected } : fromTexts(chosen, rejected)
}

/** Two answers to one prompt, all as messages. */
export function fromMessages(
  prompt: readonly Message[],
  chosen: readonly Message[],
  rejected: readonly Message[],
): AnswerPair | Bad {
  if (prompt.length === 0) return { bad: 'no prompt: expected messages that chosen and rejected both begin with' }
  const answers = [chosen, rejected].map((side) => (side.length === 1 && side[0].role === 'assistant' ? side[0] : null))
  if (!answers[0]?.content || !answers[1]?.content) {
    return { bad: 'unsupported: expected one assistant message with text on each side after the prompt' }
  }
  return { prompt: { messages: prompt }, chosen: answers[0].content, rejected: answers[1].content }
}

/** A space before the border belongs to the answers, as in TRL; half a character does not belong to the prompt. */
function fromTexts(chosen: string, rejected: string): AnswerPair | Bad {
  const shared = countShared(chosen, rejected, (a, b) => a === b)
  const prompt = chosen.slice(0, shared).replace(/ ?[\ud800-\udbff]?$/, '')
  const answers = [chosen.slice(prompt.length), rejected.slice(prompt.length)]
  if (prompt === '') return { bad: 'no prompt: expected text that chosen and rejected both begin with' }
  if (answers.includes('')) return { bad: 'no answer after the text that chosen and rejected share' }
  return { prompt: { raw: prompt }, chosen: answers[0], rejected: answers[1] }
}

function countShared<T>(a: ArrayLike<T>, b: ArrayLike<T>, isSame: (a: T, b: T) => boolean): number {
  const limit = Math.min(a.length, b.length)
  let count = 0
  while (count < limit && isSame(a[count], b[count])) count++
  return count
}
