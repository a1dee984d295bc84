/**
 * @file MATH-APS rows (huggingface.co/datasets/openreasoner/MATH-APS): the beginning of a solution, each piece of it followed
 * by a mark, and a sign for each piece. Most rows are one piece, labelled whether rollouts from there reach the answer.
 */
import { z } from 'zod'
import { extractAnswer } from '../text/answer/extract.ts'
import { hardStep, labelSteps, type Reading, type ReadOptions, userPrompt } from './labelled.ts'
import { list, parseRow, stepText } from './schema.ts'

const STEP_MARK = '\n\n\n\n\n'

const MAX_STEPS = 1000

const schema = z.object({
  question: stepText,
  process: stepText,
  label: list(z.enum(['+', '-']), MAX_STEPS),
})

/** The last step ends the solution only where it states an answer: a row may stop anywhere. */
export function readMathAps(value: unknown, options: ReadOptions): Reading {
  const parsed = parseRow(schema, value)
  if ('bad' in parsed) return parsed
  const { question, process, label } = parsed.row
  // The beginnings that OmegaPRM keeps begin with the question.
  const written = process.startsWith(question) ? process.slice(question.length) : process
  const pieces = written.split(STEP_MARK, MAX_STEPS + 2).map((piece) => piece.trim())
  if (pieces.length > MAX_STEPS + 1) return { bad: `process: expected at most ${MAX_STEPS} steps, found more` }
  if (pieces.at(-1) === '') pieces.pop()
  if (pieces.every((piece) => piece === '')) return { dropped: 'a question without steps' }
  if (pieces.length !== label.length) {
    return { bad: `label: expected one sign for each of ${pieces.length} steps, found ${label.length}` }
  }
  const empty = pieces.indexOf('')
  if (empty >= 0) return { bad: `process: step ${empty + 1} is empty` }
  const steps = pieces.map((piece, at) => hardStep(piece, label[at] === '+'))
  return {
    labelled: labelSteps(userPrompt(question), steps, { ...options, isWhole: statesAnswer(pieces.at(-1) ?? '') }),
  }
}

/** Whether a text comes to its final answer. */
export function statesAnswer(content: string): boolean {
  return extractAnswer(content) !== null
}
