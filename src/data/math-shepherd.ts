/**
 * @file Math-Shepherd rows: a question and its steps in one text with a mark after each step, and the same text with + or −
 * in place of the marks (huggingface.co/datasets/peiyi9979/Math-Shepherd).
 */
import { z } from 'zod'
import { hardStep, labelSteps, type Reading, type ReadOptions, userPrompt } from './labelled.ts'
import { splitQuestion } from './question-step.ts'
import { parseRow, stepText } from './schema.ts'

/** Two Cyrillic letters. */
export const STEP_MARK = 'ки'

const MAX_STEPS = 1000

const schema = z.object({ input: stepText, label: stepText })

/** A step is right where the rollouts from it reached the answer at least once. */
export function readMathShepherd(value: unknown, options: ReadOptions): Reading {
  const parsed = parseRow(schema, value)
  if ('bad' in parsed) return parsed
  const { input, label } = parsed.row
  const pieces = input.split(STEP_MARK, MAX_STEPS + 2)
  if (pieces.length > MAX_STEPS + 1) return { bad: `input: expected at most ${MAX_STEPS} steps, found more` }
  if (pieces.pop()?.trim() !== '') return { bad: `input: expected the mark ${STEP_MARK} at the end` }
  const signs = readSigns(pieces, label)
  if (signs === undefined) return { bad: 'label: expected the text of input with + or - in place of each mark' }
  const first = splitQuestion(pieces[0])
  if (first === undefined) return { bad: 'input: expected a question, then "Step 1:"' }
  const steps = [first.step, ...pieces.slice(1)].map((piece, at) => hardStep(piece.trim(), signs[at] === '+'))
  const empty = steps.findIndex(({ content }) => content === '')
  if (empty >= 0) return { bad: `input: step ${empty + 1} is empty` }
  return { labelled: labelSteps(userPrompt(first.question), steps, options) }
}

/** What stands in the label after each piece of the input; undefined where it is another text. */
function readSigns(pieces: readonly string[], label: string): readonly string[] | undefined {
  const signs: string[] = []
  let at = 0
  for (const piece of pieces) {
    const sign = label[at + piece.length]
    if (!label.startsWith(piece, at) || (sign !== '+' && sign !== '-')) return undefined
    signs.push(sign)
    at += piece.length + 1
  }
  return label.slice(at).trim() === '' ? signs : undefined
}
