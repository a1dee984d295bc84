/** @file Rows that only ask: a prompt, problem or question column, as in GSM8K and MATH. */
import { z } from 'zod'
import { type Reading, userPrompt } from './labelled.ts'
import { parseRow, textOrMessages } from './schema.ts'

const asked = textOrMessages.nullish()

const schema = z.object({ prompt: asked, problem: asked, question: asked })

/** The prompt, with no steps: nothing in the row is labelled. */
export function readPrompts(value: unknown): Reading {
  const parsed = parseRow(schema, value)
  if ('bad' in parsed) return parsed
  const question = parsed.row.prompt ?? parsed.row.problem ?? parsed.row.question
  if (question == null) return { bad: 'expected a prompt, problem or question' }
  const prompt = typeof question === 'string' ? userPrompt(question) : { messages: question }
  return { labelled: { prompt, separator: '', steps: [] } }
}
